"""Numbers for people: three digits that mean something, and never a median without its spread. Pure."""

from __future__ import annotations

import math

from harness.bench.intervals import Interval
from harness.bench.measurements import Cell, Loop
from harness.bench.statistics import Spread

NOTHING = "–"


def number(value: float) -> str:
    """12,345 · 123 · 12.3 · 1.23 · 0.123, and ∞ for what never came."""
    if math.isinf(value):
        return "∞"
    rounded = float(f"{value:.3g}")
    if abs(rounded) >= 100 or rounded == 0:
        return f"{value:,.0f}"
    digits = 2 - math.floor(math.log10(abs(rounded)))
    return f"{value:.{min(digits, 4)}f}"


def short(value: float) -> str:
    """For axes: 1k, 25k, 1M, 0.5."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def size(value_bytes: int) -> str:
    """16 B, 1 KiB, 64 KiB."""
    return f"{value_bytes // 1024} KiB" if value_bytes % 1024 == 0 and value_bytes else f"{value_bytes} B"


def spread(values: Spread, unit: str = "") -> str:
    """Median and range: ``8.11 (7.90–8.40)``, ``17,250/s (16,400–19,700)``."""
    return f"{number(values.median)}{unit} ({extent(values)})"


def extent(values: Spread) -> str:
    """``7.90–8.40``."""
    return f"{number(values.low)}–{number(values.high)}"


def ratio(value: float, interval: Interval) -> str:
    """``2.61 [2.44, 2.80]``; the value alone where the rounds were too few for an interval."""
    return (
        f"{number(value)} [{number(interval.low)}, {number(interval.high)}]"
        if interval.says_something
        else number(value)
    )


def count(how_many: int, one: str, many: str = "") -> str:
    """``1 round``, ``5 rounds``."""
    return f"{how_many:,} {one if how_many == 1 else many or one + 's'}"


WHERE = {"leader": "at the leader", "follower": "at a follower", "spread": "over all nodes"}
LEVELS = {"none": "stale "}


def operation(cell: Cell) -> str:
    """``set``, ``linearizable get``, ``stale get``, ``batch of 100``, ``mixed 95/5``, ``YCSB B``."""
    name, _, more = cell.operation.partition("-")
    if name == "ycsb":
        return f"YCSB {more.upper()}"
    if name == "mixed" and more.isdigit():
        return f"mixed {more}/{100 - int(more)}"
    if name == "batch":
        return f"batch of {more}"
    return (LEVELS.get(cell.level, f"{cell.level} " if cell.level else "")) + cell.operation


def work(cell: Cell) -> str:
    """What is done where: ``linearizable get at a follower``."""
    return f"{operation(cell)} {WHERE.get(cell.target, cell.target)}"


USUAL = Cell(operation="set", target="leader", connections=64)
"""Circumstances that are told once, and not with every cell."""


def unusual(cell: Cell) -> list[str]:
    """What is not as usual: an open loop, ``64 KiB``, ``5 nodes``, ``1M keys``."""
    told = [f"{cell.offered_per_s:,}/s offered"] if cell.loop is Loop.OPEN else []
    told += [size(cell.value_bytes)] if cell.value_bytes != USUAL.value_bytes else []
    told += [f"{cell.nodes} nodes"] if cell.nodes != USUAL.nodes else []
    return told + ([f"{short(cell.keys)} keys"] if cell.keys != USUAL.keys else [])


def place(cell: Cell) -> str:
    """The cell in one line: ``set at the leader, 64 connections, 64 KiB``."""
    return ", ".join([work(cell), count(cell.connections, "connection"), *unusual(cell)])
