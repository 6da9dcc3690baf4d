"""What people see, and what programs read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.chaos import progress
from harness.chaos.run import Glance
from harness.history.records import Validity
from tests.harness.chaos.runs import executed, planned

GLANCE = Glance(
    phase="chaos",
    elapsed_s=10.0,
    duration_s=60.0,
    counts={"invoke": 1010, "ok": 900, "fail": 100, "info": 10},
    faults=("kill n2", "delay n1,n3"),
    leader="n4",
    term=7,
    judged=1990,
    told=2010,
    validity=Validity.VALID,
    violation="",
)


def test_a_line_tells_everything() -> None:
    told = progress.line(GLANCE)
    for word in ("10.0/60 s", "100 op/s", "ok 900", "kill n2, delay n1,n3", "leader n4 term 7", "valid (20 events"):
        assert word in told


def test_where_no_terminal_is_lines_come_when_the_phase_changes(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.watching(as_json=False) as watch:
        for _ in range(10):
            watch(GLANCE)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_nothing_disturbs_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.watching(as_json=True) as watch:
        watch(GLANCE)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_the_end_for_people_and_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = executed(tmp_path / "run", planned(2, "kill"), ["lost write"])
    progress.summary(tmp_path / "run", verdict, tmp_path / "run" / "report.html", ["dkv-harness chaos --replay x"])
    shown = capsys.readouterr().out
    assert "INVALID: linearizability: " in shown
    assert "dkv-harness chaos --replay x" in shown
    assert "report.html" in shown
    told = json.loads(json.dumps(progress.document(tmp_path / "run", verdict, None)))
    assert told["validity"] == "invalid"
    assert told["ok"] is False
    assert told["checks"]
