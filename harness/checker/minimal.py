"""The few operations that show a violation: what can be left out is, as long as the rest is not linearizable by itself.

Leaving out must not invent a violation, such as a read of a value whose write is gone. So every step is one that a
linearizable history survives: take a linearization of the whole; without the operations left out it is one of the rest,
provided that each look that stays keeps every change that may have brought about what it saw. For a register those are
the changes to that value that were not certainly overwritten before; a look that loses one goes as well, and a cas or
delete that loses one stays as a blind write. Where states grow by steps, a look keeps every step whose element it saw.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace as replaced

from harness.checker.decisions import decide
from harness.checker.models import CHANGES, OBSERVERS, Action, Kind, Model
from harness.checker.problem import Problem
from harness.checker.search import Outcome, Search
from harness.history.events import EventType
from harness.history.operations import NEVER, Operation

STEPS_MAX = 100_000
"""For one trial; one that is not decided by then counts as linearizable."""
TRIALS_MAX = 400
TOTAL_STEPS_MAX = 500_000
FRESHER_MAX = 20


def shortest_prefix(operations: Sequence[Operation], refuted: Callable[[Sequence[Operation]], bool]) -> int:
    """The position of the return at which the history stops being linearizable. ``refuted(operations)`` must hold."""
    ends = sorted(operation.returned for operation in operations if operation.returned != NEVER)
    place = bisect_left(ends, True, hi=len(ends) - 1, key=lambda end: refuted(until(operations, end)))
    return ends[place]


def until(operations: Sequence[Operation], position: int) -> list[Operation]:
    """The history up to and with ``position``: what was open then is of unknown outcome."""
    return [
        operation if operation.returned <= position else _open(operation)
        for operation in operations
        if operation.invoked <= position
    ]


def _open(operation: Operation) -> Operation:
    if operation.returned == NEVER:
        return operation
    return replaced(operation, type=EventType.INFO, result=None, returned=NEVER, return_s=None, error=None)


class Reduction:
    """Of one key's actions, by index; ``reduce`` gives those that are left."""

    def __init__(self, model: Model, actions: Sequence[Action]) -> None:
        self._model, self._actions = model, actions
        self._stepped = any(action.kind is Kind.STEPS for action in actions)
        self._trials = self._steps = 0
        self._needs = self._dependencies()

    def reduce(self) -> list[Action]:
        """Leave out halves, quarters, … and single ones, until nothing more can go. They must not be linearizable."""
        kept = self._latest()
        size = max(1, len(kept) // 2)
        while True:
            smaller = self._without_chunks(kept, size)
            if size == 1 and len(smaller) == len(kept):
                return [self._actions[index] for index in self._fresher(smaller)]
            kept = smaller
            size = max(1, min(size // 2, len(kept) // 2))

    def _fresher(self, kept: list[int]) -> list[int]:
        """Instead of a change that only overwrites, the last one that does it as well."""
        needed = set().union(*(self._needs[index] for index in kept))
        for old in kept:
            if self._actions[old].kind not in CHANGES or old in needed:
                continue
            later = [index for index in range(old + 1, kept[-1]) if self._actions[index].kind in CHANGES]
            for index in later[: -FRESHER_MAX - 1 : -1]:
                other = sorted({*kept, index} - {old})
                if index not in kept and self.closed(set(other)) == other and self.refuted(other):
                    kept = other
                    break
        return kept

    def _latest(self) -> list[int]:
        """The shortest end of the history that will do, by doubling: what is recent says most."""
        count, size = len(self._actions), 4
        while size < count:
            end = self.closed(set(range(count - size, count)))
            if self.refuted(end):
                return end
            size *= 2
        return list(range(count))

    def _without_chunks(self, kept: list[int], size: int) -> list[int]:
        start = 0
        while start < len(kept) and self._trials < TRIALS_MAX and self._steps < TOTAL_STEPS_MAX:
            fewer = self.closed({*kept[:start], *kept[start + size :]})
            if len(fewer) < len(kept) and self.refuted(fewer):
                kept = fewer
                start = min(start, len(kept))
            else:
                start += size
        return kept

    def closed(self, kept: set[int]) -> list[int]:
        """Without the looks that lack a change which they need."""
        lacking = [index for index in kept if self._actions[index].kind in OBSERVERS and not self._needs[index] <= kept]
        return sorted(kept.difference(lacking))

    def refuted(self, kept: Sequence[int]) -> bool:
        """Whether these (``closed``) are not linearizable by themselves: then neither is the whole."""
        self._trials += 1
        here = set(kept)
        actions = [self._actions[index] if self._needs[index] <= here else self._blind(index) for index in kept]
        decided = decide(self._model, actions)
        if decided is not None:
            self._steps += len(kept)
            return not decided
        search = Search(Problem(self._model, actions))
        outcome = search.advance(STEPS_MAX)
        self._steps += search.steps + len(kept)
        return outcome is Outcome.NOT

    def _blind(self, index: int) -> Action:
        action = self._actions[index]
        return replaced(action, kind=Kind.SETS, need=None)

    # ---- who needs whom

    def _dependencies(self) -> list[frozenset[int]]:
        if self._stepped:
            return [self._contributors(action) for action in self._actions]
        changes = [index for index, action in enumerate(self._actions) if action.kind in CHANGES]
        known = sorted(
            (self._actions[index].operation.returned, self._actions[index].operation.invoked)
            for index in changes
            if self._actions[index].known
        )
        latest, newest = [], -1
        for _, invoked in known:
            newest = max(newest, invoked)
            latest.append(newest)
        ends = [end for end, _ in known]
        self._done = self._latest_effects()
        return [self._makers(action, changes, ends, latest) for action in self._actions]

    def _makers(
        self, look: Action, changes: Sequence[int], ends: Sequence[int], latest: Sequence[int]
    ) -> frozenset[int]:
        """The changes that may have left what ``look`` found. If all were overwritten before it, the last of them, and
        for what was not to be found the last that brought it about: without it nobody would see what is wrong."""
        if look.kind is Kind.SETS:
            return frozenset()
        before = bisect_left(ends, look.operation.invoked)
        overwritten = latest[before - 1] if before else -1
        wanted = look.kind in (Kind.SEES, Kind.SWAPS)
        possible = [
            index
            for index in changes
            if self._actions[index] is not look
            and (self._actions[index].gives == look.need) is wanted
            and self._actions[index].operation.invoked < look.operation.returned
        ]
        found = [index for index in possible if self._done[index] >= overwritten]
        if found:
            return frozenset(found)
        if not wanted:
            possible = [
                index
                for index in changes
                if self._actions[index].gives == look.need
                and self._actions[index].operation.returned < look.operation.invoked
            ]
        return frozenset(sorted(possible, key=lambda index: self._actions[index].operation.returned)[-1:])

    def _latest_effects(self) -> list[int]:
        """By when each action took effect, if it did: when it returned, or somebody saw what it alone gives."""
        seen: dict[object, int] = {}
        for action in self._actions:
            if action.kind is Kind.SEES or (action.kind is Kind.SWAPS and action.known):
                seen[action.need] = min(seen.get(action.need, NEVER), action.operation.returned)
        makers = Counter(action.gives for action in self._actions if action.kind in CHANGES)
        return [
            min(action.operation.returned, seen.get(action.gives, NEVER))
            if action.kind in CHANGES and makers[action.gives] == 1 and action.gives != self._model.initial
            else action.operation.returned
            for action in self._actions
        ]

    def _contributors(self, look: Action) -> frozenset[int]:
        """The steps and overwrites that may be part of what ``look`` saw."""
        if look.kind is not Kind.SEES:
            return frozenset()
        return frozenset(
            index
            for index, action in enumerate(self._actions)
            if action.kind is not Kind.SEES
            and action.operation.invoked < look.operation.returned
            and self._part(action, look.need)
        )

    def _part(self, action: Action, state: object) -> bool:
        if isinstance(state, str):
            return state.startswith(action.gives) if action.kind is Kind.SETS else action.gives in state
        if isinstance(state, tuple | frozenset):
            return action.gives in state
        return True  # a sum has parts that cannot be told apart
