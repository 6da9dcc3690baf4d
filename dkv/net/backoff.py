"""How long to wait between two dials: exponential, full jitter ("Exponential Backoff And Jitter", AWS blog, 2015)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

_DOUBLINGS_MAX = 30
"""Keeps the power small; any sensible ceiling is reached long before."""


class Backoff:
    """``delay_s`` is drawn from 0 to a ceiling that doubles from ``min_s`` to ``max_s``."""

    def __init__(self, min_s: float, max_s: float, rng: random.Random) -> None:
        assert 0 < min_s <= max_s, f"back-off from {min_s} to {max_s} s"
        self._min_s, self._max_s, self._rng = min_s, max_s, rng
        self._failures = 0

    def delay_s(self) -> float:
        """Seconds to wait after one more failure."""
        ceiling_s = min(self._max_s, self._min_s * 2.0**self._failures)
        self._failures = min(self._failures + 1, _DOUBLINGS_MAX)
        return self._rng.uniform(0.0, ceiling_s)

    def reset(self) -> None:
        """It worked: begin anew."""
        self._failures = 0
