"""How to go so that everybody sees ``left`` and nobody ``failed``: the intent first, then the death, then a while more.

Each step has a time-out: a member whose peers do not answer any more may go too.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Final

BROADCAST_TIMEOUT_S: Final = 5.0
"""Serf's BroadcastTimeout, of the intent and of the death each."""

PROPAGATE_DELAY_S: Final = 1.0
"""Serf's LeavePropagateDelay: pings are answered until the last member has heard of the death."""


class Stage(Enum):
    """Where a departure stands."""

    STAYING = "not leaving"
    INTENT = "telling that we mean to leave"
    DEATH = "telling that we are gone"
    LINGERING = "still answering"
    GONE = "over"


_STEPS: Final = {
    Stage.INTENT: (Stage.DEATH, BROADCAST_TIMEOUT_S),
    Stage.DEATH: (Stage.LINGERING, PROPAGATE_DELAY_S),
    Stage.LINGERING: (Stage.GONE, None),
}
"""Stage → the next one, and how long that may last."""


class Departure:
    """Begins once and never turns back."""

    def __init__(self) -> None:
        self.stage, self._due = Stage.STAYING, math.inf

    @property
    def staying(self) -> bool:
        return self.stage is Stage.STAYING

    def next_timer(self) -> float:
        """When the present stage is over at the latest."""
        return self._due

    def begin(self, now: float) -> None:
        assert self.staying, f"leaving twice: {self.stage.value}"
        self.stage, self._due = Stage.INTENT, now + BROADCAST_TIMEOUT_S

    def advance(self, now: float, *, intent_is_told: bool, death_is_told: bool) -> Stage | None:
        """The stage that begins now, if one does."""
        told = {Stage.INTENT: intent_is_told, Stage.DEATH: death_is_told}
        if self.stage not in _STEPS or not (told.get(self.stage, False) or now >= self._due):
            return None
        self.stage, lasts_s = _STEPS[self.stage]
        self._due = math.inf if lasts_s is None else now + lasts_s
        return self.stage
