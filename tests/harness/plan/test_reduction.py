"""Smaller plans keep what they keep as it was."""

from __future__ import annotations

from harness.faults.catalog import chosen
from harness.plan import reduction
from harness.plan.drawing import draw
from harness.plan.plan import described
from harness.plan.reduction import Pair

PAIR: Pair = draw(
    seed=3,
    duration_s=40,
    nodes=5,
    kinds=chosen(["kill", "partition", "pause"]),
    workload="register",
    clients=6,
    rate=30,
)


def test_fewer_faults_keep_their_numbers() -> None:
    numbers = [fault.number for fault in PAIR[0].faults][1::2]
    plan, operations = reduction.with_faults(PAIR, numbers)
    assert [fault.number for fault in plan.faults] == numbers
    assert all(fault in PAIR[0].faults for fault in plan.faults)
    assert operations == PAIR[1]


def test_an_earlier_end() -> None:
    plan, operations = reduction.until(PAIR, 10.0)
    assert plan.duration_s == 10.0
    assert all(fault.end_s <= 10.0 for fault in plan.faults)
    assert operations == [operation for operation in PAIR[1] if operation.time_s < 10.0]
    assert plan.operations == described(operations)


def test_shorter_faults() -> None:
    first = PAIR[0].faults[0]
    plan, _ = reduction.with_durations(PAIR, {first.number: 0.25})
    assert plan.faults[0].duration_s == 0.25
    assert plan.faults[1:] == PAIR[0].faults[1:]


def test_fewer_clients() -> None:
    plan, operations = reduction.with_clients(PAIR, [0, 2])
    assert reduction.clients_of(operations) == [0, 2]
    assert (plan.clients, plan.rate) == (2, 10.0)
    assert plan.operations == described(operations)
