"""Latencies of a cell as a curve: from the histograms of its rounds put together, or from the few percentiles told.

The place of a percentile is the number of its nines (50 % is 0.3, 99 % is 2, 99.9 % is 3), so that a tail has room.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.bench.measurements import Sample

TOLD: tuple[tuple[float, str], ...] = ((50, "p50"), (90, "p90"), (99, "p99"), (99.9, "p99.9"))
US_PER_MS = 1_000
STEPS_PER_NINE = 12
BEHIND_MIN = 10
"""Operations that a percentile must leave above itself to be drawn: one of a few outliers is no percentile."""

Curve = tuple[tuple[float, float], ...]
"""Nines and ms."""


def nines(percentile: float) -> float:
    """99.9 → 3."""
    return -math.log10(1 - percentile / 100)


def told(sample: Sample) -> Curve:
    """The percentiles that every generator tells."""
    values = (sample.p50_ms, sample.p90_ms, sample.p99_ms, sample.p999_ms)
    return tuple((nines(per_cent), value) for (per_cent, _), value in zip(TOLD, values, strict=True))


def curve(samples: Sequence[Sample]) -> Curve:
    """Of all rounds put together; empty unless each has a histogram."""
    if not samples or not all(sample.histogram for sample in samples):
        return ()
    from hdrh.histogram import HdrHistogram  # of the extra `bench`; only its own histograms need it

    together = HdrHistogram.decode(samples[0].histogram)
    for sample in samples[1:]:
        together.decode_and_add(sample.histogram)
    last = math.log10(max(1.0, together.get_total_count() / BEHIND_MIN))
    places = [step / STEPS_PER_NINE for step in range(2, math.floor(last * STEPS_PER_NINE) + 1)]
    return tuple((place, together.get_value_at_percentile(100 * (1 - 10.0**-place)) / US_PER_MS) for place in places)
