"""How long operations took: counts by microsecond, exact, which can be merged, asked for percentiles and encoded.

Pure. wrk before 4.2 adds to what it measured: for each answer that took longer than twice the mean it counts others
that "would have" waited as well (``stats_correct``). A closed loop had no such requests, and the other generators add
none: ``uncorrected`` takes them out again, exactly.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate

US_PER_MS = 1_000
HIGHEST_US = 120_000_000
"""Of an encoded histogram: longer than any generator waits for one answer."""
DIGITS = 3
"""Of an encoded histogram: a thousandth is finer than what two blocks agree in."""


@dataclass(frozen=True)
class Latencies:
    """``counts``: microseconds → how many operations took so long."""

    counts: Mapping[int, int]

    @property
    def total(self) -> int:
        """How many operations."""
        return sum(self.counts.values())

    def percentiles_ms(self, wanted: Iterable[float]) -> list[float]:
        """The smallest latency (ms) that so many per cent of all do not exceed; 0 where there is none."""
        ordered, total = sorted(self.counts), self.total
        seen = list(accumulate(self.counts[value] for value in ordered))
        found: list[float] = []
        for per_cent in wanted:
            place = bisect_left(seen, max(1, math.ceil(total * per_cent / 100)))
            found.append(ordered[place] / US_PER_MS if ordered else 0.0)
        return found

    def encoded(self) -> str:
        """HDR V2 in base64, as ``Sample.histogram`` has it; "" for none."""
        if not self.counts:
            return ""
        from hdrh.histogram import HdrHistogram  # of the extra `bench`; everything else works without it

        histogram = HdrHistogram(1, HIGHEST_US, DIGITS)
        for value, count in self.counts.items():
            histogram.record_value(min(max(value, 1), HIGHEST_US), count)
        encoded: bytes = histogram.encode()
        return encoded.decode("ascii")


def merged(parts: Iterable[Latencies]) -> Latencies:
    """Of all together."""
    counts: Counter[int] = Counter()
    for part in parts:
        counts.update(part.counts)
    return Latencies(dict(counts))


def of_nanoseconds(measured: Iterable[int]) -> Latencies:
    """One number an operation."""
    return Latencies(dict(Counter(value // 1_000 for value in measured)))


def uncorrected(counts: Mapping[int, int], interval_us: int, requests: int) -> Latencies:
    """What was measured, of what wrk tells. ``interval_us``: the mean that it goes by. ``requests``: that it counted.

    wrk goes upwards and adds only below, so going downwards everything that was added to a value is known by the time
    it is reached. A wrk that added nothing tells as many values as requests.
    """
    if interval_us <= 0 or sum(counts.values()) <= requests:
        return Latencies(dict(counts))
    left = Counter(counts)
    for value in sorted(counts, reverse=True):
        if value < 2 * interval_us:
            break
        count, place = left[value], value - interval_us
        while count and place > interval_us:
            left[place] -= count
            place -= interval_us
    return Latencies({value: count for value, count in left.items() if count > 0})
