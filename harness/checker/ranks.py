"""Things that only grow, and elements that are added once: decided in linear time, however many operations overlap.

Every read of such a list or set shows a stage of its growth, and stages are in an order: shorter before longer. So each
operation has a rank: an addition belongs before the first stage that has it and after the last that has not (in a list,
after its neighbour); one that no read ever saw belongs after all stages. A linearization must follow the ranks, and any
order that does explains every answer; so there is one exactly if no operation ended before another of lower rank began.
An addition of unknown outcome that was never seen might as well not have happened.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise

from harness.checker.models import APPEND, KV, SET, Action, Kind, Model

Rank = tuple[int, int, int]
UNSEEN = 1 << 60
LETTERS_MAX = 10_000
"""Of an appended piece; of a text with longer ones nothing is spelled."""


class Flaw(Enum):
    """Why there is no linearization."""

    THIN_AIR = "thin air"
    """``first`` has an element that nobody added, or more often than it was added."""
    DIVERGED = "diverged"
    """Neither of two reads is a stage of the other."""
    ORDER = "order"
    """``first`` ended before ``second`` began, but ranks after it; ``witness``: a read that shows it."""


@dataclass(frozen=True, slots=True)
class Refutation:
    """The actions that contradict each other; ``element``: whose addition it is about."""

    flaw: Flaw
    first: Action
    second: Action | None = None
    witness: Action | None = None
    element: object = None


def applies(model: Model, actions: Sequence[Action]) -> bool:
    """Whether ranks decide this key."""
    if model is not APPEND and model is not SET:
        return False
    added = [action.gives for action in actions if action.kind is Kind.STEPS]
    return len(set(added)) == len(added) and all(action.kind in (Kind.SEES, Kind.STEPS) for action in actions)


def spelled(model: Model, actions: Sequence[Action]) -> tuple[Model, Sequence[Action]]:
    """Texts that are only appended to, as the lists of what was appended; anything else as it is.

    Only where a text can be read in one way: no appended piece begins with another, and each was appended once.
    """
    if model is not KV or any(action.kind not in (Kind.SEES, Kind.STEPS) for action in actions):
        return model, actions
    pieces = sorted(action.gives for action in actions if action.kind is Kind.STEPS)
    if any(later.startswith(piece) for piece, later in pairwise(pieces)) or any(
        len(piece) not in range(1, LETTERS_MAX) for piece in pieces
    ):
        return model, actions
    listed = []
    for action in actions:
        if action.kind is Kind.SEES:
            parts = _spell(action.need, pieces)
            if parts is None:
                return model, actions
            action = replace(action, need=parts)
        listed.append(action)
    return APPEND, listed


def _spell(text: str, pieces: Sequence[str]) -> tuple[str, ...] | None:
    parts, place = [], 0
    while place < len(text):
        # The piece that the rest begins with sorts directly before the rest, since none begins with another.
        found = bisect_right(pieces, text[place : place + LETTERS_MAX]) - 1
        if found < 0 or not text.startswith(pieces[found], place):
            return None
        parts.append(pieces[found])
        place += len(pieces[found])
    return tuple(parts)


def refute(model: Model, actions: Sequence[Action]) -> Refutation | None:
    """None: linearizable. ``applies`` must hold."""
    adders = {action.gives: action for action in actions if action.kind is Kind.STEPS}
    reads = sorted((action for action in actions if action.kind is Kind.SEES), key=lambda action: len(action.need))
    ranks: dict[Action, Rank] = {}
    stage, shown, so_far = -1, 0, model.initial
    witness: dict[object, Action] = {}  # element → the first stage that has it
    before: Action | None = None
    for read in reads:
        if before is None or read.need != before.need:
            assert model.precedes is not None
            if before is not None and not model.precedes(before.need, read.need):
                return Refutation(Flaw.DIVERGED, before, read)
            stage += 1
            fresh: Iterable[object] = read.need[len(so_far) :] if model is APPEND else read.need - so_far
            for element in fresh:
                adder = adders.get(element)
                if adder is None or element in witness:
                    return Refutation(Flaw.THIN_AIR, read, adder, witness.get(element), element)
                shown += 1
                witness[element] = read
                ranks[adder] = (stage, 0, shown if model is APPEND else 0)
            so_far = read.need
        before = read
        ranks[read] = (stage, 1, 0)
    return _out_of_order(actions, ranks, reads)


def _out_of_order(actions: Sequence[Action], ranks: dict[Action, Rank], reads: Sequence[Action]) -> Refutation | None:
    unseen = (UNSEEN, 0, 0)
    judged = [action for action in actions if action.known or action in ranks]
    begun = sorted(judged, key=lambda action: action.operation.invoked)
    ended = sorted(judged, key=lambda action: action.operation.returned)
    highest: tuple[Rank, Action] | None = None
    done = 0
    for action in begun:
        while ended[done].operation.returned < action.operation.invoked:
            rank = ranks.get(ended[done], unseen)
            if highest is None or rank > highest[0]:
                highest = rank, ended[done]
            done += 1
        rank = ranks.get(action, unseen)
        if highest is not None and highest[0] > rank:
            witness = None
            if action.kind is Kind.STEPS:  # a read that has it, and not the earlier one (or has that behind it)
                witness = next(read for read in reads if action.gives in read.need)
            return Refutation(Flaw.ORDER, highest[1], action, witness)
    return None
