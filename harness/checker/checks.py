"""The checker's findings as the records of a verdict, one for each key that was refuted or not decided."""

from __future__ import annotations

from harness.checker.checker import Checker
from harness.checker.explanation import explain
from harness.checker.models import MODELS
from harness.checker.sentences import named
from harness.checker.verdicts import Explanation, Judgement, KeyVerdict
from harness.history.records import Check, Validity

NAME = "linearizable"
EXPLAINED_MAX = 5
"""Keys whose violation is explained; each may take seconds, and the first says enough."""


def explanations(checker: Checker, judgement: Judgement) -> list[Explanation]:
    """Of the refuted keys, the earliest violation first."""
    model = MODELS[judgement.model]
    found = [explain(model, verdict.key, checker.history(verdict.key)) for verdict in judgement.refuted[:EXPLAINED_MAX]]
    return sorted(found, key=lambda explanation: explanation.time_s)


def checks(judgement: Judgement, explained: list[Explanation]) -> tuple[Check, ...]:
    """The violations, then what could not be decided; one that says valid if there is neither."""
    reasons = {explanation.key: explanation for explanation in explained}
    violations = [_violation(explanation, judgement.keys[explanation.key]) for explanation in explained]
    violations += [
        Check(
            name=NAME, validity=Validity.INVALID, key=verdict.key, sentence=f"{named(verdict.key)} is not linearizable"
        )
        for verdict in judgement.refuted
        if verdict.key not in reasons
    ]
    undecided = [v for v in judgement.keys.values() if v.validity is Validity.UNKNOWN]
    doubts = [
        Check(name=NAME, validity=Validity.UNKNOWN, key=v.key, sentence=doubt(v), detail=_detail(v)) for v in undecided
    ]
    if violations or doubts:
        return (*violations, *doubts)
    operations = sum(verdict.operations for verdict in judgement.keys.values())
    detail = {"operations": operations, "keys": len(judgement.keys), "model": judgement.model}
    return (Check(name=NAME, validity=Validity.VALID, detail=detail),)


def doubt(verdict: KeyVerdict) -> str:
    """Why a key was not decided, how far the search came, and what to do."""
    events, time_s = verdict.window or (0, 0.0)
    return (
        f"{named(verdict.key)} was not decided: after {events} of its events (at {time_s:.3f} s) {verdict.width} "
        f"possible states were held, with up to {verdict.overlap} of {verdict.operations} operations open at once; "
        f"{verdict.advice}"
    )


def _violation(explanation: Explanation, verdict: KeyVerdict) -> Check:
    return Check(
        name=NAME,
        validity=Validity.INVALID,
        sentence=explanation.sentence,
        key=explanation.key,
        time_s=explanation.time_s,
        operations=tuple(operation.as_dict() for operation in explanation.operations),
        detail=_detail(verdict),
    )


def _detail(verdict: KeyVerdict) -> dict[str, object]:
    return {
        "operations": verdict.operations,
        "unknown": verdict.unknown,
        "overlap": verdict.overlap,
        "width": verdict.width,
        "steps": verdict.steps,
    }
