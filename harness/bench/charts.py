"""What a plot shows, as values: ``gallery`` makes them of a run, ``plots`` draws them. Pure.

``stem`` is its file's name without the suffix; ``title`` names what is shown, ``finding`` says below it what is seen.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.bench.intervals import Interval
from harness.bench.statistics import Spread


@dataclass(frozen=True, slots=True)
class Point:
    """A place on the axis, and the rounds there."""

    x: float
    y: Spread


@dataclass(frozen=True, slots=True)
class Line:
    """Of one system. ``curve``: what is drawn instead of straight pieces between the points. ``of``: which of its
    quantities, where a chart has several of one system: "p50", "p99", "p99.9"."""

    system: str
    points: tuple[Point, ...]
    curve: tuple[tuple[float, float], ...] = ()
    of: str = ""


@dataclass(frozen=True, slots=True)
class Curves:
    """Lines over an axis whose places have names. ``joined``: what lies between two places means something."""

    stem: str
    title: str
    finding: str
    x_label: str
    y_label: str
    ticks: tuple[tuple[float, str], ...]
    lines: tuple[Line, ...]
    log_x: bool = True
    log_y: bool = False
    joined: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """A cell's ratio; ``target`` if one was set."""

    label: str
    ratio: Spread
    interval: Interval
    target: float | None = None


@dataclass(frozen=True, slots=True)
class Forest:
    """Ratios beside one peer, a row a cell."""

    stem: str
    title: str
    finding: str
    x_label: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Strip:
    """Every single measurement of something, a row a system. ``target``: a line across, if one was set."""

    stem: str
    title: str
    finding: str
    x_label: str
    rows: tuple[tuple[str, Spread], ...]
    target: float | None = None


Chart = Curves | Forest | Strip
