"""Keys judged side by side: each has its own search, and they take turns with growing budgets, easy ones first.

So one key that cannot be decided does not hide a violation on another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from harness.checker.decisions import decide
from harness.checker.models import Model
from harness.checker.problem import Problem, Start
from harness.checker.search import Outcome, Search
from harness.checker.verdicts import ADVICE, Judgement, KeyVerdict, overlap
from harness.history.events import EventType
from harness.history.operations import MISMATCH, Operation
from harness.history.records import Validity

STEPS_MAX = 3_000_000
"""For one key: some ten to thirty seconds."""
FIRST_ROUND, GROWTH = 2_000, 4


class KeyJudge:
    """One key. ``initial``: where it stood before these operations (None: at the beginning)."""

    def __init__(
        self, model: Model, key: str | None, operations: Sequence[Operation], initial: Iterable[Start] | None = None
    ) -> None:
        self.key = key
        self.operations = [o for o in operations if o.type is not EventType.FAIL or o.error == MISMATCH]
        self.count = len(operations)
        self.search: Search | None = None
        self.validity: Validity | None = None
        actions = model.actions(operations)
        decided = decide(model, actions) if initial is None else None
        if decided is not None:
            self.validity = Validity.VALID if decided else Validity.INVALID
        else:
            self.search = Search(Problem(model, actions, initial))

    def advance(self, steps: int) -> None:
        """Go on until ``validity`` is known, for at most about so many steps."""
        if self.validity is not None or self.search is None:
            return
        outcome = self.search.advance(steps)
        if outcome is Outcome.LINEARIZABLE:
            self.validity = Validity.VALID
        elif outcome is Outcome.NOT:
            self.validity = Validity.INVALID
        elif outcome is Outcome.TOO_WIDE:
            self.validity = Validity.UNKNOWN

    def verdict(self) -> KeyVerdict:
        """As far as it is known now."""
        search = self.search
        validity = self.validity or Validity.UNKNOWN
        undecided = validity is Validity.UNKNOWN
        return KeyVerdict(
            key=self.key,
            validity=validity,
            operations=self.count,
            unknown=sum(operation.type is EventType.INFO for operation in self.operations),
            overlap=overlap(self.operations),
            width=search.width if search else 1,
            steps=search.steps if search else 0,
            window=self._window() if undecided else None,
            advice=ADVICE if undecided else "",
        )

    def _window(self) -> tuple[int, float]:
        """How many of its events were gone through, and the moment that they reach to."""
        assert self.search is not None
        events, actions = self.search.problem.events, self.search.problem.actions
        position = min(self.search.position, len(events) - 1)
        operation = actions[abs(events[position]) - 1].operation
        time_s = operation.invoke_s if events[position] > 0 else operation.return_s
        return position, time_s or 0.0


def partition(operations: Iterable[Operation]) -> dict[str | None, list[Operation]]:
    """By key, in the order of their first operation."""
    keys: dict[str | None, list[Operation]] = {}
    for operation in operations:
        keys.setdefault(operation.key, []).append(operation)
    return keys


def settle(judges: Sequence[KeyJudge], steps_max: int) -> None:
    """Advance them in turns until each is decided or has had ``steps_max`` steps."""
    waiting = sorted(judges, key=lambda judge: len(judge.operations))
    allowance, spent = FIRST_ROUND, 0
    while waiting and spent < steps_max:
        allowance = min(allowance, steps_max - spent)
        for judge in waiting:
            judge.advance(allowance)
        waiting = [judge for judge in waiting if judge.validity is None]
        spent += allowance
        allowance *= GROWTH


def judge(model: Model, keys: Mapping[str | None, Sequence[Operation]], steps_max: int = STEPS_MAX) -> Judgement:
    """A whole history, by its keys. Raises HistoryError for operations that the model does not have."""
    judges = [KeyJudge(model, key, operations) for key, operations in keys.items()]
    settle(judges, steps_max)
    return Judgement(model.name, {judge.key: judge.verdict() for judge in judges})
