"""How far a measured ratio can be trusted: bootstrap intervals (Efron, Tibshirani 1993, §13.3: percentiles). Pure.

Percentiles and not BCa: what is resampled are medians of few rounds, for which the jackknife's acceleration that BCa
corrects by is 0/0 as often as not. No resampling knows more than the rounds do: of ``n`` values, least to greatest
covers the true median with 1 - 2^(1-n), which is 94 % for five rounds and 75 % for three, whatever was asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from harness.bench.statistics import ROUNDS_MIN, Pair, ratio

if TYPE_CHECKING:
    from random import Random

Item = TypeVar("Item")

LEVEL = 0.95
RESAMPLES = 2_000
"""The ends at 2.5 % then rest on fifty resamples; they move by less than the rounds' own grain."""


@dataclass(frozen=True, slots=True)
class Interval:
    """``low`` and ``high`` of a bootstrap; ``level`` is what it was cut at, at most what the rounds can give."""

    low: float
    high: float
    level: float

    @property
    def says_something(self) -> bool:
        """Not if it is of fewer rounds than ROUNDS_MIN: one round excludes everything but itself."""
        return self.level >= confidence_max(ROUNDS_MIN)

    @property
    def is_above_one(self) -> bool:
        """As a ratio: the numerator is greater, for all that the rounds can tell."""
        return self.says_something and self.low > 1

    @property
    def is_below_one(self) -> bool:
        """Likewise."""
        return self.says_something and self.high < 1

    def holds(self, limit: float) -> bool:
        """Whether this value is one that the interval does not exclude."""
        return self.low <= limit <= self.high


def confidence_max(count: int) -> float:
    """The most that least-to-greatest of ``count`` values can claim of a median."""
    return 1 - 2.0 ** (1 - count)


def of_median(values: Sequence[float], rng: Random, resamples: int = RESAMPLES) -> Interval:
    """Of the median of values: of ratios pair by pair, for one."""
    return _bootstrap(lambda: _median(_again(values, rng)), min(LEVEL, confidence_max(len(values))), resamples)


def of_ratio_of_medians(
    numerators: Sequence[float], denominators: Sequence[float], rng: Random, resamples: int = RESAMPLES
) -> Interval:
    """Of two series that have nothing to do with each other: two runs, or figures that were not taken in turn."""
    few = min(len(numerators), len(denominators))
    return _bootstrap(
        lambda: ratio(_median(_again(numerators, rng)), _median(_again(denominators, rng))),
        min(LEVEL, confidence_max(few)),
        resamples,
    )


def of_paired_ratio(pairs: Sequence[Pair], rng: Random, resamples: int = RESAMPLES) -> Interval:
    """Of the ratio of medians of two series taken in turn: whole rounds are drawn, so common noise stays common."""

    def once() -> float:
        drawn = _again(pairs, rng)
        return ratio(_median([ours for ours, _ in drawn]), _median([theirs for _, theirs in drawn]))

    return _bootstrap(once, min(LEVEL, confidence_max(len(pairs))), resamples)


def _again(items: Sequence[Item], rng: Random) -> list[Item]:
    assert items, "a bootstrap of nothing"
    return rng.choices(items, k=len(items))


def _median(values: Sequence[float]) -> float:
    """As ``Spread.median``, without the rest of it: a summary asks a million times."""
    ordered, middle = sorted(values), len(values) // 2
    below, above = ordered[middle - 1 + len(values) % 2], ordered[middle]
    return below if below == above else (below + above) / 2


def _bootstrap(once: Callable[[], float], level: float, resamples: int) -> Interval:
    drawn = sorted(once() for _ in range(resamples))
    outside = math.floor((1 - LEVEL) / 2 * resamples)
    return Interval(drawn[outside], drawn[-1 - outside], level)
