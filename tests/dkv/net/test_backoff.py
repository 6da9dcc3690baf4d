"""Back-off: full jitter below a ceiling that doubles."""

import random

import pytest

from dkv.net.backoff import Backoff


class Highest(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return b


def test_the_ceiling_doubles_up_to_the_maximum_and_begins_anew() -> None:
    backoff = Backoff(0.02, 1.0, Highest())
    assert [backoff.delay_s() for _ in range(8)] == pytest.approx([0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0])
    assert all(backoff.delay_s() == 1.0 for _ in range(5000))
    backoff.reset()
    assert backoff.delay_s() == 0.02


def test_jitter_is_full_and_comes_from_the_argument() -> None:
    delays, again = (
        [Backoff(1.0, 1.0, rng).delay_s() for _ in range(200)] for rng in (random.Random(1), random.Random(1))
    )
    assert delays == again
    assert min(delays) < 0.1
    assert max(delays) > 0.9
    assert all(0 <= delay <= 1 for delay in delays)
