"""The page: all of the run is in it, small, and as data only."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from harness.history.events import Event, EventType, Header
from harness.history.operations import Operation
from harness.history.records import Assumption, Check, FaultRecord, NodeSample, Phase, Validity, Verdict
from harness.report import columns, files
from harness.report.operations import lanes
from harness.report.recording import FILES, Recording, parse
from tests.harness.report import synthetic, unpacking

MEGABYTE = 1_000_000
HOSTILE = "</script><script>alert(1)</script><!--\"'&%%data%%\u2028\x00\x1b[31m∅é\U0001f600"


def recording(run: Path) -> Recording:
    return parse(str(run), {name: (run / name).read_bytes() for name in FILES if (run / name).exists()})


def page(run: Path) -> str:
    return (run / files.PAGE).read_text("utf-8")


def test_twenty_thousand_operations_are_less_than_three_megabytes(runs: Path) -> None:
    assert len(recording(runs / "large").operations) >= 20_000
    assert (runs / "large" / files.PAGE).stat().st_size < 3 * MEGABYTE


@pytest.mark.parametrize("kind", ["valid", "violation", "large", "append", "unknown", "etcd", "empty"])
def test_every_operation_is_in_the_page(runs: Path, kind: str) -> None:
    expected = [
        {
            "process": op.process,
            "value": op.value,
            "result": op.result,
            "began": round(op.invoke_s * 1e6),
            "ended": None if op.return_s is None else round(op.return_s * 1e6),
            "type": str(op.type),
            "f": op.f,
            "key": op.key,
            "node": op.node,
            "error": op.error,
        }
        for op in recording(runs / kind).operations
    ]
    assert unpacking.operations(unpacking.data(page(runs / kind))) == expected


@pytest.mark.parametrize("kind", ["violation", "empty", "etcd"])
def test_the_page_asks_nothing_of_a_network(runs: Path, kind: str) -> None:
    markup = re.sub(
        r'<script type="application/json".*?</script>|<noscript>.*?</noscript>', "", page(runs / kind), flags=re.S
    )
    addresses = set(re.findall(r"https?://[^\s'\"`]+", markup))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # a name, not a place
    assert not re.search(r"\bsrc=|@import|url\((?!data:)|fetch\(|XMLHttpRequest|WebSocket", markup)
    assert set(re.findall(r'href="([^"]*)"', markup)) == {"data:,"}


def test_the_lane_of_a_removed_node_ends(tmp_path: Path) -> None:
    synthetic.write(tmp_path / "run")
    nodes = tmp_path / "run" / "nodes.jsonl"
    samples = [msgspec.json.decode(line, type=NodeSample) for line in nodes.read_bytes().splitlines()]
    kept = [sample for sample in samples if sample.node != "n4" or sample.time_s < 10]
    nodes.write_bytes(b"".join(msgspec.json.encode(sample) + b"\n" for sample in kept))
    files.write(tmp_path / "run")
    told = unpacking.data(page(tmp_path / "run"))
    assert told["removed"] == {"n4": pytest.approx(10, abs=1)}


def test_the_same_run_gives_the_same_page(runs: Path, tmp_path: Path) -> None:
    synthetic.write(tmp_path / "again", stale=True)
    files.write(tmp_path / "again")
    again = page(tmp_path / "again").replace(str(tmp_path / "again"), str(runs / "violation"))
    assert again == page(runs / "violation")


def test_the_violation_is_told_with_its_operations(runs: Path) -> None:
    told = unpacking.data(page(runs / "violation"))
    [story] = told["stories"]
    names, packed = told["names"], told["operations"]
    assert [op["culprit"] for op in story["operations"]] == [False, False, True]
    assert told["answer"]["sentence"].startswith("n4 returned ")
    for op in story["operations"]:
        assert names[packed["f"][op["index"]]] == op["f"]
        assert names[packed["key"][op["index"]]] == story["key"]


def test_a_run_that_was_never_judged_says_so(runs: Path) -> None:
    told = unpacking.data(page(runs / "empty"))
    assert told["answer"]["validity"] == "unknown"
    assert "No verdict was written" in told["answer"]["sentence"]


def hostile(run: Path) -> None:
    event = {"process": 0, "f": HOSTILE, "key": HOSTILE}
    history = [
        Event(type=EventType.INVOKE, value=HOSTILE, **event),
        Event(type=EventType.FAIL, error=HOSTILE, node=HOSTILE, time_s=0.1, **event),
    ]
    told = {"process": 0, "f": HOSTILE, "key": HOSTILE, "value": HOSTILE, "result": None, "type": "ok"}
    evidence = ({**told, "invoke_s": 0.0, "return_s": 0.1, "node": HOSTILE, "error": None},)
    check = Check(
        name=HOSTILE,
        validity=Validity.INVALID,
        sentence=HOSTILE,
        key=HOSTILE,
        operations=evidence,
        detail={HOSTILE: HOSTILE},
    )
    verdict = Verdict(
        validity=Validity.INVALID,
        sentence=HOSTILE,
        checks=(check,),
        assumptions=(Assumption(name=HOSTILE, held=False, sentence=HOSTILE),),
        statistics={HOSTILE: HOSTILE},
    )
    faults = [
        FaultRecord(fault=0, kind=HOSTILE, phase=Phase.INJECT, began_s=0, ended_s=0.1, nodes=(HOSTILE,), detail=HOSTILE)
    ]
    samples = [NodeSample(time_s=0, node=HOSTILE, process=HOSTILE, role=HOSTILE, leader=HOSTILE, voters=(HOSTILE,))]
    manifest = {"command": HOSTILE, "system": HOSTILE, "nodes": [HOSTILE], "seed": 1}
    synthetic.write_files(run, manifest, Header(workload=HOSTILE, system=HOSTILE), history, faults, samples, verdict)


def test_what_comes_out_of_a_run_is_never_markup(tmp_path: Path) -> None:
    hostile(tmp_path / "run")
    files.write(tmp_path / "run")
    text = page(tmp_path / "run")
    assert text.count("<script") == 2
    assert text.count("</script>") == 2
    assert text.count("<!--") == 0
    assert "\x00" not in text
    told = unpacking.data(text)
    [operation] = unpacking.operations(told)
    assert [operation[name] for name in ("f", "key", "value", "error", "node")] == [HOSTILE] * 5
    assert told["answer"]["sentence"] == HOSTILE


def operation(process: int, invoke_s: float, return_s: float | None, type: EventType = EventType.OK) -> Operation:
    return Operation(process, "read", "k", None, 0, invoke_s, type, return_s=return_s)


def test_a_client_keeps_its_lane_when_it_goes_on_under_a_new_number() -> None:
    told = [
        operation(0, 0.0, 1.0),
        operation(1, 0.1, 2.0, EventType.INFO),
        operation(0, 1.1, 9.0),
        operation(2, 2.1, 3.0),
        operation(3, 2.2, None, EventType.INFO),
        operation(4, 3.1, 4.0),
    ]
    assert lanes(told) == {0: 0, 1: 1, 2: 1, 3: 2, 4: 1}


def test_lanes_are_as_many_as_the_clients(runs: Path) -> None:
    assert set(lanes(recording(runs / "large").operations).values()) == set(range(16))


def test_lists_that_grow_cost_what_was_added() -> None:
    values = columns.Values(unordered=False)
    lists = [list(range(length)) for length in range(300)]
    numbers = [values.number(one, "k") for one in lists]
    assert [unpacking.value(values.table.rows, number) for number in numbers] == lists
    assert len(json.dumps(values.table.rows)) < 20_000


def test_lists_that_do_not_resemble_one_another_are_told_by_their_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "SPLICED_ELEMENTS_MAX", 50)
    values = columns.Values(unordered=False)
    values.number(list(range(40)), "k")
    row = values.table.rows[values.number(list(range(100, 140)), "k")]
    assert row["ends"][:3] == [40, 100, 101]
    assert row["ends"][-1] == 139


def test_a_set_has_no_order() -> None:
    values = columns.Values(unordered=True)
    assert values.number(list(range(20)), "k") == values.number(list(reversed(range(20))), "k")


def test_thousands_of_samples_are_thinned_but_no_change_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "SAMPLES_MAX", 100)
    samples = [
        NodeSample(time_s=step / 10, node=node, process="running", role="leader" if step == 333 else "follower", term=1)
        for step in range(500)
        for node in ("n1", "n2")
    ]
    names = columns.Table()
    packed = columns.samples(samples, names)
    assert len(packed["time"]) < 120
    assert [names.rows[role] for role in packed["role"]].count("leader") == 2
