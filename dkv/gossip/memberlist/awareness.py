"""How much a member trusts itself (Lifeguard's local health): probes of its own that fail without nacks, and having
been accused, speak against it. A member that doubts itself waits longer before it suspects others.
"""

from __future__ import annotations


class Awareness:
    """A score from 0, healthy, to ``multiplier_max - 1``."""

    __slots__ = ("_multiplier_max", "score")

    def __init__(self, multiplier_max: int) -> None:
        assert multiplier_max >= 1, f"no multiplier can be {multiplier_max}"
        self._multiplier_max = multiplier_max
        self.score = 0

    def change(self, delta: int) -> None:
        """Worse by ``delta``; better if it is negative."""
        self.score = min(max(0, self.score + delta), self._multiplier_max - 1)

    def scale_s(self, timeout_s: float) -> float:
        """A timeout as long as we should wait in our state."""
        return timeout_s * (self.score + 1)
