"""Which open writes may be hidden at one return: rules 4 and 5 of the search.

A write that comes once is hidden together with all who saw it and what grew out of it, once all of those have begun.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from harness.checker.models import Kind
from harness.checker.problem import DEAD, Problem
from harness.history.operations import NEVER

SETS, ENDS, STEPS = Kind.SETS, Kind.ENDS, Kind.STEPS
NOTHING = -1


class Hideable(NamedTuple):
    """``due``: by when; ``mask``: whom; ``latest``: if something that hides it as well must happen before ``due``, then
    by when at the latest. ``hidden``: the state that somebody might miss."""

    due: int
    mask: int
    action: int
    latest: int
    hidden: int


class Hiding:
    """``free``: the mask of those that it costs nothing to hide; ``rows``: the others, by ``due``. ``over``: the open
    known ones that hide others, by when they must: (due, bit, whether a missing value too)."""

    def __init__(
        self,
        problem: Problem,
        open_: Sequence[tuple[int, int]],
        bits: Sequence[int],
        now: Sequence[int],
        position: int,
        negatives: int,
    ) -> None:
        self.free = 0
        self.together: dict[int, int] = {}
        self.rows: list[Hideable] = []
        self.over: list[tuple[int, int, bool]] = []
        moment = problem.deadline[-problem.events[position] - 1]
        ending, overwrite = problem.next_ending[position], problem.next_overwrite[position]
        free = not negatives and not problem.stepped
        for deadline, index in open_:
            if deadline == NEVER:
                break
            kind, bit, due = problem.kind[index], bits[index], problem.due[index]
            if kind is ENDS or kind is SETS:
                self.over.append((due, bit, kind is SETS))
            if kind is STEPS:
                self.rows.append(Hideable(deadline, bit, index, overwrite, NOTHING))
            if kind is not SETS or due < moment:  # who must have happened has been placed
                continue
            given = now[problem.gives[index]]
            block = _block(problem, bits, moment, given)
            if block:
                self.together[given] = block
            if free and (given == DEAD or (block and not problem.tempting(given))):
                self.free |= bit | block
            else:
                latest = overwrite if given == problem.absent else ending
                self.rows.append(Hideable(due, block or bit, index, latest, NOTHING if block else given))
        self.rows.sort()
        self.over.sort()


def _block(problem: Problem, bits: Sequence[int], moment: int, given: int) -> int:
    """The mask of a write of this value with all who must see it or what grew out of it; 0 if some have not begun."""
    stays = problem.stays
    if stays is None or not problem.final or stays.until[given] > moment:
        return 0
    block = 0
    for index in stays.blocks.get(given, ()):
        block |= bits[index]
    return block
