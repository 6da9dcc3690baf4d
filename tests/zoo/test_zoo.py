"""The zoo is alive: every mutant still differs from our node and is reached, and the testbed sees one in passing."""

from __future__ import annotations

import http.client
import json
import logging
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.sim.world import World
from tests.zoo import table, trials
from tests.zoo.mutant import REACHED, Mutant, edit, watching
from tests.zoo.mutants import MUTANTS
from tests.zoo.trials import ROOT, Laboratory, Outcome, Trial

NODE = (sys.executable, "-m", "tests.zoo.node")
PATIENCE_S = 60.0
SEED = 0
RARE = {"Waiter.expire", "PartFile.sync", "PartFile.rename", "LogBuffer.truncate_from"}
"""Not met in so short a life: a time-out, a checkpoint, logs that differ. That they are met, the zoo's runs say."""


WORLDS = (("tcp", 0), *(("members", seed) for seed in range(6)))
"""Each world draws its own misfortunes: not every one changes its members."""


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=lambda mutant: mutant.name)
def test_its_patches_still_apply(mutant: Mutant) -> None:
    patches = mutant.all_patches()
    before = [getattr(patch.owner, patch.name) for patch in patches]
    assert patches
    with mutant.applied():
        during = [getattr(patch.owner, patch.name) for patch in patches]
        assert all(mutated is not original for mutated, original in zip(during, before, strict=True))
        assert all(mutated != original for mutated, original in zip(during, before, strict=True))
    assert [getattr(patch.owner, patch.name) for patch in patches] == before


def test_each_says_what_a_user_would_lose() -> None:
    sentences = [mutant.sentence for mutant in MUTANTS.values()]
    assert all(sentence.endswith(".") for sentence in sentences)
    assert len(set(sentences)) == len(MUTANTS) >= 20


def test_code_that_changed_is_noticed() -> None:
    stale = edit(table, "progress", ("words that are not there", ""))
    with pytest.raises(AssertionError, match="0 times, not once"):
        stale.replacement()


def test_each_is_reached(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """By a node that founds a cluster, writes, reads and restarts; what is between nodes, by the simulator."""
    watch = watching(MUTANTS.values())
    with caplog.at_level(logging.WARNING, "zoo"), watch.applied():
        for kind, seed in WORLDS:
            World(seed, kind).run()
    said = caplog.text
    for _ in range(2):
        said += _short_life(tmp_path, "--watch")
    missed = {patch.where for patch in watch.patches if f"{REACHED}: {patch.where}" not in said}
    assert missed <= RARE, sorted(missed - RARE)


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_each_still_runs(name: str, tmp_path: Path) -> None:
    """A patch may still apply and be wrong: the node would end at once, and no testbed be needed to see it."""
    assert "broken" not in _short_life(tmp_path, "--mutant", name)


def _short_life(directory: Path, *which: str) -> str:
    """A node's log."""
    command = [*NODE, *which, "serve", "--id", "n1", "--rest", "127.0.0.1:0", "--raft", "127.0.0.1:0"]
    command += ["--gossip", "127.0.0.1:0"]
    with (directory / "log").open("wb") as log:
        node = subprocess.Popen(
            [*command, "--data-dir", str(directory / "n1")], cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True
        )
        try:
            assert node.stdout is not None
            ready = json.loads(node.stdout.readline())
            for method in ("PUT", "GET", "DELETE"):
                connection = http.client.HTTPConnection(ready["rest"], timeout=PATIENCE_S)
                connection.request(method, "/v1/kv/k", '"v"' if method == "PUT" else None)
                reply = connection.getresponse()
                assert reply.status == 200, reply.read()
                connection.close()
        finally:
            node.terminate()
            node.communicate(timeout=PATIENCE_S)
    return (directory / "log").read_text()


@pytest.mark.parametrize("arguments", [("--mutant", "nobody"), ("--mutant",)])
def test_an_unknown_mutant_is_refused(arguments: tuple[str, ...]) -> None:
    done = subprocess.run([*NODE, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 64
    assert "lost-delete" in done.stderr


def test_a_series_is_resumed(tmp_path: Path) -> None:
    laboratory = Laboratory("v1", tmp_path, 20.0)
    made = msgspec.structs.replace(laboratory.blank(MUTANTS["lost-delete"], 3), outcome=Outcome.INVALID, found_s=1.5)
    trials.save(tmp_path / "zoo.json", [made])
    (loaded,) = trials.load(tmp_path / "zoo.json")
    assert loaded == made
    assert loaded.key == laboratory.blank(MUTANTS["lost-delete"], 3).key
    assert loaded.key != laboratory.blank(MUTANTS["lost-delete"], 4).key
    assert loaded.key != Laboratory("v2", tmp_path, 20.0).blank(MUTANTS["lost-delete"], 3).key


def test_the_table_counts() -> None:
    blank = Laboratory("v1", Path("runs"), 20.0).blank
    found = {"outcome": Outcome.INVALID, "check": "linearizability", "sentence": "n1 returned what was deleted"}
    mutant = MUTANTS["lost-delete"]
    made = [
        msgspec.structs.replace(blank(mutant, 1), found_s=1.0, **found),
        msgspec.structs.replace(blank(mutant, 2), found_s=4.0, **found),
        msgspec.structs.replace(blank(mutant, 3), outcome=Outcome.VALID, sentence="nothing wrong"),
        msgspec.structs.replace(blank(mutant, 1), version="v2", found_s=3.0, **found),
        msgspec.structs.replace(blank(None, 1), outcome=Outcome.VALID),
        msgspec.structs.replace(blank(None, 2), outcome=Outcome.INVALID, sentence="a false alarm"),
    ]
    text = table.document(made, MUTANTS)
    assert "| lost-delete | v1 | 2 of 3 | 2.5 | 4.0 | 0–0 |" in text
    assert "| lost-delete | v2 | 1 of 1 | 3.0 |" in text
    assert "| dkv | v1 | 2 | 1 | 0 | 0 | 40 |" in text
    assert "- lost-delete, version v1, seed 3: valid." in text
    assert "- dkv, version v1, seed 2: invalid. a false alarm" in text


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["lost-delete"])
def test_the_testbed_finds_it(name: str, tmp_path: Path) -> None:
    """The others take longer: ``python -m tests.zoo``."""
    mutant = MUTANTS[name]
    trial: Trial = Laboratory("now", tmp_path, 20.0).make(Laboratory("now", tmp_path, 20.0).blank(mutant, SEED))
    assert (trial.outcome, trial.check) == (Outcome.INVALID, "linearizability"), trial
    assert trial.found_s is not None
