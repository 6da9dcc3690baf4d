"""The plots that a run's data allow, in the order in which they are shown. Pure.

Which cells stand together is asked of the cells themselves: those that differ in one property make a curve along it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from harness.bench import findings, names, numerals, percentiles, statistics, targets
from harness.bench.charts import Chart, Curves, Forest, Line, Point, Row, Strip
from harness.bench.findings import Systems
from harness.bench.intervals import of_median
from harness.bench.measurements import Cell, Loop, Sample
from harness.bench.names import OURS
from harness.bench.numerals import number
from harness.bench.recording import Recording
from harness.bench.statistics import spread

if TYPE_CHECKING:
    from random import Random

BUSY = 64
"""Connections of the plots that show one number of them; the nearest that was measured, if it was not."""

FOREST_ROWS_MAX = 60
"""More do not fit on a screen: the rest is in the tables."""

Cells = Mapping[Cell, Systems]


def gallery(recording: Recording, rng: Random) -> tuple[Chart, ...]:
    """All that the run's data allow, in the order in which they are shown."""
    cells = statistics.by_cell(recording.samples)
    closed = {cell: systems for cell, systems in cells.items() if cell.loop is Loop.CLOSED}
    return (
        *_forests(closed, rng),
        *_along(closed, "connections", "throughput", "connections"),
        *_mixes(closed),
        *_tails(cells),
        *_offered(cells),
        *_along(closed, "nodes", "nodes", "nodes"),
        *_along(closed, "keys", "keys", "keys"),
        *_grown(recording),
        *_along(closed, "value_bytes", "values", "size of a value"),
        *_strips(recording),
    )


GROWN = {"rate-by-nodes": "nodes", "rate-by-keys": "keys"}
"""Figures that were taken at several sizes → which size of theirs it is."""

AXES = {
    "connections": ("by connections", ""),
    "nodes": ("as the cluster grows", " nodes"),
    "keys": ("as the keys grow", " keys"),
    "value_bytes": ("as the values grow", ""),
}
"""Property of a cell → how a title says it, and its unit."""


def _along(cells: Cells, axis: str, stem: str, x_label: str) -> Iterator[Curves]:
    """Rates of cells that differ in nothing but this property, where it has two values at least."""
    groups: dict[Cell, dict[int, Systems]] = {}
    for cell, systems in cells.items():
        groups.setdefault(msgspec.structs.replace(cell, **{axis: 0}), {})[getattr(cell, axis)] = systems
    say: Callable[[int], str] = numerals.size if axis == "value_bytes" else numerals.short
    how, unit = AXES[axis]
    for group, of in groups.items():
        if len(of) < 2:
            continue
        places = sorted(of)
        if axis == "connections":
            at = min(places, key=lambda place: abs(place - BUSY))
            finding = findings.rates(of[at], f"At {numerals.count(at, 'connection')}")
        else:
            where = f"From {say(places[0])} to {say(places[-1])}{unit}"
            finding = findings.kept(of[places[0]], of[places[-1]], where)
        title = f"{_sentence(numerals.work(group))}: operations a second {how}"
        ticks = tuple((float(place), say(place)) for place in places)
        x_name = f"{x_label}   ({_rest(group, axis)})"
        lines = _lines({place: of[place] for place in places}, statistics.rate)
        yield Curves(f"{stem}-{_stem(group)}", title, finding, x_name, "operations/s", ticks, lines)


def _lines(of: Mapping[int, Systems], quantity: statistics.Quantity) -> tuple[Line, ...]:
    systems = sorted({system for those in of.values() for system in those}, key=names.order)
    return tuple(
        Line(
            system,
            tuple(
                Point(float(place), spread(map(quantity, those[system])))
                for place, those in of.items()
                if system in those
            ),
        )
        for system in systems
    )


def _mixes(cells: Cells) -> Iterator[Curves]:
    """Mixed loads beside each other, one plot a target."""
    groups: dict[Cell, dict[str, Systems]] = {}
    for cell, systems in cells.items():
        if cell.operation.startswith(("mixed-", "ycsb-")):
            groups.setdefault(msgspec.structs.replace(cell, operation="mixed"), {})[numerals.operation(cell)] = systems
    for group, of in groups.items():
        if len(of) < 2:
            continue
        ticks = tuple((float(place), name) for place, name in enumerate(of))
        title = f"Mixed loads {numerals.WHERE.get(group.target, group.target)}: operations a second"
        x_name = f"reads/writes, and YCSB's workloads   ({_rest(group, 'operation')})"
        lines = _lines(dict(enumerate(of.values())), statistics.rate)
        finding = findings.rates(next(iter(of.values())), f"Of {ticks[0][1]}")
        yield Curves(
            f"mixes-{_stem(group)}", title, finding, x_name, "operations/s", ticks, lines, log_x=False, joined=False
        )


def _tails(cells: Cells) -> Iterator[Curves]:
    """Latency distributions: of plain sets and gets under the usual load, and of the open loop that is offered most
    of those that most systems have."""
    usual = [cell for cell in cells if cell.operation in ("set", "get") and cell.loop is Loop.CLOSED]
    usual = [cell for cell in usual if cell == msgspec.structs.replace(_usual(cell), connections=BUSY)]
    open_ones = [cell for cell in cells if cell.loop is Loop.OPEN]
    widest = max(open_ones, key=lambda cell: (len(cells[cell]), cell.offered_per_s), default=None)
    for cell in [*usual, *([widest] if widest else [])]:
        systems = {system: samples for system, samples in cells[cell].items() if any(one.completed for one in samples)}
        if not systems:
            continue
        lines = tuple(_tail(system, systems[system]) for system in sorted(systems, key=names.order))
        loop = f"open loop, {cell.offered_per_s:,}/s offered" if cell.loop is Loop.OPEN else "closed loop"
        said = ", ".join(f"{names.look(line.system).label} {number(line.points[2].y.median)} ms" for line in lines)
        last = max([percentiles.nines(99.9), *(place for line in lines for place, _ in line.curve[-1:])])
        ticks = tuple((percentiles.nines(per_cent), name) for per_cent, name in percentiles.TOLD)
        ticks += ((4.0, "p99.99"),) if last >= 4 else ()
        yield Curves(
            f"latency-{_stem(cell)}" + (f"-open-{cell.offered_per_s}" if cell.offered_per_s else ""),
            f"{_sentence(numerals.work(cell))}: how long an operation takes",
            f"p99: {said}",
            f"percentile   ({loop}, {cell.connections} connections, {_rest(cell, 'connections')})",
            "ms",
            ticks,
            lines,
            log_x=False,
            log_y=True,
        )


def _tail(system: str, samples: Sequence[Sample]) -> Line:
    rounds = [percentiles.told(sample) for sample in samples if sample.completed]
    points = tuple(Point(places[0][0], spread(ms for _, ms in places)) for places in zip(*rounds, strict=True))
    return Line(system, points, percentiles.curve([sample for sample in samples if sample.completed]))


QUANTILES: tuple[tuple[str, statistics.Quantity], ...] = (
    ("p50", statistics.p50), ("p99", statistics.p99), ("p99.9", lambda sample: sample.p999_ms),
)  # fmt: skip


def _offered(cells: Cells) -> Iterator[Curves]:
    """Latency against the rate that an open loop offers, where it offered two at least."""
    groups: dict[Cell, dict[int, Systems]] = {}
    for cell, systems in cells.items():
        if cell.loop is Loop.OPEN:
            groups.setdefault(msgspec.structs.replace(cell, offered_per_s=0), {})[cell.offered_per_s] = systems
    for group, of in groups.items():
        if len(of) < 2:
            continue
        places = {place: of[place] for place in sorted(of)}
        lines = tuple(replace(line, of=name) for name, quantity in QUANTILES for line in _lines(places, quantity))
        yield Curves(
            f"offered-{_stem(group)}",
            f"{_sentence(numerals.work(group))}: how long an operation takes, by the rate that is offered",
            findings.waits(places),
            f"operations/s offered   (open loop, {_rest(group, 'offered_per_s')})",
            "ms",
            tuple((float(place), numerals.short(place)) for place in places),
            lines,
            log_y=True,
        )


def _grown(recording: Recording) -> Iterator[Curves]:
    """Rates by size, where all sizes took turns."""
    for name, axis in GROWN.items():
        of = {
            getattr(key, axis): systems
            for key, systems in statistics.by_figure(recording.figures).items()
            if key.name == name
        }
        if len(of) < 2:
            continue
        places = sorted(of)
        how, unit = AXES[axis]
        least, most = (
            {system: spread(figure.value for figure in those).median for system, those in of[place].items()}
            for place in (places[0], places[-1])
        )
        lines = tuple(
            Line(
                system,
                tuple(
                    Point(float(place), spread(figure.value for figure in of[place][system]))
                    for place in places
                    if system in of[place]
                ),
            )
            for system in sorted({system for systems in of.values() for system in systems}, key=names.order)
        )
        rest = msgspec.structs.replace(numerals.USUAL, **{axis: 0})
        yield Curves(
            name,
            f"{_sentence(numerals.work(rest))}: operations a second {how}",
            findings.shares(least, most, f"From {numerals.short(places[0])} to {numerals.short(places[-1])}{unit}"),
            f"{axis}   ({_rest(rest, axis)}; all sizes in turn)",
            "operations/s",
            tuple((float(place), numerals.short(place)) for place in places),
            lines,
        )


def _forests(cells: Cells, rng: Random) -> Iterator[Forest]:
    """One a peer: every cell's ratio of rates, pair by pair."""
    peers = sorted({system for systems in cells.values() for system in systems} - {OURS}, key=names.order)
    wanted = {
        (cell, target.measure.peer): target.limit
        for target in targets.TARGETS
        if isinstance(target.measure, targets.Beside) and target.measure.of is targets.Of.RATE
        for cell in target.measure.cells
    }
    for peer in peers:
        rows: list[Row] = []
        for cell, systems in cells.items():
            values = statistics.ratios(statistics.pairs(systems.get(OURS, ()), systems.get(peer, ()), statistics.rate))
            if values:
                row = Row(_row_label(cell), values, of_median(values.values, rng), wanted.get((cell, peer)))
                rows.append(row)
        if rows:
            label = names.look(peer).label
            yield Forest(
                f"ratios-{peer}",
                f"{OURS} beside {label}: ratio of operations a second",
                findings.ahead([row.interval for row in rows], label),
                f"{OURS} / {label}, median of the rounds' ratios",
                tuple(rows[:FOREST_ROWS_MAX]),
            )


def _strips(recording: Recording) -> Iterator[Strip]:
    """Times and sizes that several systems have, or that were measured often enough to have a shape."""
    wanted = {
        (target.measure.name, target.measure.nodes, target.measure.keys): target.limit
        for target in targets.TARGETS
        if isinstance(target.measure, targets.Once) and not target.measure.peer
    }
    for key, systems in statistics.by_figure(recording.figures).items():
        if key.name in GROWN or all(len(those) < statistics.ROUNDS_MIN for those in systems.values()):
            continue  # a dot or two are no shape: the table has them
        rows = tuple(
            (system, spread(figure.value for figure in systems[system])) for system in sorted(systems, key=names.order)
        )
        if len(rows) < 2 and rows[0][1].count < statistics.ROUNDS_WANTED:
            continue
        limits = [wanted.get((key.name, nodes, keys)) for nodes in (key.nodes, 0) for keys in (key.keys, 0)]
        said = ", ".join(f"{names.look(system).label} {number(found.median)} {key.unit}" for system, found in rows)
        keys = f", {numerals.short(key.keys)} keys" if key.keys else ""
        yield Strip(
            f"{key.name}-{key.nodes}-nodes" + (f"-{numerals.short(key.keys)}-keys" if key.keys else ""),
            _sentence(names.figure_name(key.name).label),
            f"Median: {said}",
            f"{key.unit}   (one dot a measurement; {key.nodes} nodes{keys})",
            rows,
            next((limit for limit in limits if limit is not None), None),
        )


def _usual(cell: Cell) -> Cell:
    """The same operation under the usual circumstances."""
    return Cell(operation=cell.operation, target=cell.target, connections=cell.connections, level=cell.level)


def _row_label(cell: Cell) -> str:
    return ", ".join([f"{numerals.work(cell)} · {cell.connections} conn.", *numerals.unusual(cell)])


def _rest(cell: Cell, axis: str) -> str:
    """The circumstances that stay the same along ``axis``."""
    told = [("connections", f"{cell.connections} connections"), ("value_bytes", numerals.size(cell.value_bytes))]
    told += [("nodes", f"{cell.nodes} nodes"), ("keys", f"{numerals.short(cell.keys)} keys")]
    return ", ".join(words for name, words in told if name != axis)


def _stem(cell: Cell) -> str:
    """For a file's name; what is as usual is not told."""
    usual = _usual(cell)
    words = [*filter(None, (cell.level, cell.operation, cell.target))]
    words += [f"{cell.connections}c"] if cell.connections not in (0, BUSY) else []
    words += [f"{cell.value_bytes}b"] if cell.value_bytes not in (0, usual.value_bytes) else []
    words += [f"{cell.nodes}n"] if cell.nodes not in (0, usual.nodes) else []
    words += [f"{cell.keys}k"] if cell.keys not in (0, usual.keys) else []
    return "-".join(words)


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:]
