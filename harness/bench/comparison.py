"""Two runs beside each other: what became faster, what slower, and what the rounds cannot tell apart. Pure.

Two runs were not taken in turn: the machine may have changed between them. So ours is judged by its ratio to a peer
that stood beside it in both runs, where there is one, and by its bare rate otherwise; peers are shown to tell what the
machine did, and are never a regression. Closed loops are judged by rate, open ones by p99, figures by what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from harness.bench import names, numerals, statistics
from harness.bench.intervals import Interval, of_ratio_of_medians
from harness.bench.measurements import Cell, Figure, Loop, Sample
from harness.bench.names import OURS
from harness.bench.recording import Recording
from harness.bench.statistics import ROUNDS_MIN, FigureKey, spread
from harness.bench.tables import thing

if TYPE_CHECKING:
    from random import Random

MATTERS = 0.05
"""A difference below is not called one, however sure: two runs of one and the same program differ by as much."""

REGRESSION, FINE = 1, 0
"""Exit codes."""


class Verdict(StrEnum):
    """Of B, seen from A; of sizes, faster is smaller."""

    FASTER = "faster"
    SLOWER = "slower"
    SAME = "no difference seen"
    FEW = "too few rounds"


BETTER_WORSE = {True: (Verdict.FASTER, Verdict.SLOWER), False: (Verdict.SLOWER, Verdict.FASTER)}
"""Whether more is better → the verdict on more, on less."""


@dataclass(frozen=True, slots=True)
class Row:
    """One system in one cell, or one figure of it. ``ratio`` is B/A; ``beside``: the same of the ratios to ``peer``."""

    what: str
    system: str
    unit: str
    a: float
    b: float
    ratio: Interval
    peer: str
    beside: Interval | None
    beside_median: float | None
    verdict: Verdict

    @property
    def is_regression(self) -> bool:
        return self.system == OURS and self.verdict is Verdict.SLOWER


@dataclass(frozen=True, slots=True)
class Comparison:
    """Rows of what both have; ``warnings`` tell the rest, and what weakens them."""

    a: Recording
    b: Recording
    rows: tuple[Row, ...]
    warnings: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """REGRESSION if anything of ours became slower, else FINE."""
        return REGRESSION if any(row.is_regression for row in self.rows) else FINE


def compare(a: Recording, b: Recording, rng: Random) -> Comparison:
    """Everything that both have."""
    rows = [*_cells(a.samples, b.samples, rng), *_figures(a.figures, b.figures, rng)]
    rows.sort(key=lambda row: names.order(row.system))  # stable: ours in the order of its cells, then the peers
    return Comparison(a, b, tuple(rows), tuple(_warnings(a, b, rows)))


def _cells(a: Sequence[Sample], b: Sequence[Sample], rng: Random) -> Iterator[Row]:
    cells_a, cells_b = statistics.by_cell(a), statistics.by_cell(b)
    for cell in [cell for cell in cells_a if cell in cells_b]:
        common = sorted(cells_a[cell].keys() & cells_b[cell].keys(), key=names.order)
        peer = next((system for system in common if system != OURS), "") if OURS in common else ""
        for system in common:
            yield _cell(cell, system, peer if system == OURS else "", cells_a[cell], cells_b[cell], rng)


Systems = Mapping[str, Sequence[Sample]]


def _cell(cell: Cell, system: str, peer: str, a: Systems, b: Systems, rng: Random) -> Row:
    open_loop = cell.loop is Loop.OPEN
    of: Callable[[Sample], float] = statistics.p99 if open_loop else statistics.rate
    beside = None
    if peer:
        pairs = [statistics.ratios(statistics.pairs(run[system], run[peer], of)) for run in (a, b)]
        beside = (pairs[0].values, pairs[1].values) if pairs[0] and pairs[1] else None
    values = tuple(map(of, a[system])), tuple(map(of, b[system]))
    return _row(numerals.place(cell), system, "ms p99" if open_loop else "/s", values, peer, beside, not open_loop, rng)


def _figures(a: Sequence[Figure], b: Sequence[Figure], rng: Random) -> Iterator[Row]:
    of_a, of_b = statistics.by_figure(a), statistics.by_figure(b)
    for key in [key for key in of_a if key in of_b]:
        for system in sorted(of_a[key].keys() & of_b[key].keys(), key=names.order):
            yield _figure(key, system, of_a[key][system], of_b[key][system], rng)


def _figure(key: FigureKey, system: str, a: Sequence[Figure], b: Sequence[Figure], rng: Random) -> Row:
    values = tuple(figure.value for figure in a), tuple(figure.value for figure in b)
    return _row(thing(key), system, key.unit, values, "", None, names.figure_name(key.name).more_is_better, rng)


Both = tuple[Sequence[float], Sequence[float]]


def _row(
    what: str, system: str, unit: str, values: Both, peer: str, beside: Both | None, more_is_better: bool, rng: Random
) -> Row:
    a, b = values
    ratio = of_ratio_of_medians(b, a, rng)
    judged_by, judged, median = values, ratio, None
    against: Interval | None = None
    if beside is not None:
        judged_by = beside
        judged = against = of_ratio_of_medians(beside[1], beside[0], rng)
        median = statistics.ratio(spread(beside[1]).median, spread(beside[0]).median)
    few = min(map(len, judged_by)) < ROUNDS_MIN
    verdict = Verdict.FEW if few else _verdict(judged, more_is_better)
    return Row(what, system, unit, spread(a).median, spread(b).median, ratio, peer, against, median, verdict)


def _verdict(interval: Interval, more_is_better: bool) -> Verdict:
    """Certain that it is not the same, and certain that it matters."""
    more, less = BETTER_WORSE[more_is_better]
    if interval.low > 1 + MATTERS:
        return more
    return less if interval.high < 1 - MATTERS else Verdict.SAME


def _warnings(a: Recording, b: Recording, rows: Sequence[Row]) -> Iterator[str]:
    yield (
        "The two runs were not taken in turn: whatever changed on the machine between them is in B/A. "
        + (
            "Ours is judged by its ratio to a peer that both runs have."
            if any(row.peer for row in rows)
            else "No peer is in both runs, so nothing tells the machine's change from ours."
        )
    )
    for what in ("host", "versions"):
        differ = _differences(a.manifest.get(what), b.manifest.get(what))
        if differ:
            yield f"Different {what}: {differ}."
    peers = [row for row in rows if row.system != OURS and row.verdict in (Verdict.FASTER, Verdict.SLOWER)]
    if peers:
        yield f"Peers changed too, in {numerals.count(len(peers), 'row')}: the machine was another one, or they are."
    for name, one, other in (("A", a, b), ("B", b, a)):
        lost = statistics.by_cell(one.samples).keys() - statistics.by_cell(other.samples).keys()
        if lost:
            yield f"Only {name} has: {'; '.join(sorted(map(numerals.place, lost)))}."


def _differences(a: Any, b: Any) -> str:
    """``etcd 3.4.23 → 3.5.1``."""
    if not isinstance(a, dict) or not isinstance(b, dict):
        return "" if a == b else f"{a} → {b}"
    keys = [key for key in {**a, **b} if a.get(key) != b.get(key) and key != "load_average_before"]
    return ", ".join(f"{key} {a.get(key, 'none')} → {b.get(key, 'none')}" for key in keys)


HEAD = ("what", "system", "A", "B", "B/A", "beside a peer, B/A", "verdict")


def texts(row: Row) -> tuple[str, ...]:
    """A row's texts, under HEAD."""
    beside = ""
    if row.beside is not None and row.beside_median is not None:
        label = names.look(row.peer).label
        beside = f"{numerals.ratio(row.beside_median, row.beside)} ({label})"
    return (
        row.what,
        names.look(row.system).label,
        f"{numerals.number(row.a)} {row.unit}".strip(),
        f"{numerals.number(row.b)} {row.unit}".strip(),
        numerals.ratio(statistics.ratio(row.b, row.a), row.ratio),
        beside,
        _said(row),
    )


def _said(row: Row) -> str:
    """A size is not faster."""
    is_time = row.unit.removesuffix(" p99") in ("/s", "s", "ms", "µs")
    return row.verdict if is_time else {Verdict.FASTER: "better", Verdict.SLOWER: "worse"}.get(row.verdict, row.verdict)


def text(comparison: Comparison) -> str:
    """The whole of it, in lines for a terminal: the answer first."""
    slower = [row for row in comparison.rows if row.is_regression]
    faster = [row for row in comparison.rows if row.system == OURS and row.verdict is Verdict.FASTER]
    ours = sum(row.system == OURS for row in comparison.rows)
    answer = f"{OURS}: slower in {len(slower)}, faster in {len(faster)} of {ours} that both runs have"
    lines = [
        f"A: {comparison.a.name}",
        f"B: {comparison.b.name}",
        "",
        answer if ours else f"nothing of {OURS} is in both",
    ]
    lines += [f"note: {warning}" for warning in comparison.warnings]
    table = [HEAD, *map(texts, comparison.rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines += [
        "",
        *("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table),
    ]
    return "\n".join(lines) + "\n"
