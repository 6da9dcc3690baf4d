"""Distributions of a run: medians with their spread, ratios pair by pair. Pure.

Samples of one cell and one round were taken in turn, so whatever else the machine did hit them alike: the ratio is
taken within a round, and then the median of the ratios. A median of few rounds never goes without their number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from harness.bench.measurements import Cell, Figure, Sample

ROUNDS_WANTED = 5
"""From here on a median is given without a word on how many it stands on (the suite takes at least as many)."""

ROUNDS_MIN = 3
"""Below, two runs are not judged: of two values the median is a mean, and their range is wrong half of the time."""

Quantity = Callable[[Sample], float]


@dataclass(frozen=True, slots=True)
class Spread:
    """A distribution of few values: least, quartiles (linear between neighbours), greatest."""

    values: tuple[float, ...]
    """Ascending."""

    @property
    def count(self) -> int:
        return len(self.values)

    @property
    def low(self) -> float:
        return self.values[0]

    @property
    def high(self) -> float:
        return self.values[-1]

    @property
    def median(self) -> float:
        return self.quantile(0.5)

    @property
    def quartiles(self) -> tuple[float, float]:
        return self.quantile(0.25), self.quantile(0.75)

    @property
    def relative(self) -> float:
        """From least to greatest, as a share of the median; 0 if all are the same, infinite around a median of 0."""
        width = self.high - self.low if self.high != self.low else 0.0
        return width / self.median if self.median and width else math.inf if width else 0.0

    @property
    def few(self) -> str:
        """How many there were, if that is less than ROUNDS_WANTED; else nothing."""
        if self.count >= ROUNDS_WANTED:
            return ""
        return "1 round only" if self.count == 1 else f"{self.count} rounds only"

    def quantile(self, share: float) -> float:
        """Between neighbours, linearly; an infinite neighbour (nothing was answered) is not averaged away."""
        place = share * (self.count - 1)
        below, above = self.values[math.floor(place)], self.values[math.ceil(place)]
        part = place - math.floor(place)
        return below if below == above or not part else below * (1 - part) + above * part


def spread(values: Iterable[float]) -> Spread:
    """Of at least one value."""
    ordered = tuple(sorted(values))
    assert ordered, "a distribution of nothing"
    assert not any(math.isnan(value) for value in ordered), f"not a number among {ordered}"
    return Spread(ordered)


def rate(sample: Sample) -> float:
    """Operations that succeeded, a second."""
    return sample.rate_per_s


def p50(sample: Sample) -> float:
    """ms; infinite if nothing was answered."""
    return sample.p50_ms if sample.completed else math.inf


def p99(sample: Sample) -> float:
    """ms; infinite if nothing was answered."""
    return sample.p99_ms if sample.completed else math.inf


def cpu_us(sample: Sample) -> float:
    """Processor time of all its nodes for one operation, µs; infinite if none was done."""
    used_s = sample.server_cores * sample.duration_s
    return used_s * 1e6 / sample.completed if sample.completed else math.inf


def by_cell(samples: Iterable[Sample]) -> dict[Cell, dict[str, tuple[Sample, ...]]]:
    """Cell → system → its samples by round; in order of appearance."""
    found: dict[Cell, dict[str, list[Sample]]] = {}
    for sample in samples:
        found.setdefault(sample.cell, {}).setdefault(sample.system, []).append(sample)
    return {
        cell: {system: tuple(sorted(those, key=lambda sample: sample.round)) for system, those in systems.items()}
        for cell, systems in found.items()
    }


@dataclass(frozen=True, slots=True)
class FigureKey:
    """Figures that were taken of the same thing."""

    name: str
    nodes: int
    keys: int
    unit: str


def by_figure(figures: Iterable[Figure]) -> dict[FigureKey, dict[str, tuple[Figure, ...]]]:
    """What → system → its figures by round; names in order of appearance, sizes of one ascending."""
    found: dict[FigureKey, dict[str, list[Figure]]] = {}
    for figure in figures:
        key = FigureKey(figure.name, figure.nodes, figure.keys, figure.unit)
        found.setdefault(key, {}).setdefault(figure.system, []).append(figure)
    names = list(dict.fromkeys(key.name for key in found))
    return {
        key: {system: tuple(sorted(those, key=lambda figure: figure.round)) for system, those in found[key].items()}
        for key in sorted(found, key=lambda key: (names.index(key.name), key.nodes, key.keys))
    }


Pair = tuple[float, float]


def pairs(ours: Sequence[Sample], theirs: Sequence[Sample], of: Quantity) -> tuple[Pair, ...]:
    """Both values of each round that has both; not of a round in which they say nothing (0/0: both did nothing)."""
    other = {sample.round: of(sample) for sample in theirs}
    both = [(of(sample), other[sample.round]) for sample in ours if sample.round in other]
    return tuple((a, b) for a, b in both if (a or b) and not (math.isinf(a) and math.isinf(b)))


def ratio(numerator: float, denominator: float) -> float:
    """Also beside nothing: infinite."""
    if denominator == 0:
        return math.inf if numerator else 1.0
    return numerator / denominator


def ratios(paired: Sequence[Pair]) -> Spread | None:
    """Pair by pair; None without any."""
    return spread(ratio(*pair) for pair in paired) if paired else None
