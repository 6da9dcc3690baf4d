"""Whole runs against the fake system, in virtual time: a correct one is valid, each bug is found and explained."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from harness.chaos.files import RunFiles, load_plan, load_verdict
from harness.chaos.run import Glance, Run
from harness.errors import HarnessError
from harness.history import files as histories
from harness.history.records import Validity, Verdict
from tests.harness.chaos.runs import MANIFEST, executed, planned
from tests.harness.fake_system import FakeSystem
from tests.harness.local_judge import LocalJudge
from tests.harness.virtual_time import run


def failed(verdict: Verdict) -> list[str]:
    return [check.name for check in verdict.checks if check.validity is not Validity.VALID]


@pytest.mark.parametrize("workload", ["register", "append", "set", "counter"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_correct_system_is_valid_whatever_is_done_to_it(tmp_path: Path, workload: str, seed: int) -> None:
    verdict = executed(tmp_path / "run", planned(seed, "all", workload))
    assert verdict.validity is Validity.VALID, verdict.sentence
    assert failed(verdict) == []
    assert [assumption.sentence for assumption in verdict.assumptions if not assumption.held] == []
    assert verdict.statistics["ok"] > 300


def test_what_a_run_leaves_behind(tmp_path: Path) -> None:
    pair, glances = planned(4, "kill,partition"), list[Glance]()
    verdict = executed(tmp_path / "run", pair, glances=glances)
    assert load_plan(tmp_path / "run") == pair
    assert load_verdict(tmp_path / "run") == verdict
    history = histories.read(tmp_path / "run" / "history.jsonl")
    assert history.header is not None
    assert history.header.workload == "register"
    assert len(history.events) >= 2 * len(pair[1])
    assert (tmp_path / "run" / "faults.jsonl").read_text().count('"inject"') == len(pair[0].faults)
    assert (tmp_path / "run" / "nodes.jsonl").stat().st_size > 0
    assert {glance.phase for glance in glances} >= {"starting", "chaos", "healing", "judging"}


BUGS = {
    "stale read": ("register", "isolate-leader,pause", "linearizability"),
    "lost write": ("register", "", "linearizability"),
    "lost delete": ("register", "", "linearizability"),
    "twice": ("register", "", "linearizability"),
    "two leaders": ("register", "isolate-leader", "election safety"),
    "diverge": ("register", "", "committed prefix"),
    "crash": ("register", "pause", "crashes"),
    "stuck": ("register", "transfer", "progress"),
    "grudge": ("register", "", "gossip converges"),
}


@pytest.mark.parametrize(("bug", "workload", "faults", "check"), [(bug, *case) for bug, case in BUGS.items()])
def test_each_bug_is_found_and_explained(tmp_path: Path, bug: str, workload: str, faults: str, check: str) -> None:
    verdict = executed(tmp_path / "run", planned(2, faults, workload), [bug])
    assert verdict.validity is Validity.INVALID
    found = {violation.name: violation for violation in verdict.checks if violation.validity is Validity.INVALID}
    assert check in found
    assert found[check].sentence
    if check == "linearizability":
        assert found[check].key is not None
        assert 1 <= len(found[check].operations) <= 8


def test_who_left_unheard_is_not_waited_for(tmp_path: Path) -> None:
    verdict = executed(tmp_path / "run", planned(2, "add"), ["unheard leave"])
    assert verdict.validity is Validity.VALID, verdict.sentence
    faults = (tmp_path / "run" / "faults.jsonl").read_text()
    assert "not healed: n6 cannot be reached" in faults


@pytest.mark.parametrize("workload", ["append", "set", "counter"])
def test_a_lost_write_is_found_by_every_workload(tmp_path: Path, workload: str) -> None:
    verdict = executed(tmp_path / "run", planned(2, "", workload), ["lost write"])
    assert {"linearizability", "revision order"} & set(failed(verdict))


@pytest.mark.parametrize("workload", ["append", "set", "counter"])
def test_final_reads_alone_find_it_too(tmp_path: Path, workload: str) -> None:
    verdict = executed(tmp_path / "run", planned(2, "", workload), ["lost write"], keep_going=True)
    assert "acknowledged exactly once" in failed(verdict)


def test_a_violation_ends_the_run_and_freezes_everything(tmp_path: Path) -> None:
    glances = list[Glance]()
    verdict = executed(tmp_path / "run", planned(2, ""), ["lost write"], glances=glances)
    assert verdict.statistics["elapsed_s"] < 11.0
    assert glances[-1].phase == "judging"
    assert "reading everything at every node" not in {glance.phase for glance in glances}
    assert 0 <= verdict.statistics["verdict_delay_s"] <= 2.0
    going_on = executed(tmp_path / "on", planned(2, ""), ["lost write"], keep_going=True)
    assert going_on.statistics["elapsed_s"] > 11.0
    assert going_on.validity is Validity.INVALID


def test_the_same_plan_does_the_same_again(tmp_path: Path) -> None:
    executed(tmp_path / "run", planned(5, "all"))
    pair = load_plan(tmp_path / "run")
    executed(tmp_path / "again", pair)
    for name in ("plan.json", "operations.jsonl", "history.jsonl", "faults.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_a_directory_holds_one_run(tmp_path: Path) -> None:
    executed(tmp_path, planned(5, "", duration_s=4.0))
    with pytest.raises(HarnessError, match="holds a run already"):
        executed(tmp_path, planned(5, "", duration_s=4.0))


def test_a_store_that_does_not_answer_is_not_valid(tmp_path: Path) -> None:
    pair = planned(1, "", duration_s=4.0)

    async def body() -> Verdict:
        system = FakeSystem(5, 1)
        system.stuck = True
        files = RunFiles(tmp_path / "run", MANIFEST, *pair)
        clock = asyncio.get_running_loop().time
        return await Run(system.rig(), *pair, files, LocalJudge("register"), lambda _: None, now=clock).run()

    verdict = run(body())
    assert verdict.validity is Validity.INVALID
    assert "progress" in failed(verdict)
