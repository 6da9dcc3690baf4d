"""Exit code 64 for every command line that asks for something that does not exist; 2 is for what is unknown."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import verbs

UNKNOWN, WRONG = 2, 64


@pytest.mark.parametrize(
    "command",
    [
        "",
        "fly",
        "--wings",
        "up many",
        "up 3 --wings",
        "status n1",
        "slow n1 soon",
        "slow n1 n2 n3 50ms",
        "kill n1 --signal LOUD",
        "chaos --system redis",
        "chaos --network hook --faults flood",
        "chaos --network hook --setting keep_entries",
        "chaos --network hook --setting keep_entries=many",
        "check",
        "check --model poem history.jsonl",
        "doctor --wings",
        "report",
    ],
)
def test_wrong_usage(command: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(verbs, ["--dir", str(tmp_path), *command.split()])
    assert done.exit_code == WRONG, done.output


def test_unknown_is_told_apart(tmp_path: Path) -> None:
    assert CliRunner().invoke(verbs, ["check", str(tmp_path / "absent.jsonl")]).exit_code == UNKNOWN


@pytest.mark.parametrize("verb", ["", "chaos", "check", "doctor"])
def test_help_tells_of_it(verb: str) -> None:
    done = CliRunner().invoke(verbs, [*verb.split(), "--help"])
    assert done.exit_code == 0
    assert "64" in done.output.partition("xit code")[2]
