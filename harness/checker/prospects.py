"""What is still to come of a key's history, and what is open: who waits for which state, who brings it about.

Kept up to date event by event by the search; a configuration's mask says which of the open actions are done in it.
"""

from __future__ import annotations

from collections import defaultdict

from harness.checker.models import Kind
from harness.checker.problem import Problem

SEES, SEES_NOT, SETS, SWAPS, ENDS, STEPS = Kind


class Prospects:
    """``looks``, ``unknown``: masks of the open actions that only look, or are of unknown outcome. ``negatives``: those
    open or to come that are told what was not there."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.looks = self.unknown = self.negatives = 0
        self._sees: defaultdict[int, int] = defaultdict(int)  # state → mask of open looks that it satisfies
        self._not: defaultdict[int, int] = defaultdict(int)  # state → mask of open looks that it alone does not satisfy
        self._not_all = 0
        self._waiting: defaultdict[int, int] = defaultdict(int)  # state → mask of open known actions that need it
        self._makers: defaultdict[int, int] = defaultdict(int)  # state → mask of open actions that bring it about
        self._future_waiting: defaultdict[int, int] = defaultdict(int)
        self._future_makers: defaultdict[int, int] = defaultdict(int)
        self._mentions: defaultdict[int, int] = defaultdict(int)  # by those open or to come
        self._future_looks = self._pressing = 0  # SEES that must be done by the horizon: to come, and a mask
        self._one_maker = problem.stepped and problem.grows  # any overwrite may lead back to any state
        self._may_strand = not problem.stepped or problem.grows
        for index in range(len(problem.actions)):
            self._expect(index)

    def _expect(self, index: int) -> None:
        problem = self._problem
        kind, need = problem.kind[index], problem.need[index]
        self._future_waiting[need] += self._waits(index)
        self._future_looks += self._presses(index)
        self.negatives += kind is SEES_NOT or kind is ENDS
        if need >= 0:
            self._mentions[need] += 1
        if kind is SETS or kind is SWAPS or kind is ENDS:
            self._future_makers[self._maker(problem.gives[index])] += 1

    def _maker(self, state: int) -> int:
        return 0 if self._one_maker else state

    def _presses(self, index: int) -> bool:
        return self._problem.kind[index] is SEES and self._problem.deadline[index] < self._problem.horizon

    def _waits(self, index: int) -> bool:
        """Whether it must find the state that it needs, by the horizon."""
        problem = self._problem
        kind = problem.kind[index]
        waits = kind is SEES or (kind is SWAPS and problem.known[index])
        return waits and problem.deadline[index] < problem.horizon

    def begin(self, index: int, bit: int) -> None:
        """The action is open from now on, under this bit."""
        problem = self._problem
        kind, need = problem.kind[index], problem.need[index]
        if kind is SEES:
            self._sees[need] |= bit
            self.looks |= bit
        elif kind is SEES_NOT:
            self._not[need] |= bit
            self._not_all |= bit
            self.looks |= bit
        elif not problem.known[index]:
            self.unknown |= bit
        if self._presses(index):
            self._future_looks -= 1
            self._pressing |= bit
        if self._waits(index):
            self._waiting[need] |= bit
            self._future_waiting[need] -= 1
        if kind is SETS or kind is SWAPS or kind is ENDS:
            maker = self._maker(problem.gives[index])
            self._makers[maker] |= bit
            self._future_makers[maker] -= 1

    def end(self, index: int, bit: int) -> bool:
        """The action has returned. Whether the state that it needs is of no interest to anybody from now on."""
        problem = self._problem
        kind, need = problem.kind[index], problem.need[index]
        if kind is SEES:
            self._sees[need] &= ~bit
        elif kind is SEES_NOT:
            self._not[need] &= ~bit
            self._not_all &= ~bit
        self.looks &= ~bit
        self._pressing &= ~bit
        if self._waits(index):
            self._waiting[need] &= ~bit
        if kind is SETS or kind is SWAPS or kind is ENDS:
            self._makers[self._maker(problem.gives[index])] &= ~bit
        self.negatives -= kind is SEES_NOT or kind is ENDS
        if need < 0:
            return False
        self._mentions[need] -= 1
        return not self._mentions[need] and problem.final and not problem.stepped

    def satisfied(self, state: int) -> int:
        """The mask of open looks for which this state will do."""
        return self._sees.get(state, 0) | (self._not_all & ~self._not.get(state, 0))

    def loss(self, state: int) -> tuple[int, int]:
        """Rule 3, for a state that is left: the mask of those who wait for it (all bits: some are still to come), and
        of those who bring it back. A configuration is lost that has not placed one of the first, but all of the second.
        """
        maker = self._maker(state)
        if not self._may_strand or self._future_makers.get(maker, 0):
            return 0, 0
        return -1 if self._future_waiting.get(state, 0) else self._waiting.get(state, 0), self._makers.get(maker, 0)

    def hopeless(self, mask: int) -> bool:
        """Rule 9: a dead state of growing things is left by overwriting only; whoever waits to see something waits for
        ever."""
        if self._future_makers.get(0, 0) or self._makers.get(0, 0) & ~mask:
            return False
        return bool(self._future_looks or self._pressing & ~mask)
