"""What was measured is kept exactly, and what wrk adds to it is taken out."""

from __future__ import annotations

from collections import Counter

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from harness.bench.latencies import Latencies, merged, of_nanoseconds, uncorrected

COUNTS = st.dictionaries(st.integers(1, 5_000), st.integers(1, 50), min_size=1, max_size=40)


def corrected(counts: dict[int, int], interval_us: int) -> dict[int, int]:
    """wrk 4.1's own ``stats_correct``, line by line."""
    data = Counter(counts)
    for value in range(interval_us * 2, max(counts) + 1):
        count, place = data[value], value - interval_us
        while count and place > interval_us:
            data[place] += count
            place -= interval_us
    return {value: count for value, count in data.items() if count}


@given(COUNTS, st.integers(1, 400))
def test_what_wrk_adds_is_taken_out_again(counts: dict[int, int], interval_us: int) -> None:
    told = corrected(counts, interval_us)
    assert uncorrected(told, interval_us, sum(counts.values())).counts == counts


def test_a_wrk_that_adds_nothing_is_believed() -> None:
    counts = {10: 5, 1_000: 2}
    assert uncorrected(counts, 100, 7).counts == counts


@given(COUNTS, st.floats(0.1, 100))
def test_percentiles_are_those_of_the_sorted_list(counts: dict[int, int], per_cent: float) -> None:
    latencies = Latencies(counts)
    everything = sorted(Counter(counts).elements())
    found_ms, most_ms = latencies.percentiles_ms([per_cent, 100])
    found = round(found_ms * 1_000)
    assert found in everything
    assert sum(value <= found for value in everything) >= len(everything) * per_cent / 100
    assert sum(value < found for value in everything) < len(everything) * per_cent / 100
    assert round(most_ms * 1_000) == everything[-1]


def test_nothing_has_no_percentiles() -> None:
    assert Latencies({}).percentiles_ms([50, 100]) == [0.0, 0.0]
    assert Latencies({}).encoded() == ""


@given(COUNTS, COUNTS)
def test_merging_loses_nothing(one: dict[int, int], other: dict[int, int]) -> None:
    both = merged([Latencies(one), Latencies(other)])
    assert both.counts == dict(Counter(one) + Counter(other))
    assert both.total == sum(one.values()) + sum(other.values())


@given(COUNTS)
def test_a_histogram_is_read_back(counts: dict[int, int]) -> None:
    latencies = Latencies(counts)
    histogram = HdrHistogram.decode(latencies.encoded())
    assert histogram.get_total_count() == latencies.total
    assert histogram.get_max_value() == pytest.approx(max(counts), rel=0.002)


def test_nanoseconds_become_microseconds() -> None:
    assert of_nanoseconds([1_999, 2_000, 2_500]).counts == {1: 1, 2: 2}
