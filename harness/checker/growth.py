"""Quick refutations of what only grows, for keys that ranks do not decide: counters, elements that are added twice.

A later read cannot be of an earlier stage; and a counter that nobody decrements is at least what was acknowledged
before a read began, and at most what had been asked for before it ended.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from harness.checker.models import COUNTER, RISING, Action, Kind, Model


@dataclass(frozen=True, slots=True)
class Decline:
    """``later`` began after ``earlier`` had ended, and does not continue it."""

    earlier: Action
    later: Action


@dataclass(frozen=True, slots=True)
class OutOfBounds:
    """A read of a counter that must be from ``low`` to ``high``."""

    read: Action
    low: int
    high: int


def refute(model: Model, actions: Sequence[Action]) -> Decline | OutOfBounds | None:
    """None: nothing was found, which proves nothing."""
    if any(action.kind not in (Kind.SEES, Kind.STEPS) for action in actions):
        return None
    steps = [action for action in actions if action.kind is Kind.STEPS]
    if model is COUNTER:
        if any(step.gives < 0 for step in steps):
            return None
        model = RISING
    return _decline(model, actions) or (_bounds(actions, steps) if model is RISING else None)


def _decline(model: Model, actions: Sequence[Action]) -> Decline | None:
    if model.precedes is None:
        return None
    reads = [action for action in actions if action.kind is Kind.SEES]
    ended = sorted(reads, key=lambda action: action.operation.returned)
    newest: Action | None = None
    done = 0
    for read in sorted(reads, key=lambda action: action.operation.invoked):
        while ended[done].operation.returned < read.operation.invoked:
            if newest is None or model.precedes(newest.need, ended[done].need):
                newest = ended[done]
            done += 1
        if newest is not None and not model.precedes(newest.need, read.need):
            return Decline(newest, read)
    return None


def _bounds(actions: Sequence[Action], steps: Sequence[Action]) -> OutOfBounds | None:
    ended = sorted((step.operation.returned, step.gives) for step in steps if step.known)
    begun = sorted((step.operation.invoked, step.gives) for step in steps)
    low = [0, *accumulate(by for _, by in ended)]
    high = [0, *accumulate(by for _, by in begun)]
    for action in actions:
        if action.kind is Kind.SEES:
            least = low[bisect_left(ended, (action.operation.invoked, 0))]
            most = high[bisect_left(begun, (action.operation.returned, 0))]
            if not least <= action.need <= most:
                return OutOfBounds(action, least, most)
    return None
