"""The tables of a summary, in Markdown: one an operation, one of the figures, one of the targets. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from harness.bench import names, numerals, statistics
from harness.bench.intervals import of_median, of_ratio_of_medians
from harness.bench.measurements import Cell, Loop, Sample
from harness.bench.names import OURS
from harness.bench.readings import Outcome, Reading, measured
from harness.bench.recording import Recording
from harness.bench.statistics import FigureKey, spread

if TYPE_CHECKING:
    from random import Random

MARKS = {Outcome.MET: "✅ met", Outcome.MISSED: "❌ **missed**", Outcome.NOT_MEASURED: "– not measured"}


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; its first column is text, the others numbers if their heads begin with a space."""
    align = ["---:" if name.startswith(" ") else "---" for name in head]
    lines = [[name.strip() for name in head], align, *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def targets(readings: Sequence[Reading]) -> str:
    """What was asked for, and what was found."""
    in_parts = any(part > 1 for reading in readings for part in reading.parts)
    head = ("what", "target", " measured [interval]", "of", " rounds", *((" part",) if in_parts else ()), "", "remark")
    return markdown(head, (_target(reading, in_parts) for reading in readings))


def _target(reading: Reading, in_parts: bool) -> tuple[str, ...]:
    rounds = "" if reading.values is None else str(reading.values.count)
    target = reading.target
    part = (", ".join(map(str, reading.parts)),) if in_parts else ()
    mark = MARKS[reading.outcome]
    return (target.what, target.wanted, measured(reading), reading.detail, rounds, *part, mark, reading.remark)


def operations(recording: Recording, rng: Random) -> Iterator[tuple[str, str]]:
    """Heading and table of each operation: systems by load."""
    groups: dict[tuple[object, ...], list[tuple[Cell, Mapping[str, Sequence[Sample]]]]] = {}
    for cell, systems in statistics.by_cell(recording.samples).items():
        groups.setdefault(_group(cell), []).append((cell, systems))
    for cells in groups.values():
        first = cells[0][0]
        of = "p99" if first.loop is Loop.OPEN else "rate"
        head = (
            "load", "system", " rounds", " operations/s", " p50 ms", " p99 ms", f" {of}: {OURS} / system, pair by pair",
            " µs of CPU an operation", " busiest node, cores", " generator, cores",
        )  # fmt: skip
        yield _heading(first), markdown(head, (row for cell, systems in cells for row in _rows(cell, systems, rng)))


def _group(cell: Cell) -> tuple[object, ...]:
    return (_is_mix(cell) or cell.operation, cell.level, cell.target, cell.loop)


def _is_mix(cell: Cell) -> str:
    return "mix" if cell.operation.startswith(("ycsb-", "mixed-")) else ""


def _heading(first: Cell) -> str:
    name = f"mixed loads {numerals.WHERE.get(first.target, '')}" if _is_mix(first) else numerals.work(first)
    name = name[0].upper() + name[1:]
    return f"{name}, open loop" if first.loop is Loop.OPEN else name


def load(cell: Cell) -> str:
    """What of the cell is not in the heading: ``64 connections, 1 KiB``."""
    told = [numerals.operation(cell)] if _is_mix(cell) else []
    return ", ".join([*told, numerals.count(cell.connections, "connection"), *numerals.unusual(cell)])


def _rows(cell: Cell, systems: Mapping[str, Sequence[Sample]], rng: Random) -> Iterator[tuple[str, ...]]:
    for system in sorted(systems, key=names.order):
        samples = systems[system]
        columns = [spread(map(of, samples)) for of in (statistics.rate, statistics.p50, statistics.p99)]
        busiest = spread(sample.busiest_cores for sample in samples)
        generator = spread(sample.generator_cores for sample in samples)
        yield (
            load(cell),
            names.look(system).label,
            str(len(samples)),
            *map(numerals.spread, columns),
            "" if system == OURS else _ratio(cell, systems, system, rng),
            numerals.spread(spread(map(statistics.cpu_us, samples))),
            numerals.spread(busiest),
            numerals.spread(generator),
        )


def _ratio(cell: Cell, systems: Mapping[str, Sequence[Sample]], peer: str, rng: Random) -> str:
    """Of rates; in an open loop, where all are offered the same, of p99."""
    of = statistics.p99 if cell.loop is Loop.OPEN else statistics.rate
    paired = statistics.pairs(systems.get(OURS, ()), systems[peer], of)
    values = statistics.ratios(paired)
    return numerals.ratio(values.median, of_median(values.values, rng)) if values else numerals.NOTHING


def figures(recording: Recording, rng: Random) -> str:
    """What happens once, with its distribution; "" without figures."""
    in_parts = len(recording.parts) > 1
    head = (
        *("what", "system", " measurements", " median", " p90", " least–greatest", f" {OURS} / system"),
        *((" part",) if in_parts else ()),
    )
    rows: list[tuple[str, ...]] = []
    for key, systems in statistics.by_figure(recording.figures).items():
        ours = [figure.value for figure in systems.get(OURS, ())]
        for system in sorted(systems, key=names.order):
            theirs = [figure.value for figure in systems[system]]
            found = spread(theirs)
            beside = ""
            if ours and system != OURS:
                ratio = statistics.ratio(spread(ours).median, found.median)
                beside = numerals.ratio(ratio, of_ratio_of_medians(ours, theirs, rng))
            rows.append(
                (
                    thing(key),
                    names.look(system).label,
                    str(found.count),
                    f"{numerals.number(found.median)} {key.unit}".strip(),
                    numerals.number(found.quantile(0.9)),
                    numerals.extent(found),
                    beside,
                    *((", ".join(map(str, sorted({figure.part for figure in systems[system]}))),) if in_parts else ()),
                )
            )
    return markdown(head, rows) if rows else ""


def thing(key: FigureKey) -> str:
    """``restart: exec → ready, 3 nodes, 1,000,000 keys``."""
    keys = f", {key.keys:,} keys" if key.keys else ""
    return f"{names.figure_name(key.name).label}, {numerals.count(key.nodes, 'node')}{keys}"
