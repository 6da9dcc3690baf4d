"""Operations as people see them: those of a whole history, the lanes of their clients, in words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.history.events import Event, EventType
from harness.history.operations import MISMATCH, HistoryError, Operation, Pairing

READS = frozenset({"read", "get"})
DESCRIPTION_CHARS_MAX = 60


def paired(events: Iterable[Event]) -> tuple[Operation, ...]:
    """In the order of their invocations. An event that breaks the history's law is left out: whoever judges says so."""
    pairing = Pairing()
    for event in events:
        try:
            pairing.feed(event)
        except HistoryError:
            continue
    return tuple(sorted(pairing.operations, key=lambda operation: operation.invoke_s))


def answered(operation: Operation) -> bool:
    """The system did what it is for: ok, or a cas that was told of a mismatch."""
    return operation.known or mismatched(operation)


def mismatched(operation: Operation) -> bool:
    """A cas was told that the expected value was not there."""
    return operation.type is EventType.FAIL and operation.error == MISMATCH


def lanes(operations: Sequence[Operation]) -> Mapping[int, int]:
    """Process → lane. Where a client's fate is unknown it goes on under a new number: in the lane that it left."""
    first: dict[int, float] = {}
    last: dict[int, float] = {}
    for operation in operations:
        first.setdefault(operation.process, operation.invoke_s)
        end_s = float("inf") if operation.return_s is None else operation.return_s
        last[operation.process] = max(last.get(operation.process, 0.0), end_s)
    free_at: list[float] = []
    lane_of: dict[int, int] = {}
    for process in sorted(first):
        free = [lane for lane, at_s in enumerate(free_at) if at_s <= first[process]]
        lane = max(free, key=lambda lane: free_at[lane]) if free else len(free_at)
        if lane == len(free_at):
            free_at.append(0.0)
        free_at[lane] = last[process]
        lane_of[process] = lane
    return lane_of


def describe(operation: Operation) -> str:
    """As one says it: ``write v21``, ``read → v17``, ``cas v1 → v2``."""
    asked = operation.value
    if operation.f in READS:
        answer = shown(operation.result) if operation.type is EventType.OK else "?"
        return f"{operation.f} → {answer}"
    if operation.f == "cas" and isinstance(asked, list | tuple) and len(asked) == 2:
        return f"cas {shown(asked[0])} → {shown(asked[1])}"
    return operation.f if asked is None else f"{operation.f} {shown(asked)}"


def shown(value: Any) -> str:
    """A value on one short line; ∅ is absent. Of a long one both ends: of a list the last elements tell the most."""
    if value is None:
        return "∅"
    text = value if isinstance(value, str) and value.isprintable() and value else json.dumps(value, ensure_ascii=False)
    half = DESCRIPTION_CHARS_MAX // 2
    return text if len(text) <= DESCRIPTION_CHARS_MAX else f"{text[: half - 1]}…{text[-half:]}"
