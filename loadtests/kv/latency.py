"""Latencies in microseconds and failures by code, beside Locust's own figures.

Locust rounds below 100 ms to whole milliseconds, where all of dkv happens; an HDR histogram keeps three digits. Only
requests that succeeded are timed: a refused connection is quick and says nothing about the store.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from hdrh.histogram import HdrHistogram

LATENCY_MICROS_MAX = 120_000_000
"""Two minutes: longer than any deadline; a longer one counts as this."""
DIGITS = 3
PERCENTILES = (50, 90, 99, 99.9)


class Latencies:
    """One run's measurements. Those of workers come as ``encode``d and are added up at the master."""

    def __init__(self) -> None:
        self._histograms: dict[str, HdrHistogram] = {}
        self.failures: Counter[tuple[str, str]] = Counter()

    def succeeded(self, name: str, seconds: float) -> None:
        """One request of that name took so long."""
        self._histogram(name).record_value(max(1, min(round(seconds * 1e6), LATENCY_MICROS_MAX)))

    def failed(self, name: str, code: str) -> None:
        """One request of that name ended with that code."""
        self.failures[name, code] += 1

    def encode(self) -> dict[str, Any]:
        """As plain values, for the way to the master."""
        return {
            "histograms": {name: histogram.encode().decode() for name, histogram in self._histograms.items()},
            "failures": [[name, code, count] for (name, code), count in self.failures.items()],
        }

    def add(self, encoded: dict[str, Any]) -> None:
        """Another process's measurements."""
        for name, text in encoded["histograms"].items():
            self._histogram(name).decode_and_add(text)
        for name, code, count in encoded["failures"]:
            self.failures[name, code] += count

    def lines(self, seconds: float) -> list[str]:
        """The table: a row a name, then the failures by code."""
        heads = "".join(f"{f'p{percentile:g} µs':>12}" for percentile in PERCENTILES)
        lines = [f"{'succeeded':<12}{'requests':>10}{'per s':>10}{heads}{'max µs':>12}"]
        for name, histogram in sorted(self._histograms.items()):
            count = histogram.get_total_count()
            shown = "".join(f"{histogram.get_value_at_percentile(percentile):>12}" for percentile in PERCENTILES)
            lines.append(f"{name:<12}{count:>10}{count / seconds:>10.1f}{shown}{histogram.get_max_value():>12}")
        lines += [f"{'failed':<12}{'requests':>10}  code"] if self.failures else ["no failures"]
        lines += [f"{name:<12}{count:>10}  {code}" for (name, code), count in sorted(self.failures.items())]
        return lines

    def _histogram(self, name: str) -> HdrHistogram:
        if name not in self._histograms:
            self._histograms[name] = HdrHistogram(1, LATENCY_MICROS_MAX, DIGITS)
        return self._histograms[name]
