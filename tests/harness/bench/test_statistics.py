"""Spreads, pairs, ratios: tables and properties."""

from __future__ import annotations

import math
import statistics as library
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bench import statistics
from harness.bench.measurements import Figure
from harness.bench.statistics import spread
from tests.harness.bench import synthetic

VALUES = st.lists(st.floats(0.001, 1e6), min_size=2, max_size=30)


@given(VALUES)
def test_quartiles_are_those_of_the_library(values: list[float]) -> None:
    found = spread(values)
    assert [found.quartiles[0], found.median, found.quartiles[1]] == pytest.approx(
        library.quantiles(values, n=4, method="inclusive")
    )
    assert found.median == pytest.approx(library.median(values))
    assert (found.low, found.high, found.count) == (min(values), max(values), len(values))


@pytest.mark.parametrize(
    ("count", "few"), [(1, "1 round only"), (2, "2 rounds only"), (4, "4 rounds only"), (5, ""), (20, "")]
)
def test_few_rounds_are_told(count: int, few: str) -> None:
    assert spread([1.0] * count).few == few


@pytest.mark.parametrize(
    ("values", "relative"),
    [
        ([8.0, 10.0, 11.0], 0.3),
        ([5.0, 5.0], 0.0),
        ([0.0, 0.0], 0.0),
        ([0.0, 0.0, 1.0], math.inf),
        ([math.inf] * 2, 0.0),
    ],
)
def test_relative_width(values: list[float], relative: float) -> None:
    assert spread(values).relative == pytest.approx(relative)


def test_what_never_came_is_not_averaged_away() -> None:
    assert spread([1.0, 2.0, math.inf]).median == 2.0
    assert spread([1.0, 2.0, 3.0, math.inf]).median == 2.5
    assert spread([1.0, math.inf]).median == math.inf


def test_nothing_and_no_number_have_no_distribution() -> None:
    with pytest.raises(AssertionError, match="nothing"):
        spread([])
    with pytest.raises(AssertionError, match="not a number"):
        spread([1.0, math.nan])


def test_pairs_are_of_the_same_round_only() -> None:
    cell = synthetic.set_cell()
    ours = [synthetic.sample(Random(1), "dkv", cell, number, completed=1_000 * (number + 1)) for number in (0, 1, 2)]
    theirs = [synthetic.sample(Random(1), "etcd", cell, number, completed=500) for number in (3, 2, 0)]
    assert statistics.pairs(ours, theirs, statistics.rate) == ((200.0, 100.0), (600.0, 100.0))
    found = statistics.ratios(statistics.pairs(ours, theirs, statistics.rate))
    assert found is not None
    assert found.values == (2.0, 6.0)
    assert statistics.ratios(()) is None


def test_a_round_in_which_nothing_was_answered_counts_against_who_did_not() -> None:
    cell = synthetic.set_cell()
    ours = [synthetic.sample(Random(1), "dkv", cell, number, completed=done) for number, done in enumerate((0, 0, 500))]
    theirs = [
        synthetic.sample(Random(1), "etcd", cell, number, completed=done) for number, done in enumerate((0, 500, 0))
    ]
    assert [statistics.ratio(*pair) for pair in statistics.pairs(ours, theirs, statistics.rate)] == [0.0, math.inf]
    slow = statistics.pairs(ours, theirs, statistics.p99)
    assert [statistics.ratio(*pair) for pair in slow] == [math.inf, 0.0]


def test_samples_by_cell_and_system_are_in_order_of_rounds() -> None:
    cells = [synthetic.set_cell(), synthetic.set_cell(256)]
    samples = synthetic.samples(Random(1), 3, ("dkv", "etcd"), cells)
    found = statistics.by_cell(reversed(samples))
    assert set(found) == set(cells)
    assert [sample.round for sample in found[cells[0]]["etcd"]] == [0, 1, 2]


def test_figures_of_other_sizes_are_other_things() -> None:
    one = Figure(system="dkv", name="restart", round=0, value=1.0, unit="s", keys=1)
    two = msgspec.structs.replace(one, keys=2)
    assert [list(systems) for systems in statistics.by_figure([one, two, one]).values()] == [["dkv"], ["dkv"]]


def test_processor_time_of_an_operation() -> None:
    cell = synthetic.set_cell()
    sample = synthetic.sample(Random(1), "dkv", cell, 0, completed=1_000_000, duration_s=10.0, server_cores=1.5)
    assert statistics.cpu_us(sample) == pytest.approx(15.0)
