"""Figures, as tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.history.events import EventType
from harness.history.operations import MISMATCH, Operation
from harness.history.records import NodeSample
from harness.report import statistics
from harness.report.bands import Band
from harness.report.statistics import Gap, Recovery


def operation(
    invoke_s: float,
    return_s: float | None,
    type: EventType = EventType.OK,
    f: str = "read",
    error: str | None = None,
    process: int = 0,
) -> Operation:
    return Operation(process, f, "k", None, 0, invoke_s, type, return_s=return_s, error=error)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([7.0], 0.5, 7.0),
        ([7.0], 0.99, 7.0),
        ([1.0, 2.0], 0.5, 1.0),
        ([1.0, 2.0, 3.0], 0.5, 2.0),
        ([float(n) for n in range(1, 101)], 0.99, 99.0),
        ([float(n) for n in range(1, 101)], 1.0, 100.0),
    ],
)
def test_percentile_is_the_nearest_rank(values: list[float], share: float, expected: float) -> None:
    assert statistics.percentile(values, share) == expected


@given(st.lists(st.floats(0, 1e3), min_size=1), st.floats(0.01, 1))
def test_a_percentile_was_measured_and_covers_its_share(values: list[float], share: float) -> None:
    ordered = sorted(values)
    found = statistics.percentile(ordered, share)
    assert found in ordered
    assert sum(value <= found for value in ordered) >= share * len(ordered) - 1e-9


def test_latency_counts_only_what_is_ok() -> None:
    told = [
        operation(0, 0.25),
        operation(0, 0.5, f="write"),
        operation(0, 9, EventType.INFO),
        operation(0, 9, EventType.FAIL),
    ]
    assert statistics.latency(told) == statistics.Latency(2, 0.25, 0.5, 0.5)
    assert list(statistics.latency_by_f(told)) == ["read", "write"]
    assert statistics.latency([told[2]]) is None


def test_slices_hold_what_ended_in_them_and_the_empty_ones_are_there() -> None:
    told = [
        operation(0.1, 0.2),
        operation(0.9, 2.5),
        operation(2.0, 2.6, EventType.FAIL),
        operation(2.1, 3.0, EventType.INFO),
    ]
    found = statistics.slices(told, 1.0, 3.0)
    assert [(one.start_s, one.ok, one.fail, one.info) for one in found] == [(0, 1, 0, 0), (1, 0, 0, 0), (2, 1, 1, 1)]
    assert found[1].latency is None
    assert statistics.slices([], 1.0, 0.0)[0].ok == 0


@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 1), st.sampled_from(["ok", "fail", "info"]))))
def test_every_operation_that_ended_is_in_one_slice(rows: list[tuple[float, float, str]]) -> None:
    told = [operation(begin, begin + took, EventType(type)) for begin, took, type in rows]
    found = statistics.slices(told, 0.5, 10.0)
    assert sum(one.ok + one.fail + one.info for one in found) == len(told)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([], None),
        ([operation(0, 1)], 1.0),
        ([operation(0, 1), operation(0, 1, EventType.INFO)], 0.5),
        ([operation(0, 1, EventType.FAIL, error=MISMATCH)], 1.0),
        ([operation(0, 1, EventType.FAIL, error="NO_LEADER")], 0.0),
    ],
)
def test_availability_is_the_share_that_was_answered(told: list[Operation], expected: float | None) -> None:
    assert statistics.availability(told) == expected


def test_the_longest_silence_counts_the_ends_of_the_run() -> None:
    told = [operation(0, 1.0), operation(1, 1.5), operation(2, 4.0, EventType.INFO)]
    assert statistics.longest_silence(told, 5.0) == Gap(1.5, 5.0)
    assert statistics.longest_silence([], 5.0) == Gap(0.0, 5.0)


def look(time_s: float, *claims: tuple[str, str, int]) -> list[NodeSample]:
    return [
        NodeSample(time_s=time_s, node=node, process="running", role=role, term=term) for node, role, term in claims
    ]


def test_a_leader_is_who_claims_the_highest_term() -> None:
    found = statistics.leader_of(look(0, ("n1", "leader", 1), ("n2", "leader", 2), ("n3", "candidate", 3)))
    assert found is not None
    assert found.node == "n2"


def test_gaps_begin_and_end_with_looks() -> None:
    samples = [
        *look(0.0, ("n1", "leader", 1), ("n2", "follower", 1)),
        *look(0.1, ("n1", "", 0), ("n2", "follower", 1)),
        *look(0.2, ("n1", "", 0), ("n2", "candidate", 2)),
        *look(0.3, ("n1", "", 0), ("n2", "leader", 2)),
        *look(0.4, ("n2", "follower", 2)),
    ]
    assert statistics.leaderless(samples, 0.9) == (Gap(0.1, 0.3), Gap(0.4, 0.9))
    assert statistics.leaderless([], 0.9) == ()


def test_a_node_is_removed_where_a_look_finds_it_no_more() -> None:
    looks = {0.1: "n1 n2 n3", 0.2: "n1 n3", 0.3: "n1 n2 n3 n4", 0.4: "n1 n2 n4", 0.5: "n1 n2"}
    samples = [
        NodeSample(time_s=at, node=node, process="dead") for at, names in looks.items() for node in names.split()
    ]
    assert statistics.removals(samples) == {"n3": 0.4, "n4": 0.5}
    assert statistics.removals([]) == {}


def test_nodes_of_one_look_may_be_seen_at_slightly_different_times() -> None:
    samples = [*look(0.0, ("n1", "follower", 2)), *look(0.003, ("n2", "leader", 2)), *look(0.1, ("n1", "follower", 2))]
    assert [len(one) for one in statistics.rounds(samples)] == [2, 1]


def band(set_s: float, healed_s: float | None) -> Band:
    return Band(0, "kill", set_s - 0.01, set_s, healed_s)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (band(1.0, 2.0), Recovery(0, 0.75, 0.5)),
        (band(1.0, None), Recovery(0, 0.75, None)),
        (band(9.0, 9.5), Recovery(0, None, None)),
    ],
)
def test_recovery_asks_operations_that_began_after_it(fault: Band, expected: Recovery) -> None:
    told = [
        operation(0.5, 1.25),  # was on its way when the fault was set: proves nothing
        operation(1.0, 3.0, process=1),
        operation(1.5, 1.75, process=2),
        operation(2.0, 2.1, EventType.FAIL, process=3),
        operation(2.25, 2.5, process=4),
    ]
    assert statistics.recoveries([fault], told) == (expected,)
