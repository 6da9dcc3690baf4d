"""The quick ways to a verdict, each for the keys that it applies to; for all others there is the search."""

from __future__ import annotations

from collections.abc import Sequence

from harness.checker import growth, ranks, zones
from harness.checker.models import Action, Model


def decide(model: Model, actions: Sequence[Action]) -> bool | None:
    """Whether one key, from its beginning, is linearizable; None: only a search can tell."""
    grown = ranks.spelled(model, actions)
    if ranks.applies(*grown):
        return ranks.refute(*grown) is None
    if zones.applies(model, actions):
        return zones.linearizable(model, actions)
    return False if growth.refute(model, actions) is not None else None
