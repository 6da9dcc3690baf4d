"""One run of the testbed on one mutant, and what came of it; kept as JSON, so that a long series can be resumed."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from tests.zoo.mutant import REACHED, Mutant

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results" / "zoo"
SLACK_S = 240.0
"""Beyond the chaos itself: start, healing, judging, report; then the run is given up."""
SENTENCE_MAX = 400


class Outcome(StrEnum):
    """The testbed's verdict on a run. ``TROUBLE``: it could not even begin, or came to no end."""

    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"
    TROUBLE = "trouble"


OUTCOMES = {0: Outcome.VALID, 1: Outcome.INVALID, 2: Outcome.UNKNOWN}
"""By ``dkv-harness chaos``'s exit code."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """``mutant`` "" for a control run of the node as it is. ``found_s``: from the clients' first operation to the
    verdict. ``reached``: the mutated functions that were called at all. ``load``: of the machine, at the end.
    ``settings``: of the nodes, where the plan's own were not taken."""

    version: str
    system: str
    mutant: str
    seed: int
    nodes: int
    time_s: float
    faults: str
    workload: str
    outcome: Outcome
    found_s: float | None = None
    check: str = ""
    sentence: str = ""
    reached: tuple[str, ...] = ()
    load: float = 0.0
    run: str = ""
    settings: tuple[str, ...] = ()

    @property
    def as_it_should_be(self) -> bool:
        """A mutant is found, and nothing is where there is none."""
        return self.outcome is (Outcome.INVALID if self.mutant else Outcome.VALID)

    @property
    def key(self) -> tuple[Any, ...]:
        """What need not be done again."""
        asked = (self.nodes, self.time_s, self.faults, self.workload, self.settings)
        return self.version, self.system, self.mutant, self.seed, *asked


@dataclass(frozen=True)
class Laboratory:
    """Where and how runs are made. ``runs``: their directories; those that found what they should are deleted."""

    version: str
    runs: Path
    time_s: float
    port_offset: int = 0
    network: str = "auto"

    def blank(self, mutant: Mutant | None, seed: int, system: str = "dkv") -> Trial:
        """The trial before it is made."""
        return Trial(
            version=self.version,
            system=system,
            mutant=mutant.name if mutant else "",
            seed=seed,
            nodes=mutant.nodes if mutant else 5,
            time_s=min(self.time_s, mutant.time_s_max) if mutant else self.time_s,
            faults=mutant.faults if mutant else "all",
            workload=mutant.workload if mutant else "register",
            outcome=Outcome.TROUBLE,
            settings=mutant.settings if mutant else (),
        )

    def make(self, trial: Trial) -> Trial:
        """Run it to its end."""
        path = self.runs / f"{trial.mutant or 'control-' + trial.system}-{trial.seed}"
        shutil.rmtree(path, ignore_errors=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        code, said = _run(self._command(trial, path), trial.time_s + SLACK_S)
        outcome = OUTCOMES.get(code, Outcome.TROUBLE)
        trial = msgspec.structs.replace(
            trial,
            outcome=outcome,
            sentence=_shortened(said) if outcome is Outcome.TROUBLE else "",
            reached=_reached(path),
            load=round(os.getloadavg()[0], 1),
            run=str(path),
        )
        if outcome is Outcome.TROUBLE:
            return msgspec.structs.replace(trial, found_s=round(time.monotonic() - began, 1))
        trial = _judged(trial, path)
        if trial.as_it_should_be:
            shutil.rmtree(path, ignore_errors=True)
        return trial

    def _command(self, trial: Trial, path: Path) -> list[str]:
        command = [sys.executable, "-m", "harness", "chaos", "--output", "json", "--out", str(path)]
        command += ["--nodes", str(trial.nodes), "--time", str(trial.time_s), "--seed", str(trial.seed)]
        command += ["--faults", trial.faults, "--workload", trial.workload, "--system", trial.system]
        command += ["--network", self.network, "--port-offset", str(self.port_offset)]
        command += [word for setting in trial.settings for word in ("--setting", setting)]
        if trial.mutant:
            node = [sys.executable, "-m", "tests.zoo.node", "--mutant", trial.mutant, "serve"]
            command += ["--node-command", shlex.join(node)]
        return command


def _run(command: list[str], timeout_s: float) -> tuple[int, str]:
    """Exit code and the end of what it printed; -1 if it had to be killed."""
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as child:
        try:
            out, _ = child.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            child.terminate()  # it ends its own nodes; with it dies whatever is left of them
            try:
                out, _ = child.communicate(timeout=30.0)
            except subprocess.TimeoutExpired:
                child.kill()
                out, _ = child.communicate()
            return -1, f"no end within {timeout_s:g} s: {out[-SENTENCE_MAX:]}"
    return child.returncode, out[-2 * SENTENCE_MAX :]


def _judged(trial: Trial, path: Path) -> Trial:
    verdict = json.loads((path / "verdict.json").read_bytes())
    seen_s = verdict["statistics"].get("violation_seen_s")
    bad = [check for check in verdict["checks"] if check["validity"] != "valid"]
    return msgspec.structs.replace(
        trial,
        found_s=round(seen_s if seen_s is not None else _end_s(path), 1) if bad else None,
        check=", ".join(check["name"] for check in bad),
        sentence=_shortened(verdict["sentence"]),
    )


def _end_s(path: Path) -> float:
    """When the nodes were looked at last: the verdict comes right behind it."""
    lines = (path / "nodes.jsonl").read_bytes().splitlines()
    return float(json.loads(lines[-1])["time_s"]) if lines else 0.0


def _reached(path: Path) -> tuple[str, ...]:
    found = set()
    for log in (path / "cluster" / "nodes").glob("*/stderr.log"):
        for line in log.read_text(errors="replace").splitlines():
            if REACHED in line:
                found.add(line.partition(f"{REACHED}: ")[2].split('"')[0])
    return tuple(sorted(found))


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= SENTENCE_MAX else text[: SENTENCE_MAX - 1] + "…"


def version() -> str:
    """The checkout's commit, marked where the work tree differs."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def load(path: Path) -> list[Trial]:
    """All that was done before; nothing if there is no such file."""
    return msgspec.json.decode(path.read_bytes(), type=list[Trial]) if path.exists() else []


def save(path: Path, trials: list[Trial]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(trials), indent=1) + b"\n")
    part.replace(path)
