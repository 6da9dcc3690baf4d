"""What other answers prove, before any order is looked for.

``idle``: told mismatches that no order can contradict; they may be left out. Who was told that a value was not there
needs one moment of its own at which it was not. There is one if nobody can have brought the value about by then; or if
another state was certainly there, at a moment after the last of those who bring the value about had returned, or within
the mismatch's own time.

``happened``: actions of unknown outcome that took effect, since somebody found what they alone bring about.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from typing import Any

from harness.checker.models import CHANGES, Action, Kind
from harness.history.operations import Operation

WITNESSES_MAX = 50
"""Looked at for each mismatch; who is not found among the first is hardly ever there."""
BEGINNING = -1


def idle(actions: Sequence[Action], initial: Collection[Any], used: Collection[Operation]) -> set[Action]:
    """The SEES_NOT that may be left out. ``initial``: the states there may be at first; ``used``: what had taken effect
    before that. ``actions`` in the order of invocation."""
    mismatches = [action for action in actions if action.kind is Kind.SEES_NOT]
    if not mismatches:
        return set()
    makers: dict[Any, list[Operation]] = {}
    for action in actions:
        if action.kind in CHANGES:
            makers.setdefault(action.gives, []).append(action.operation)
    witnesses = [action for action in actions if action.known and action.operation not in used]
    invocations = [action.operation.invoked for action in witnesses]
    found = set()
    for mismatch in mismatches:
        began, ended = mismatch.operation.invoked, mismatch.operation.returned
        ends = [maker.returned for maker in makers.get(mismatch.need, ()) if maker.invoked < ended]
        if mismatch.need in initial:
            ends.append(BEGINNING)
        if not ends:
            found.add(mismatch)
            continue
        place = bisect_right(invocations, min(max(ends), began))
        for witness in witnesses[place : place + WITNESSES_MAX]:
            if witness.operation.returned < ended and _apart(witness, mismatch.need):
                found.add(mismatch)
                break
    return found


def _apart(witness: Action, state: Any) -> bool:
    """Whether another state was there when the witness took effect, or directly before or after it."""
    if witness.kind is Kind.SEES:
        return bool(witness.need != state)
    if witness.kind is Kind.SETS:
        return bool(witness.gives != state)
    return witness.kind in (Kind.SWAPS, Kind.ENDS)


def happened(actions: Sequence[Action], there: Collection[Any]) -> dict[Operation, int]:
    """By when each of them had. ``there``: the values that somebody may have brought about, or found, before."""
    makers: dict[Any, list[Action]] = {}
    for action in actions:
        if action.kind in CHANGES:
            makers.setdefault(action.gives, []).append(action)
    found: dict[Operation, int] = {}
    finds = [action for action in actions if action.known and action.kind in (Kind.SEES, Kind.SWAPS)]
    finds.sort(key=lambda action: action.operation.returned)
    for action in finds:  # grows
        made_by = makers.get(action.need, [])
        if action.need in there or len(made_by) != 1:
            continue
        maker = made_by[0]
        if not maker.known and maker.operation not in found:
            found[maker.operation] = found.get(action.operation, action.operation.returned)
            if maker.kind is Kind.SWAPS:
                finds.append(maker)
    return found
