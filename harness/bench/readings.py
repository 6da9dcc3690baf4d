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
from harness.bench.names import NOT_AT_HAND, OURS, look
from harness.bench.numerals import NOTHING, extent, number, ratio
from harness.bench.recording import Recording
from harness.bench.statistics import FigureKey, Pair, Spread
from harness.bench.targets import QUANTITIES, TARGETS, UNITS, Alone, Beside, Grown, Once, Target

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
    parts: tuple[int, ...] = ()
    """Of the run, in which it was measured."""

    @property
    def remark(self) -> str:
        """What weakens the outcome, or why there is none; "" if nothing does."""
        if self.values is None or self.interval is None:
            peer = getattr(self.target.measure, "peer", "")
            return f"{look(peer).label} is not at hand: {NOT_AT_HAND[peer]}" if peer in NOT_AT_HAND else ""
        said = [self.values.few] if self.values.few else []
        if len(self.parts) > 1:
            said.append("not all measured in one part of the run")
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
        case Alone(wanted, of):
            samples = next((cells[cell][OURS] for cell in wanted if OURS in cells.get(cell, {})), ())
            return _alone(target, [QUANTITIES[of](sample) for sample in samples], _parts(samples), rng)
        case Once() as once:
            return _once(target, once, figures, rng)
        case Grown() as grown:
            return _grown(target, grown, figures, rng)


def _parts(*measured: Sequence[Sample | Figure]) -> tuple[int, ...]:
    return tuple(sorted({one.part for those in measured for one in those}))


def _beside(target: Target, beside: Beside, cells: Cells, rng: Random) -> Reading:
    of, peer = beside.of, beside.peer
    ours = [cells[cell] for cell in beside.cells if OURS in cells.get(cell, {})]
    both = next((systems for systems in ours if peer in systems), None)
    if both:
        pairs = statistics.pairs(both[OURS], both[peer], QUANTITIES[of])
        return _paired(target, pairs, UNITS[of], _parts(both[OURS], both[peer]), rng)
    if not ours:
        return _unmeasured(target)
    median = statistics.spread(map(QUANTITIES[of], ours[0][OURS])).median
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
        return _alone(target, ours, _parts(found[OURS]), rng)
    theirs = [figure.value for figure in found[once.peer]]
    return _apart(target, ours, theirs, once.unit, _parts(found[OURS], found[once.peer]), rng)


def _grown(target: Target, grown: Grown, figures: Figures, rng: Random) -> Reading:
    """Sizes took turns in each round, so they are paired as systems are."""
    found = {key.keys: systems[OURS] for key, systems in figures.items() if key.name == grown.name and OURS in systems}
    large, usual = found.get(grown.keys, ()), {figure.round: figure.value for figure in found.get(grown.usual, ())}
    pairs = [(figure.value, usual[figure.round]) for figure in large if figure.round in usual]
    return _paired(target, pairs, grown.unit, _parts(large), rng)


def _unmeasured(target: Target, detail: str = "") -> Reading:
    return Reading(target, Outcome.NOT_MEASURED, detail=detail)


def _outcome(target: Target, value: float) -> Outcome:
    return Outcome.MET if target.meets(value) else Outcome.MISSED


def _paired(target: Target, pairs: Sequence[Pair], unit: str, parts: tuple[int, ...], rng: Random) -> Reading:
    pair_by_pair = statistics.ratios(pairs)
    if pair_by_pair is None:
        return _unmeasured(target)
    ours, theirs = (statistics.spread(side).median for side in zip(*pairs, strict=True))
    value = statistics.ratio(ours, theirs)
    detail = f"{number(ours)} {unit} beside {number(theirs)} {unit}; pair by pair {number(pair_by_pair.median)}"
    return Reading(target, _outcome(target, value), value, pair_by_pair, of_paired_ratio(pairs, rng), detail, parts)


def _alone(target: Target, values: Sequence[float], parts: tuple[int, ...], rng: Random) -> Reading:
    if not values:
        return _unmeasured(target)
    found = statistics.spread(values)
    interval = of_median(values, rng)
    return Reading(target, _outcome(target, found.median), found.median, found, interval, extent(found), parts)


def _apart(
    target: Target, ours: Sequence[float], theirs: Sequence[float], unit: str, parts: tuple[int, ...], rng: Random
) -> Reading:
    """Of what was not taken in turn."""
    if not ours or not theirs:
        return _unmeasured(target)
    mine, other = statistics.spread(ours), statistics.spread(theirs)
    value = statistics.ratio(mine.median, other.median)
    fewer = mine if mine.count <= other.count else other
    detail = f"{number(mine.median)} {unit} beside {number(other.median)} {unit}"
    interval = of_ratio_of_medians(ours, theirs, rng)
    return Reading(target, _outcome(target, value), value, fewer, interval, detail, parts)


def measured(reading: Reading) -> str:
    """``2.61 [2.44, 2.80]``: the value and its interval."""
    if reading.value is None or reading.interval is None:
        return NOTHING
    return ratio(reading.value, reading.interval)
