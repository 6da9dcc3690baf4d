"""The table, on terminals of several widths and on paper."""

from __future__ import annotations

import pytest

from harness.survey import Member, State, Survey, Word
from harness.view import View

SURVEY = Survey(
    (
        Member(
            "n1",
            "127.0.0.1:30001",
            State.RUNNING,
            pid=17_532,
            word=Word("follower", 7, 1_000_000, 999_990, ("n1", "n2")),
            memory_bytes=61 << 20,
            cpu_percent=10.0,
            gossip={"alive": ("n2", "n3"), "failed": ("n4",)},
        ),
        Member("n2", "127.0.0.1:30002", State.DEAD, exit_code=-9, gossip={"failed": ("n1",)}),
    )
)


def table(capsys: pytest.CaptureFixture[str]) -> list[str]:
    View(as_json=False).survey(SURVEY)
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("n")]


def test_paper_has_room_for_everything(capsys: pytest.CaptureFixture[str]) -> None:
    head, first, second = table(capsys)
    assert head.split() == ["name", "state", "role", "gossip", "term", "commit", "applied", "lag", "pid", "memory",
                            "cpu", "url"]  # fmt: skip
    assert "alive 2, failed 1" in first
    assert "http://127.0.0.1:30001" in first
    assert second.split()[:5] == ["n2", "dead", "(-9)", "–", "failed"]


@pytest.mark.parametrize(("width", "whole"), [(80, False), (110, False), (140, True)])
def test_a_terminal_gets_what_it_has_room_for(
    width: int, whole: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"COLUMNS": str(width), "FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    View(as_json=False).survey(SURVEY)
    told = capsys.readouterr().out
    assert "…" not in told
    assert ("http://127.0.0.1:30001" in told) == whole
    assert "127.0.0.1:30001" in told
