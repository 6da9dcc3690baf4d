"""Smaller plans out of one: fewer faults, less time, fewer clients. Pure; the faults keep their numbers, hence their
own streams of chance, and the operations that are left keep their times."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from harness.faults.fault import Fault, milli
from harness.plan.plan import Operation, Plan, described

Pair = tuple[Plan, list[Operation]]
QUIET_S = 0.5


def with_faults(pair: Pair, numbers: Collection[int]) -> Pair:
    """Only these."""
    plan, operations = pair
    kept = tuple(fault for fault in plan.faults if fault.number in numbers)
    return msgspec.structs.replace(plan, faults=kept), operations


def with_durations(pair: Pair, durations_s: dict[int, float]) -> Pair:
    """Faults of these numbers last so long."""
    plan, operations = pair
    faults = tuple(
        msgspec.structs.replace(fault, duration_s=durations_s.get(fault.number, fault.duration_s))
        for fault in plan.faults
    )
    return msgspec.structs.replace(plan, faults=faults), operations


def until(pair: Pair, end_s: float) -> Pair:
    """Nothing begins after ``end_s``; what is on then is healed by it."""
    plan, operations = pair
    end_s = milli(min(end_s, plan.duration_s))
    faults = tuple(_ended(fault, end_s) for fault in plan.faults if fault.start_s < end_s)
    kept = [operation for operation in operations if operation.time_s < end_s]
    return _with_operations(
        msgspec.structs.replace(plan, faults=faults, duration_s=end_s, quiet_s=min(QUIET_S, plan.quiet_s)), kept
    )


def with_clients(pair: Pair, clients: Collection[int]) -> Pair:
    """Only these clients' operations; the rate falls with them."""
    plan, operations = pair
    kept = [operation for operation in operations if operation.client in clients]
    rate = milli(plan.rate * len(clients) / plan.clients)
    return _with_operations(msgspec.structs.replace(plan, clients=len(clients), rate=rate), kept)


def clients_of(operations: Sequence[Operation]) -> list[int]:
    """Who has anything to do."""
    return sorted({operation.client for operation in operations})


def _ended(fault: Fault, end_s: float) -> Fault:
    return msgspec.structs.replace(fault, duration_s=milli(min(fault.duration_s, end_s - fault.start_s)))


def _with_operations(plan: Plan, operations: list[Operation]) -> Pair:
    return msgspec.structs.replace(plan, operations=described(operations)), operations
