"""Why a key is not linearizable: the sentence and the operations that prove it."""

from __future__ import annotations

from collections.abc import Sequence

from harness.checker import growth, ranks, sentences
from harness.checker.decisions import decide
from harness.checker.minimal import Reduction, shortest_prefix, until
from harness.checker.models import Action, Kind, Model
from harness.checker.problem import Problem
from harness.checker.ranks import Refutation
from harness.checker.search import Outcome, Search
from harness.checker.verdicts import Explanation
from harness.history.operations import Operation

OPERATIONS_SHOWN_MAX = 8
"""Where steps cannot be told apart the proof may need more: those nearest to the violation are shown then."""
STEPS_MAX = 150_000
"""For each prefix tried; one that is not decided by then counts as linearizable, and a longer one is shown."""


def explain(model: Model, key: str | None, operations: Sequence[Operation]) -> Explanation:
    """Of one key's operations, which are not linearizable."""
    position = shortest_prefix(operations, lambda prefix: refuted(model, prefix))
    actions = model.actions(until(operations, position))
    broken = next(operation for operation in operations if operation.returned == position)
    shown, sentence = _shown(model, key, actions, operations)
    if len(shown) > OPERATIONS_SHOWN_MAX:
        shown = sorted(shown, key=lambda action: min(action.operation.returned, position))[-OPERATIONS_SHOWN_MAX:]
        sentence += f" (the {OPERATIONS_SHOWN_MAX} operations nearest to it are shown)"
    chosen = sorted({action.operation for action in shown}, key=lambda operation: operation.invoked)
    return Explanation(key, sentence, tuple(chosen), broken.return_s or 0.0)


def _shown(
    model: Model, key: str | None, actions: Sequence[Action], operations: Sequence[Operation]
) -> tuple[list[Action], str]:
    grown = ranks.spelled(model, actions)
    refutation = ranks.refute(*grown) if ranks.applies(*grown) else None
    if refutation is not None:
        return _proof(refutation, grown[1]), sentences.of_ranks(model, key, refutation, operations)
    quick = growth.refute(model, actions)
    if isinstance(quick, growth.Decline):
        return [quick.earlier, quick.later], sentences.of_decline(key, quick)
    if quick is not None:
        return [quick.read], sentences.of_bounds(key, quick)
    shown = Reduction(model, actions).reduce()
    return shown, sentences.of_actions(model, key, shown, operations)


def refuted(model: Model, operations: Sequence[Operation]) -> bool:
    """Whether one key's operations are certainly not linearizable."""
    actions = model.actions(operations)
    decided = decide(model, actions)
    if decided is not None:
        return not decided
    return Search(Problem(model, actions)).advance(STEPS_MAX) is Outcome.NOT


def _proof(refutation: Refutation, actions: Sequence[Action]) -> list[Action]:
    """Those of the refutation, and, where two reads diverged, the additions of the elements in which they did."""
    parts = [refutation.first, refutation.second, refutation.witness]
    first, second = refutation.first, refutation.second
    if refutation.flaw is ranks.Flaw.DIVERGED and second is not None:
        apart = sentences.divergence(first.need, second.need)
        parts += [action for action in actions if action.kind is Kind.STEPS and action.gives in apart]
    return [part for part in parts if part is not None]
