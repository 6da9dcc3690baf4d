"""That the draws follow the law, and can be repeated."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.kv.zipf import Zipf

DRAWS = 20_000


@given(count=st.integers(1, 500), exponent=st.floats(0, 3), seed=st.integers(0, 2**32))
def test_ranks_are_within_bounds(count: int, exponent: float, seed: int) -> None:
    assert 0 <= Zipf(count, exponent).draw(random.Random(seed)) < count


@pytest.mark.parametrize(("exponent", "rank"), [(0.0, 0), (0.0, 9), (0.99, 0), (0.99, 1), (2.0, 0), (2.0, 3)])
def test_frequencies_follow_the_law(exponent: float, rank: int) -> None:
    rng, zipf = random.Random(42), Zipf(10, exponent)
    drawn = Counter(zipf.draw(rng) for _ in range(DRAWS))
    expected = (rank + 1) ** -exponent / sum((other + 1) ** -exponent for other in range(10))
    assert drawn[rank] / DRAWS == pytest.approx(expected, abs=0.015)


def test_the_same_seed_draws_the_same_ranks() -> None:
    zipf = Zipf(1000, 0.99)
    once, again = random.Random(3), random.Random(3)
    assert [zipf.draw(once) for _ in range(50)] == [zipf.draw(again) for _ in range(50)]


@pytest.mark.parametrize(("count", "exponent"), [(0, 1.0), (10, -0.1)])
def test_nonsense_is_refused(count: int, exponent: float) -> None:
    with pytest.raises(ValueError, match="Zipf needs"):
        Zipf(count, exponent)
