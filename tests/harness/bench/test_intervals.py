"""Bootstrap intervals: what they must contain, how sure they may be, and that they cover what they claim."""

from __future__ import annotations

import math
import statistics as library
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bench import intervals
from harness.bench.intervals import Interval

SERIES = st.lists(st.floats(1.0, 1e5), min_size=3, max_size=12)
FEW = 100
"""Resamples of a property: enough for a median, which is what is looked at."""


@given(SERIES, st.integers(0, 9))
def test_of_a_median_lies_within_the_values_and_around_it(values: list[float], seed: int) -> None:
    found = intervals.of_median(values, Random(seed), FEW)
    assert min(values) <= found.low <= found.high <= max(values)


@given(SERIES, SERIES, st.integers(0, 9))
def test_turning_a_ratio_around_turns_its_interval_around(a: list[float], b: list[float], seed: int) -> None:
    pairs = list(zip(a, b, strict=False))
    there = intervals.of_paired_ratio(pairs, Random(seed), FEW)
    back = intervals.of_paired_ratio([(theirs, ours) for ours, theirs in pairs], Random(seed), FEW)
    assert (1 / there.high, 1 / there.low) == pytest.approx((back.low, back.high))


@given(SERIES, st.floats(0.1, 10.0))
def test_a_pair_that_always_differs_by_the_same_factor_leaves_no_doubt(values: list[float], factor: float) -> None:
    found = intervals.of_paired_ratio([(value * factor, value) for value in values], Random(1), FEW)
    assert (found.low, found.high) == pytest.approx((factor, factor))


def test_five_rounds_give_least_to_greatest_and_claim_no_more() -> None:
    found = intervals.of_median([1.0, 2.0, 3.0, 4.0, 5.0], Random(1))
    assert found == Interval(1.0, 5.0, 0.9375)
    assert intervals.of_median([1.0, 2.0, 3.0], Random(1)).level == 0.75
    assert intervals.of_median([7.0], Random(1)) == Interval(7.0, 7.0, 0.0)
    assert intervals.of_median([float(value) for value in range(20)], Random(1)).level == 0.95


def test_the_same_dice_give_the_same_interval() -> None:
    a, b = [3.0, 4.0, 5.5, 6.0], [1.0, 1.5, 1.2, 1.3]
    assert intervals.of_ratio_of_medians(a, b, Random(3)) == intervals.of_ratio_of_medians(a, b, Random(3))


def test_beside_nothing_a_ratio_is_infinite() -> None:
    assert intervals.of_ratio_of_medians([1.0] * 5, [0.0] * 5, Random(1)) == Interval(math.inf, math.inf, 0.9375)


@pytest.mark.parametrize(
    ("interval", "above", "below"),
    [
        (Interval(1.01, 1.2, 0.95), True, False),
        (Interval(0.8, 0.99, 0.75), False, True),
        (Interval(0.9, 1.1, 0.95), False, False),
        (Interval(1.0, 1.2, 0.95), False, False),
        (Interval(2.0, 2.0, 0.5), False, False),
        (Interval(0.5, 0.5, 0.0), False, False),
    ],
)
def test_sides_of_one_are_not_told_of_one_or_two_rounds(interval: Interval, above: bool, below: bool) -> None:
    assert (interval.is_above_one, interval.is_below_one) == (above, below)


def test_covers_the_true_ratio_as_often_as_it_says() -> None:
    """400 experiments of 15 rounds; the true ratio of medians is 2. Seeded: this is arithmetic, not luck."""
    rng, covered = Random(11), 0
    for _ in range(400):
        ours = [2 * math.exp(rng.gauss(0, 0.2)) for _ in range(15)]
        theirs = [math.exp(rng.gauss(0, 0.2)) for _ in range(15)]
        covered += intervals.of_ratio_of_medians(ours, theirs, rng, 200).holds(2.0)
    assert 0.92 <= covered / 400 <= 0.99


def test_pairs_see_through_noise_that_is_common() -> None:
    """Rounds in which the whole machine is three times as slow: apart nothing can be said, pair by pair all."""
    rng = Random(2)
    luck = [rng.choice((1.0, 3.0)) for _ in range(9)]
    ours = [1_200 / each * rng.uniform(0.99, 1.01) for each in luck]
    theirs = [1_000 / each * rng.uniform(0.99, 1.01) for each in luck]
    assert intervals.of_ratio_of_medians(ours, theirs, rng).holds(1.0)
    pairs = list(zip(ours, theirs, strict=True))
    found = intervals.of_median([a / b for a, b in pairs], rng)
    assert 1.15 < found.low <= library.median([a / b for a, b in pairs]) <= found.high < 1.25
