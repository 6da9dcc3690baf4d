"""The checker as a run uses it: ``feed`` events as they happen, ask for the ``verdict`` now and then.

Linearizability is closed under prefixes (an open operation is one of unknown outcome), so a verdict of invalid stays. A
verdict judges only keys touched since the last one, and of those only what came after the last cut: a moment up to
which the outcomes of all operations are settled. There the configurations are carried over; they are found by a search
that takes no state for dead, since what comes later may look at any.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from harness.checker import judging
from harness.checker.judging import KeyJudge
from harness.checker.models import MODELS, Model, infer
from harness.checker.problem import Problem, Start
from harness.checker.search import Outcome, Search
from harness.checker.verdicts import Judgement, KeyVerdict
from harness.history.events import Event, EventType
from harness.history.operations import NEVER, Operation, Pairing
from harness.history.records import Validity

CUT_AFTER = 128
"""Operations since the last cut that make another one worth its search."""
CUT_STEPS = 30_000
CUT_STATES_MAX = 100
"""More states than this to carry over would cost every later verdict more than they save."""


@dataclass(slots=True)
class _Key:
    """``recent``: what must be judged again when the key is touched, from ``start`` on. ``patience``: how long it must
    be before a cut is tried; ``searched``: whether no quicker way judges it."""

    key: str | None
    patience: int
    all: list[Operation] = field(default_factory=list)
    recent: list[Operation] = field(default_factory=list)
    start: list[Start] | None = None
    touched: bool = True
    searched: bool = False
    verdict: KeyVerdict | None = None


class Checker:
    """``model``: one of ``MODELS``' names; None: inferred at each verdict, and everything judged again."""

    def __init__(
        self, model: str | None = None, steps_max: int = judging.STEPS_MAX, cut_after: int = CUT_AFTER
    ) -> None:
        self._model = MODELS[model] if model is not None else None
        self._steps_max, self._cut_after = steps_max, cut_after
        self._pairing = Pairing()
        self._keys: dict[str | None, _Key] = {}

    def feed(self, event: Event) -> None:
        """The next event. Raises HistoryError if it cannot be."""
        operation = self._pairing.feed(event)
        if operation is None:
            return
        key = self._keys.get(operation.key)
        if key is None:
            key = self._keys[operation.key] = _Key(operation.key, self._cut_after)
        key.touched = True
        if event.type is EventType.INVOKE:
            key.all.append(operation)
            key.recent.append(operation)

    @property
    def operations(self) -> Sequence[Operation]:
        """All of them, in the order of invocation; those still open have no end yet."""
        return self._pairing.operations

    def history(self, key: str | None) -> Sequence[Operation]:
        """A key's operations."""
        return self._keys[key].all

    def verdict(self, steps_max: int | None = None) -> Judgement:
        """On everything fed so far, with at most ``steps_max`` steps a key (while a run goes on, fewer than at its end:
        a key that was not decided is judged again next time). Raises HistoryError for operations that the model does
        not have."""
        model = self._model or infer(self.operations)
        touched = [key for key in self._keys.values() if key.touched or self._model is None]
        judges = {}
        for key in touched:
            if key.verdict is None or key.verdict.validity is not Validity.INVALID:
                if self._model and key.searched:
                    _cut(model, key, self._cut_after)
                start = key.start if self._model else None
                judges[key.key] = KeyJudge(model, key.key, key.recent if self._model else key.all, start)
        judging.settle(list(judges.values()), steps_max or self._steps_max)
        for key in touched:
            key.touched = False
        for name, judge in judges.items():
            key = self._keys[name]
            key.touched = judge.validity is None
            key.verdict = replace(judge.verdict(), operations=len(key.all))
            key.searched = judge.search is not None
        return Judgement(model.name, {name: key.verdict for name, key in self._keys.items() if key.verdict})


def _cut(model: Model, key: _Key, cut_after: int) -> None:
    """Carry over where the key may be, at the last moment before which everything has ended, if that is few places."""
    if len(key.recent) < key.patience:
        return
    moment = min((o.invoked for o in key.recent if o.return_s is None), default=NEVER - 1)
    before = [operation for operation in key.recent if operation.invoked < moment]
    if len(before) > key.patience // 2:
        search = Search(Problem(model, model.actions(before), key.start, moment))
        if search.advance(CUT_STEPS) is Outcome.LINEARIZABLE and search.configurations <= CUT_STATES_MAX:
            key.start = search.reached()
            key.recent = [operation for operation in key.recent if operation.returned >= moment]
            key.patience = len(key.recent) + cut_after
            return
    key.patience = 2 * len(key.recent)


def check(events: Iterable[Event], model: str | None = None, steps_max: int = judging.STEPS_MAX) -> Judgement:
    """A whole history. Raises HistoryError."""
    return fed(events, model, steps_max).verdict()


def fed(events: Iterable[Event], model: str | None = None, steps_max: int = judging.STEPS_MAX) -> Checker:
    """A checker of a whole history: nothing comes later, so no cut is worth its search. Raises HistoryError."""
    checker = Checker(model, steps_max, cut_after=NEVER)
    for event in events:
        checker.feed(event)
    return checker
