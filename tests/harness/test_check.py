"""``dkv-harness check``: what people see, what programs get, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.check_cli import MODELS, check
from harness.checker import models
from harness.history import files
from harness.history.events import Event, EventType, Header
from harness.history.operations import MISMATCH

INVOKE, OK, FAIL, INFO = EventType


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(check, [str(argument) for argument in arguments])


def event(process: int, type: EventType, f: str, value: object, time_s: float, node: str | None = None) -> Event:
    error = MISMATCH if type is FAIL else None
    return Event(process=process, type=type, f=f, key="k3", value=value, time_s=time_s, node=node, error=error)


STALE = [
    event(0, INVOKE, "write", "v17", 1.00),
    event(0, OK, "write", "v17", 1.01, "n1"),
    event(1, INVOKE, "cas", ["v17", "v21"], 1.05),
    event(1, OK, "cas", ["v17", "v21"], 1.06, "n1"),
    event(2, INVOKE, "read", None, 1.10),
    event(2, OK, "read", "v17", 1.12, "n4"),
]


@pytest.fixture
def stale(tmp_path: Path) -> Path:
    files.write(tmp_path / "history.jsonl", Header(workload="register"), STALE)
    return tmp_path / "history.jsonl"


@pytest.fixture
def valid(tmp_path: Path) -> Path:
    files.write(tmp_path / "valid", Header(workload="register"), STALE[:4])
    return tmp_path / "valid"


def test_a_violation_is_explained(stale: Path) -> None:
    result = run(stale)
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f"{stale}: NOT linearizable",
        "  dkv-history 1, register, 3 operations on 1 key",
        "",
        "  key  verdict           operations  unknown  overlap  width  steps",
        "  k3   NOT linearizable           3        0        1      1      0",
        "",
        "  n4 returned v17 for key k3 although v21 had been acknowledged 40 ms before the read began",
        "",
        "    process  operation      outcome  began     ended     node",
        "    0        write v17      ok       1.0000 s  1.0100 s  n1",
        "    1        cas v17 → v21  ok       1.0500 s  1.0600 s  n1",
        "    2        read → v17     ok       1.1000 s  1.1200 s  n4",
    ]


def test_a_run_directory_is_as_good_as_its_history(stale: Path) -> None:
    assert run(stale.parent).exit_code == 1


def test_for_programs(stale: Path, valid: Path) -> None:
    result = run("-o", "json", stale, valid)
    first, second = map(json.loads, result.output.splitlines())
    assert (first["validity"], second["validity"]) == ("invalid", "valid")
    (violation,) = first["violations"]
    assert violation["key"] == "k3"
    assert violation["time_s"] == 1.12
    assert [operation["result"] for operation in violation["operations"]] == ["v17", ["v17", "v21"], "v17"]
    assert violation["operations"][2]["node"] == "n4"
    assert second["violations"] == []


def test_several_files_end_with_a_sum(stale: Path, valid: Path, tmp_path: Path) -> None:
    (tmp_path / "garbage").write_text("hello")
    result = run(valid, stale, tmp_path / "garbage", tmp_path / "absent")
    assert result.output.splitlines()[-1] == "4 files: 1 linearizable, 1 NOT linearizable, 2 unknown"
    assert result.exit_code == 1, "a violation outweighs a doubt"


def test_exit_codes(valid: Path, tmp_path: Path) -> None:
    (tmp_path / "garbage").write_text("hello")
    (tmp_path / "empty").write_text("")
    assert run(valid, tmp_path / "empty").exit_code == 0
    assert run(valid, tmp_path / "garbage").exit_code == 2
    assert "no history" in run(tmp_path / "garbage").output


def test_a_history_while_it_is_written(valid: Path) -> None:
    valid.write_bytes(valid.read_bytes()[:-20])
    result = run(valid)
    assert result.exit_code == 0
    assert "2 operations" in result.output


def test_what_is_not_decided_says_where_and_what_to_do(tmp_path: Path) -> None:
    many = [event(process, INVOKE, "write", process % 3, 1 + process / 100) for process in range(30)]
    many += [event(99, INVOKE, "cas", [0, 1], 2.0), event(99, FAIL, "cas", [0, 1], 2.1)]
    many += [event(process, OK, "write", process % 3, 3 + process / 100) for process in range(30)]
    files.write(tmp_path / "hard", Header(workload="register"), many)
    result = run("--steps", "1", tmp_path / "hard")
    assert result.exit_code == 2
    assert "key k3 was not decided: after" in result.output
    assert "up to 31 of 31 operations open at once; more operations overlap" in result.output
    assert run(tmp_path / "hard").exit_code == 0


NIL = """{:process 0 :type :invoke :f :write :value 1}
{:process 0 :type :ok :f :write :value 1}
{:process 0 :type :invoke :f :read :value nil}
{:process 0 :type :ok :f :read :value nil}"""


def test_both_meanings_of_nil(tmp_path: Path) -> None:
    (tmp_path / "nil.edn").write_text(NIL)
    result = run(tmp_path / "nil.edn")
    assert result.exit_code == 1
    assert "--nil unknown" in result.output
    assert "#3" in result.output, "without times the events' numbers tell the order"
    assert run("--nil", "unknown", tmp_path / "nil.edn").exit_code == 0


def test_the_model_can_be_told(valid: Path) -> None:
    result = run("--model", "append", valid)
    assert result.exit_code == 2
    assert "the append model has no operation 'write'" in result.output
    assert set(MODELS) == set(models.MODELS)
