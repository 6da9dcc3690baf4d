"""Ranks drawn by Zipf's law: a few keys are asked for all the time, most hardly ever, as in real caches."""

from __future__ import annotations

import random
from bisect import bisect_left
from itertools import accumulate


class Zipf:
    """Draws ranks 0..count-1 with P(rank) ∝ 1 / (rank + 1)^exponent; exponent 0 is uniform. One bisection a draw."""

    def __init__(self, count: int, exponent: float) -> None:
        if count < 1 or exponent < 0:
            raise ValueError(f"Zipf needs at least one key and an exponent of at least 0, not {count} and {exponent}")
        self._cumulated = list(accumulate((rank + 1) ** -exponent for rank in range(count)))

    def draw(self, rng: random.Random) -> int:
        """A rank; 0 is the most likely."""
        cumulated = self._cumulated
        return min(bisect_left(cumulated, rng.random() * cumulated[-1]), len(cumulated) - 1)
