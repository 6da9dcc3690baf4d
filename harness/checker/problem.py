"""One key's actions in the form that the search works on: small integers, tables, and what is still to come.

States are numbers (``DEAD`` is 0: see ``search``), actions are indices, events are ``index + 1`` for an invocation and
``-(index + 1)`` for a return.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any

from harness.checker import evidence
from harness.checker.models import COUNTER, KV, OBSERVERS, RISING, Action, Kind, Model
from harness.checker.stays import Stays, singles
from harness.history.operations import NEVER, Operation

DEAD = 0
"""Any state that no remaining action can tell from any other such state."""
Start = tuple[Any, frozenset[Operation]]
"""A state, and the open operations that have already taken effect there (they are among the actions)."""


class Problem:
    """``initial``: where the key may be. ``horizon``: the position at which to stop, short of the end; what comes later
    is not known then, so no state may be taken for dead, no action for useless, and nobody waits in vain whose return
    is later.
    """

    def __init__(
        self,
        model: Model,
        actions: Sequence[Action],
        initial: Iterable[Start] | None = None,
        horizon: int = NEVER,
    ) -> None:
        steps = [action.gives for action in actions if action.kind is Kind.STEPS]
        if model is COUNTER and all(step >= 0 for step in steps):
            model = RISING
        self.model, self.horizon, self.final = model, horizon, horizon == NEVER
        self.stepped = bool(steps)
        self.grows = model.precedes is not None
        self.values: list[Any] = [None]
        self._ids: dict[Any, int] = {}
        self._observed = list(dict.fromkeys(action.need for action in actions if action.kind is Kind.SEES))
        self._sorted = sorted(self._observed) if model is KV or model is RISING else None
        initial = [(model.initial, frozenset[Operation]())] if initial is None else list(initial)
        self.actions = self._useful(self._telling(actions, initial))
        self._seen = self._happened(initial)
        self._compile()
        place = {action.operation: index for index, action in enumerate(self.actions)}
        self.initial = [
            (self.state(value), [place[operation] for operation in used if operation in place])
            for value, used in initial
        ]
        self.stays = None if self.stepped else self._stays(initial)
        self.due = self._due()
        self.absent = next((need for need, kind in zip(self.need, self.kind, strict=True) if kind is Kind.ENDS), -1)
        self.next_overwrite = self._foresee(Kind.SETS)
        self.next_ending = self._foresee(Kind.SETS, Kind.ENDS)
        self._steps: dict[tuple[int, int], int] = {}

    def _telling(self, actions: Sequence[Action], initial: Sequence[Start]) -> Sequence[Action]:
        """Without mismatches that no order can contradict."""
        if self.stepped:
            return actions
        used = frozenset[Operation]().union(*(operations for _, operations in initial))
        idle = evidence.idle(actions, {value for value, _ in initial}, used)
        idle = {action for action in idle if action.operation.returned < self.horizon}
        return [action for action in actions if action not in idle] if idle else actions

    def _there(self, initial: Sequence[Start]) -> set[Any]:
        """The values that somebody may have brought about, or found, before the beginning."""
        used = frozenset[Operation]().union(*(operations for _, operations in initial))
        before = [action for action in self.actions if action.operation in used]
        return {value for value, _ in initial}.union(*((action.need, action.gives) for action in before))

    def _happened(self, initial: Sequence[Start]) -> dict[Operation, int]:
        if self.stepped or not self.final or all(action.known for action in self.actions):
            return {}
        return evidence.happened(self.actions, self._there(initial))

    def _stays(self, initial: Sequence[Start]) -> Stays:
        kept = range(len(self.actions))
        known = [self.known[index] and self.deadline[index] < self.horizon for index in kept]
        spans = [(self.actions[index].operation.invoked, self.deadline[index]) for index in kept]
        there = {self._ids.get(value, DEAD) for value in self._there(initial)}
        single = singles(self.kind, self.gives, len(self.values), {DEAD, *there})
        return Stays(self.kind, known, self.need, self.gives, spans, single)

    def _useful(self, actions: Sequence[Action]) -> list[Action]:
        """Without actions of unknown outcome that give a register a state which nobody can tell: in any order that
        contains one, it can be left out, since whoever finds the state after it (another change: nobody looks) finds
        the state before it just as well. Not so where something is only said not to have been there."""
        if not self.final or self.stepped or any(action.kind in (Kind.SEES_NOT, Kind.ENDS) for action in actions):
            return list(actions)
        kept = list(actions)
        while True:
            named = {action.need for action in kept if action.kind in (Kind.SEES, Kind.SWAPS)}
            fewer = [action for action in kept if action.known or action.gives in named]
            if len(fewer) == len(kept):
                return kept
            kept = fewer

    def _compile(self) -> None:
        actions = self.actions
        register = not self.stepped
        if register:  # every state that is named anywhere is kept apart; those that are not are DEAD from the start
            for action in actions:
                if action.kind not in (Kind.SETS, Kind.STEPS):
                    self._keep(action.need)
                if not self.final and action.kind in (Kind.SETS, Kind.SWAPS, Kind.ENDS):
                    self._keep(action.gives)
        self.kind = [action.kind for action in actions]
        self.known = [action.known or action.operation in self._seen for action in actions]
        self.need = [
            self.state(action.need) if action.kind not in (Kind.SETS, Kind.STEPS) else -1 for action in actions
        ]
        self.gives = [
            self.state(action.gives) if action.kind in (Kind.SETS, Kind.SWAPS, Kind.ENDS) else -1 for action in actions
        ]
        self.deadline = [self._seen.get(action.operation, action.operation.returned) for action in actions]
        classes: dict[Any, int] = {}
        self.alike = [
            classes.setdefault(
                (action.kind, need, gives, action.gives if action.kind is Kind.STEPS else None), len(classes)
            )
            for action, need, gives in zip(actions, self.need, self.gives, strict=True)
        ]
        marks = [(action.operation.invoked, index + 1) for index, action in enumerate(actions)]
        marks += [(end, -index - 1) for index, end in enumerate(self.deadline) if end < self.horizon]
        marks.sort()
        self.events = [mark for _, mark in marks]

    def tempting(self, state: int) -> bool:
        """Whether an action of unknown outcome might need this state, or one that grows out of it."""
        return self.stays is not None and self.stays.cluster[state] in self.stays.tempting

    def _due(self) -> list[int]:
        """By when each action must have taken effect: a write that comes once, when somebody who saw it returns."""
        due = list(self.deadline)
        if self.stays is not None:
            for index, kind in enumerate(self.kind):
                if kind is Kind.SETS and self.known[index]:
                    block = self.stays.blocks.get(self.gives[index], ())
                    due[index] = min([due[index], *(self.deadline[member] for member in block)])
        return due

    def _foresee(self, *kinds: Kind) -> list[int]:
        """For each event: the earliest moment by which one of the known changes of these kinds that are invoked after
        it must have taken effect."""
        earliest = NEVER
        found = [NEVER] * len(self.events)
        for position in range(len(self.events) - 1, -1, -1):
            found[position] = earliest
            index = self.events[position] - 1
            if index >= 0 and self.kind[index] in kinds and self.known[index]:
                earliest = min(earliest, self.due[index])
        return found

    def _keep(self, value: Any) -> int:
        number = self._ids.get(value)
        if number is None:
            number = self._ids[value] = len(self.values)
            self.values.append(value)
        return number

    def state(self, value: Any) -> int:
        """Its number; DEAD if nothing that is observed can come of it."""
        number = self._ids.get(value)
        if number is not None:
            return number
        if self.final:
            if not self.stepped:
                return DEAD
            if self.model.precedes is not None and not self._leads_anywhere(value):
                self._ids[value] = DEAD
                return DEAD
        return self._keep(value)

    def _leads_anywhere(self, value: Any) -> bool:
        """Whether steps from this state may lead to one that is observed."""
        assert self.model.precedes is not None
        if self._sorted is not None:  # what a text or a number precedes comes directly after it
            place = bisect_left(self._sorted, value)
            return place < len(self._sorted) and self.model.precedes(value, self._sorted[place])
        return any(self.model.precedes(value, seen) for seen in self._observed)

    def step(self, state: int, index: int) -> int:
        """The state after a STEPS action. DEAD stays dead."""
        if state == DEAD:
            return DEAD
        known = self._steps.get((state, self.alike[index]))
        if known is None:
            assert self.model.step is not None, f"{self.model.name} has no steps"
            known = self.state(self.model.step(self.values[state], self.actions[index].gives))
            self._steps[state, self.alike[index]] = known
        return known

    def observes(self, index: int) -> bool:
        """Whether the action only looks."""
        return self.kind[index] in OBSERVERS
