"""The pure judges: presence, assumptions, the verdict and its sentence."""

from __future__ import annotations

from typing import Any

import pytest

from harness.chaos import assumptions, judge
from harness.chaos.presence import presence
from harness.faults.fault import Fault
from harness.history.events import Event, EventType
from harness.history.records import Assumption, Check, FaultRecord, NodeSample, Phase, Validity

OK, FAIL, INFO, INVOKE = EventType.OK, EventType.FAIL, EventType.INFO, EventType.INVOKE


def deed(process: int, end: EventType | None, f: str, value: Any, key: str = "k") -> list[Event]:
    events = [Event(process=process, type=INVOKE, f=f, key=key, value=value)]
    return events + ([Event(process=process, type=end, f=f, key=key, value=value)] if end else [])


def final(value: Any, key: str = "k") -> Event:
    return Event(process=9, type=OK, f="read", key=key, value=value, node="n3", time_s=9.0)


APPENDS = [
    *deed(1, OK, "append", "a"),
    *deed(2, FAIL, "append", "b"),
    *deed(3, INFO, "append", "c"),
    *deed(4, None, "append", "d"),
]


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        (["a"], ""),
        (["a", "c"], ""),
        (["d", "a"], ""),
        ([], "a was acknowledged and is missing"),
        (["a", "a"], "a is there 2 times"),
        (["a", "c", "c"], "c is there 2 times"),
        (["a", "b"], "b is there"),
        (["a", "x"], "x is there"),
    ],
)
@pytest.mark.parametrize("f", ["append", "add"])
def test_elements_are_there_exactly_once(seen: list[str], word: str, f: str) -> None:
    events = [Event(process=e.process, type=e.type, f=f, key=e.key, value=e.value) for e in APPENDS]
    check = presence(events, [final(seen)], "append")
    assert word in check.sentence
    assert check.validity is (Validity.INVALID if word else Validity.VALID)


@pytest.mark.parametrize(("seen", "valid"), [(2, False), (3, True), (7, True), (8, False), (None, False)])
def test_a_counter_counts_what_was_acknowledged(seen: int | None, valid: bool) -> None:
    events = [
        *deed(1, OK, "increment", 1),
        *deed(1, OK, "increment", 2),
        *deed(2, FAIL, "increment", 2),
        *deed(3, INFO, "increment", 3),
        *deed(4, None, "increment", 1),
    ]
    assert (presence(events, [final(seen)], "counter").validity is Validity.VALID) is valid


def test_without_final_reads_nothing_is_known() -> None:
    assert presence(APPENDS, [], "append").validity is Validity.UNKNOWN
    assert presence([], [], "register").validity is Validity.VALID


def record(fault: int, phase: Phase, fired: bool | None = None, detail: str = "") -> FaultRecord:
    return FaultRecord(fault=fault, kind="kill", phase=phase, began_s=0, ended_s=0, fired=fired, detail=detail)


FAULTS = [Fault(number=number, kind="kill", start_s=float(number), duration_s=1.0) for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("records", "until_s", "held", "word"),
    [
        ([record(n, p, True if p is Phase.PROBE else None) for n in (1, 2, 3) for p in Phase], 9.0, True, "3 of 3"),
        ([record(1, Phase.INJECT), record(1, Phase.PROBE, None)], 2.5, True, "1 of 1"),
        ([record(1, Phase.INJECT), record(1, Phase.PROBE, False)], 2.5, False, "no effect"),
        ([record(1, Phase.INJECT, False, "refused")], 2.5, False, "refused"),
        ([], 3.5, False, "0 of 2 faults fired"),
        ([], 0.5, True, "0 of 0"),
    ],
)
def test_each_fault_that_was_due_has_fired(records: list[FaultRecord], until_s: float, held: bool, word: str) -> None:
    assumption = assumptions.fired(FAULTS, records, until_s)
    assert assumption.held is held
    assert word in assumption.sentence


@pytest.mark.parametrize(("done", "held"), [(0, False), (100, False), (200, True), (900, True)])
def test_the_minimum_rate(done: int, held: bool) -> None:
    assert assumptions.rate(100.0, done, 10.0).held is held


@pytest.mark.parametrize(
    ("events", "held"),
    [
        ([*deed(1, OK, "write", "a"), *deed(1, OK, "write", "b")], True),
        ([*deed(1, None, "write", "a"), *deed(2, OK, "write", "b")], True),
        ([*deed(1, None, "write", "a"), *deed(1, OK, "write", "b")], False),
        ([*deed(1, INFO, "write", "a"), *deed(1, OK, "write", "b")], False),
        (deed(1, OK, "write", "a")[1:], False),
    ],
)
def test_clients_do_one_thing_at_a_time(events: list[Event], held: bool) -> None:
    assert assumptions.sequential(events).held is held


def node(name: str, role: str, voters: tuple[str, ...] = ("n1", "n2"), **more: Any) -> NodeSample:
    return NodeSample(time_s=0, node=name, process="running", role=role, voters=voters, **more)


@pytest.mark.parametrize(
    ("samples", "word"),
    [
        ([node("n1", "leader"), node("n2", "follower")], ""),
        ([node("n1", "follower"), node("n2", "follower")], "leaders: none"),
        ([node("n1", "leader"), node("n2", "leader")], "leaders: n1, n2"),
        ([node("n1", "leader"), node("n2", "")], "no answer from n2"),
        ([node("n1", "leader"), node("n2", "follower", ("n2",))], "not all nodes vote by the word of n2"),
    ],
)
def test_health(samples: list[NodeSample], word: str) -> None:
    assumption = assumptions.healthy("healthy", samples)
    assert assumption.held is (not word)
    assert word in assumption.sentence


def test_an_empty_store() -> None:
    assert assumptions.empty([]).held
    assert not assumptions.empty(["k1"]).held


def check(name: str, validity: Validity, sentence: str = "") -> Check:
    return Check(name=name, validity=validity, sentence=sentence)


@pytest.mark.parametrize(
    ("checks", "validity", "sentence"),
    [
        ([check("a", Validity.VALID), check("b", Validity.VALID)], Validity.VALID, "2 checks found nothing wrong"),
        ([check("a", Validity.UNKNOWN, "why"), check("b", Validity.VALID)], Validity.UNKNOWN, "a: why"),
        ([check("a", Validity.UNKNOWN, "x"), check("b", Validity.INVALID, "y")], Validity.INVALID, "b: y"),
    ],
)
def test_the_worst_check_speaks(checks: list[Check], validity: Validity, sentence: str) -> None:
    verdict = judge.verdict(checks, [], {})
    assert (verdict.validity, verdict.sentence) == (validity, sentence)


def test_an_assumption_that_did_not_hold_is_told_and_changes_nothing() -> None:
    failed = Assumption(name="minimum rate", held=False, sentence="3 of 100")
    verdict = judge.verdict([check("a", Validity.VALID)], [failed], {})
    assert verdict.validity is Validity.VALID
    assert "minimum rate: 3 of 100" in verdict.sentence


def at(name: str, applied: int, digest: str) -> NodeSample:
    return node(name, "follower", applied=applied, digest=digest)


@pytest.mark.parametrize(
    ("last", "validity"),
    [
        ([at("n1", 5, "a"), at("n2", 5, "a")], Validity.VALID),
        ([at("n1", 5, "a"), at("n2", 5, "b")], Validity.INVALID),
        ([at("n1", 5, "a"), at("n2", 4, "b")], Validity.INVALID),
        ([at("n1", 5, "a"), at("n2", 5, "")], Validity.INVALID),
    ],
)
def test_all_nodes_end_equal(last: list[NodeSample], validity: Validity) -> None:
    found = judge.equal_digests(last, 30.0)
    assert found is not None
    assert found.validity is validity


def test_a_system_without_digests_is_not_judged_by_them() -> None:
    assert judge.equal_digests([at("n1", 5, ""), at("n2", 5, "")], 30.0) is None


@pytest.mark.parametrize(
    ("first_write_s", "unread", "word"),
    [
        (0.5, {"n1": [], "n2": []}, ""),
        (None, {"n1": []}, "no write was acknowledged"),
        (0.5, {"n1": ["k1", "k2", "k3", "k4"]}, "n1 could not read k1, k2, k3 and 1 more"),
    ],
)
def test_progress(first_write_s: float | None, unread: dict[str, list[str]], word: str) -> None:
    found = judge.progress(first_write_s, unread, 30.0)
    assert word in found.sentence
    assert found.validity is (Validity.INVALID if word else Validity.VALID)


def test_crashes_and_idleness() -> None:
    assert judge.crashes([]).validity is Validity.VALID
    assert judge.crashes(["n1 logged: AssertionError"]).validity is Validity.INVALID
    assert judge.acknowledged(0).validity is Validity.UNKNOWN
    assert judge.acknowledged(1).validity is Validity.VALID
