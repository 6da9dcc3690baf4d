"""Targets beside what was measured. Pure.

A ratio is one of medians, of rounds in which both took turns; its interval draws whole rounds. A target is met or
missed by its median; where the interval holds the target too, or the rounds are few, that is said beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from harness.bench import statistics
from harness.bench.intervals import Interval, of_median, of_paired_ratio, of_ratio_of_medians
from harness.bench.measurements import Cell, Figure, Sample
from harness.bench.names import OURS, look
from harness.bench.numerals import NOTHING, extent, number, ratio
from harness.bench.recording import Recording
from harness.bench.statistics import FigureKey, Pair, Spread
from harness.bench.targets import QUANTITIES, TARGETS, UNITS, Alone, Beside, Itself, Of, Once, Target

if TYPE_CHECKING:
    from random import Random


class Outcome(StrEnum):
    """By the median."""

    MET = "met"
    MISSED = "missed"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Reading:
    """A target beside what was measured. ``value`` is a ratio if the target is one; ``values``: pair by pair, or round
    by round."""

    target: Target
    outcome: Outcome
    value: float | None = None
    values: Spread | None = None
    interval: Interval | None = None
    detail: str = ""
    """Both medians of a ratio."""

    @property
    def remark(self) -> str:
        """What weakens the outcome; "" if nothing does."""
        if self.values is None or self.interval is None:
            return ""
        said = [self.values.few] if self.values.few else []
        if self.interval.low < self.target.limit < self.interval.high:
            said.append("the interval holds the target")
        return "; ".join(said)


def readings(recording: Recording, rng: Random, targets: Sequence[Target] = TARGETS) -> tuple[Reading, ...]:
    """One for each target, in their order."""
    cells, figures = statistics.by_cell(recording.samples), statistics.by_figure(recording.figures)
    return tuple(_read(target, cells, figures, rng) for target in targets)


Cells = Mapping[Cell, Mapping[str, Sequence[Sample]]]
Figures = Mapping[FigureKey, Mapping[str, Sequence[Figure]]]


def _read(target: Target, cells: Cells, figures: Figures, rng: Random) -> Reading:
    match target.measure:
        case Beside() as beside:
            return _beside(target, beside, cells, rng)
        case Itself(cell, usual, of):
            ours, usually = (_values(cells.get(place, {}), of) for place in (cell, usual))
            return _apart(target, ours, usually, UNITS[of], rng)
        case Alone(wanted, of):
            measured = (_values(cells[cell], of) for cell in wanted if OURS in cells.get(cell, {}))
            return _alone(target, next(measured, []), rng)
        case Once() as once:
            return _once(target, once, figures, rng)


def _values(systems: Mapping[str, Sequence[Sample]], of: Of) -> list[float]:
    return [QUANTITIES[of](sample) for sample in systems.get(OURS, ())]


def _beside(target: Target, beside: Beside, cells: Cells, rng: Random) -> Reading:
    of, peer = beside.of, beside.peer
    ours = [cells[cell] for cell in beside.cells if OURS in cells.get(cell, {})]
    both = next((systems for systems in ours if peer in systems), None)
    if both:
        return _paired(target, statistics.pairs(both[OURS], both[peer], QUANTITIES[of]), UNITS[of], rng)
    if not ours:
        return _unmeasured(target)
    median = statistics.spread(_values(ours[0], of)).median
    return _unmeasured(target, f"{number(median)} {UNITS[of]}, and no {look(peer).label} beside it")


def _once(target: Target, once: Once, figures: Figures, rng: Random) -> Reading:
    matching = [
        systems
        for key, systems in figures.items()
        if key.name == once.name and once.nodes in (0, key.nodes) and once.keys in (0, key.keys)
    ]
    found = next((systems for systems in matching if OURS in systems and (not once.peer or once.peer in systems)), None)
    if found is None:
        return _unmeasured(target)
    ours = [figure.value for figure in found[OURS]]
    if not once.peer:
        return _alone(target, ours, rng)
    theirs = [figure.value for figure in found[once.peer]]
    return _apart(target, ours, theirs, once.unit, rng)


def _unmeasured(target: Target, detail: str = "") -> Reading:
    return Reading(target, Outcome.NOT_MEASURED, detail=detail)


def _outcome(target: Target, value: float) -> Outcome:
    return Outcome.MET if target.meets(value) else Outcome.MISSED


def _paired(target: Target, pairs: Sequence[Pair], unit: str, rng: Random) -> Reading:
    pair_by_pair = statistics.ratios(pairs)
    if pair_by_pair is None:
        return _unmeasured(target)
    ours, theirs = (statistics.spread(side).median for side in zip(*pairs, strict=True))
    value = statistics.ratio(ours, theirs)
    detail = f"{number(ours)} {unit} beside {number(theirs)} {unit}; pair by pair {number(pair_by_pair.median)}"
    return Reading(target, _outcome(target, value), value, pair_by_pair, of_paired_ratio(pairs, rng), detail)


def _alone(target: Target, values: Sequence[float], rng: Random) -> Reading:
    if not values:
        return _unmeasured(target)
    found = statistics.spread(values)
    detail = extent(found)
    return Reading(target, _outcome(target, found.median), found.median, found, of_median(values, rng), detail)


def _apart(target: Target, ours: Sequence[float], theirs: Sequence[float], unit: str, rng: Random) -> Reading:
    """Of what was not taken in turn."""
    if not ours or not theirs:
        return _unmeasured(target)
    mine, other = statistics.spread(ours), statistics.spread(theirs)
    value = statistics.ratio(mine.median, other.median)
    fewer = mine if mine.count <= other.count else other
    detail = f"{number(mine.median)} {unit} beside {number(other.median)} {unit}"
    return Reading(target, _outcome(target, value), value, fewer, of_ratio_of_medians(ours, theirs, rng), detail)


def measured(reading: Reading) -> str:
    """``2.61 [2.44, 2.80]``: the value and its interval."""
    if reading.value is None or reading.interval is None:
        return NOTHING
    return ratio(reading.value, reading.interval)
