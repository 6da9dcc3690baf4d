"""Charts as SVG: the one door to matplotlib, which is imported when something is drawn.

Text stays text (sharp, searchable, in the reader's own font) but is measured in DejaVu Sans, which is wider than what
replaces it. An image brings its own background, and both colours for everything: dark where the page is dark, legible
where a viewer does not know. The same chart gives the same bytes: fixed salt, no date.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.bench import names
from harness.bench.charts import Chart, Curves, Forest, Line, Strip
from harness.bench.numerals import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN = 8.6
HEAD_IN = 0.95
"""Title, finding, legend."""
FOOT_IN = 0.62
LEGEND_COLUMNS = 5
FONT_STACK = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"
FINDING_CHARACTERS_MAX = 112

PAPER, INK, MUTED, GRID = "#ffffff", "#1f2328", "#59636e", "#e4e7eb"
DARK = {PAPER: "#0d1117", INK: "#f0f6fc", MUTED: "#9198a1", GRID: "#2a313c"}

SETTINGS: Any = {
    "svg.hashsalt": "dkv", "svg.fonttype": "none", "font.family": ["DejaVu Sans"], "font.size": 10.5,
    "text.color": INK, "axes.labelcolor": MUTED, "axes.edgecolor": GRID, "axes.facecolor": PAPER,
    "xtick.color": MUTED, "ytick.color": MUTED, "grid.color": GRID, "figure.facecolor": PAPER,
    "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False, "axes.grid": True,
    "axes.axisbelow": True, "ytick.left": False, "legend.frameon": False, "path.simplify": False,
}  # fmt: skip


def svg(chart: Chart) -> str:
    """The image, as it is written to a file. ImportError without matplotlib."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    with matplotlib.rc_context(SETTINGS):
        figure = _draw(chart)
        out = io.StringIO()
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(out, metadata={"Date": None, "Creator": None, "Title": chart.title})
    return themed(out.getvalue())


def themed(image: str) -> str:
    """With the reader's fonts, and with colours for dark pages."""
    image = re.sub(r"'DejaVu Sans'(, [^;\"]*)?", FONT_STACK, image)
    colours = DARK | {look.light: look.dark for look in (*names.SYSTEMS.values(), *names.STRANGERS)}
    rules = "".join(
        f'[style*="{what}: {light}"]{{{what}:{dark}!important}}'
        for light, dark in colours.items()
        if light in image
        for what in ("fill", "stroke")
    )
    head, tag, rest = image.partition(" <defs>")
    return f"{head} <style>@media (prefers-color-scheme:dark){{{rules}}}</style>\n{tag}{rest}"


def _draw(chart: Chart) -> Figure:
    match chart:
        case Curves():
            return _curves(chart)
        case Forest():
            return _forest(chart)
        case Strip():
            return _strip(chart)


def _page(chart: Chart, body_in: float, left_in: float, head_in: float = HEAD_IN) -> tuple[Figure, Axes]:
    """A figure with its head, and one field of this height to draw in."""
    from matplotlib.figure import Figure

    height_in = head_in + body_in + FOOT_IN
    figure = Figure(figsize=(WIDTH_IN, height_in))
    place = (left_in / WIDTH_IN, FOOT_IN / height_in, (WIDTH_IN - left_in - 0.3) / WIDTH_IN, body_in / height_in)
    axes: Axes = figure.add_axes(place)
    finding = chart.finding
    if len(finding) > FINDING_CHARACTERS_MAX:
        finding = finding[:FINDING_CHARACTERS_MAX].rpartition(",")[0] + ", …"
    figure.text(0.2 / WIDTH_IN, 1 - 0.3 / height_in, chart.title, fontsize=13, fontweight="bold")
    figure.text(0.2 / WIDTH_IN, 1 - 0.54 / height_in, finding, fontsize=10.5, color=MUTED)
    axes.set_xlabel(chart.x_label, labelpad=6)
    axes.tick_params(length=0, which="both")
    return figure, axes


def _curves(chart: Curves) -> Figure:
    rows = math.ceil(len({line.system for line in chart.lines}) / LEGEND_COLUMNS)
    figure, axes = _page(chart, 3.3, 0.85, HEAD_IN + (rows - 1) * 0.24)
    count = len(chart.lines)
    for place, line in enumerate(chart.lines):
        _line(axes, chart, line, (place - (count - 1) / 2) * min(0.14, 0.6 / count))
    if chart.log_x:
        axes.set_xscale("log")
    _name_ends(axes, chart)
    if chart.log_y:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.set_xticks([place for place, _ in chart.ticks], [name for _, name in chart.ticks])
    axes.set_xticks([], minor=True)
    axes.grid(axis="x", visible=chart.log_y)
    _numbers(axes.yaxis, chart.log_y)
    axes.set_ylabel(chart.y_label)
    _legend(figure, axes)
    return figure


DASHES: dict[str, Any] = {"p50": (0, (1, 1.6)), "p99.9": (0, (5, 2))}
"""Of lines that are one of several of a system; the one that is compared, p99, is whole."""
NUDGES = {"p99": -9.0, "p99.9": 2.0}
"""In points, up: so far their names stand from the ends of the lines, which may meet."""


def _name_ends(axes: Axes, chart: Curves) -> None:
    """Which quantity a line is, at its end: colours and marks are the systems'."""
    for line in chart.lines:
        if line.of and line.points:
            last = line.points[-1]
            at, away = (last.x, last.y.median), (9.0, NUDGES.get(line.of, -3.5))
            colour = names.look(line.system).light
            axes.annotate(line.of, at, xytext=away, textcoords="offset points", fontsize=9, color=colour)


def _line(axes: Axes, chart: Curves, line: Line, dodge: float) -> None:
    """Medians with whiskers from least to greatest; ours is the thickest, and above the others."""
    look, ours = names.look(line.system), line.system == names.OURS
    finite = [point for point in line.points if math.isfinite(point.y.high)]
    xs = [point.x if chart.joined else point.x + dodge for point in finite]
    ys = [point.y.median for point in finite]
    whiskers = [
        [y - point.y.low for y, point in zip(ys, finite, strict=True)],
        [point.y.high - point.y.median for point in finite],
    ]
    style: dict[str, Any] = {"color": look.light, "zorder": 4 if ours else 3}
    if chart.joined:
        path = line.curve or tuple(zip(xs, ys, strict=True))
        dash = DASHES.get(line.of, "-")
        axes.plot([x for x, _ in path], [y for _, y in path], linewidth=2.4 if ours else 1.5, linestyle=dash, **style)
    axes.errorbar(
        xs, ys, yerr=whiskers, fmt=look.mark, markersize=8 if ours else 7.5, markeredgecolor=PAPER, markeredgewidth=0.7,
        elinewidth=1.2, capsize=2.5, label=look.label if line.of in ("", "p99") else None, **style,
    )  # fmt: skip


def _legend(figure: Figure, axes: Axes) -> None:
    handles: Any
    handles, labels = axes.get_legend_handles_labels()
    marks = [handle[0] for handle in handles]
    height_in = float(figure.get_size_inches()[1])
    figure.legend(
        marks, labels, loc="upper left", bbox_to_anchor=(0.1 / WIDTH_IN, 1 - 0.58 / height_in), ncols=LEGEND_COLUMNS,
        handletextpad=0.2, columnspacing=1.4, borderpad=0.4,
    )  # fmt: skip


def _forest(chart: Forest) -> Figure:
    """The cells from above downwards, as they come."""
    figure, axes = _page(chart, 0.25 * len(chart.rows) + 0.25, 3.7)
    look, rows = names.look(names.OURS), chart.rows
    for place, row in enumerate(rows):
        clear = row.interval.is_above_one or row.interval.is_below_one
        axes.plot([row.interval.low, row.interval.high], [place, place], color=look.light, linewidth=2.2, zorder=3)
        fill = look.light if clear else PAPER
        axes.plot(
            [row.ratio.median], [place], look.mark, color=fill, markeredgecolor=look.light, markersize=7, zorder=4,
            markeredgewidth=1.4,
        )  # fmt: skip
        if row.target is not None:
            axes.plot([row.target], [place], "|", color=INK, markersize=13, markeredgewidth=2, zorder=5)
    axes.axvline(1, color=MUTED, linewidth=1.2, zorder=2)
    axes.set_yticks(range(len(rows)), [row.label for row in rows], fontsize=9.5)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    _ratio_axis(axes, [1.0, *(end for row in rows for end in (row.interval.low, row.interval.high, row.target or 1.0))])
    note = "● the interval excludes 1   ○ it does not   ┃ target" if any(row.target for row in rows) else ""
    note = note or "● the interval excludes 1   ○ it does not"
    height_in = float(figure.get_size_inches()[1])
    figure.text(0.2 / WIDTH_IN, 1 - 0.78 / height_in, note, fontsize=9.5, color=MUTED)
    axes.grid(axis="y", visible=False)
    return figure


RATIO_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 20, 50, 100, 200, 500)


def _ratio_axis(axes: Axes, ends: Sequence[float]) -> None:
    """Twice as fast and half as fast are equally far from 1."""
    finite = [end for end in ends if 0 < end < math.inf]
    low, high = min(finite) / 1.15, max(finite) * 1.15
    ticks = [tick for tick in RATIO_TICKS if low <= tick <= high]
    if len(ticks) > 9:
        ticks = [tick for tick in ticks if f"{tick:g}".strip("0.") in ("1", "2", "5")]
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_xticks(ticks, [f"{tick:g}×" for tick in ticks])
    axes.set_xticks([], minor=True)


def _strip(chart: Strip) -> Figure:
    """A dot a measurement, those that would hide each other above each other; a bar at the median."""
    figure, axes = _page(chart, 0.62 * len(chart.rows) + 0.3, 1.9)
    everything = [value for _, values in chart.rows for value in values.values if 0 < value < math.inf]
    log = bool(everything) and max(everything) > 5 * min(everything)
    if log:
        axes.set_xscale("log")
    else:
        axes.set_xlim(0, 1.05 * max([*everything, chart.target or 0.0]) or 1.0)
    for place, (system, values) in enumerate(chart.rows):
        look = names.look(system)
        finite = [value for value in values.values if value < math.inf and (value > 0 or not log)]
        offsets = _apart(finite, everything, log)
        axes.plot(
            finite, [place - offset for offset in offsets], look.mark, color=look.light, markersize=7, alpha=0.85,
            markeredgecolor=PAPER, markeredgewidth=0.6, zorder=3,
        )  # fmt: skip
        axes.plot([values.median], [place], "|", color=INK, markersize=26, markeredgewidth=2.2, zorder=4)
    if chart.target is not None and (chart.target > 0 or not log):
        axes.axvline(chart.target, color=MUTED, linewidth=1.4, linestyle=(0, (4, 3)), zorder=2)
        axes.annotate(
            f"target {chart.target:g}", (chart.target, 1), xycoords=("data", "axes fraction"), xytext=(4, 2),
            textcoords="offset points", color=MUTED, fontsize=9,
        )  # fmt: skip
    axes.set_yticks(range(len(chart.rows)), [names.look(system).label for system, _ in chart.rows])
    axes.set_ylim(len(chart.rows) - 0.45, -0.55)
    axes.grid(axis="y", visible=False)
    _numbers(axes.xaxis, log)
    return figure


def _apart(values: Sequence[float], everything: Sequence[float], log: bool) -> list[float]:
    """How far up or down each dot goes: in turn, as long as the one before it is too near."""
    scale = math.log if log else float
    width = (scale(max(everything)) - scale(min(everything))) if everything else 0.0
    offsets: list[float] = []
    row = 0
    for place, value in enumerate(values):
        near = place > 0 and width > 0 and scale(value) - scale(values[place - 1]) < width / 60
        row = row + 1 if near else 0
        offsets.append((0, 0.12, -0.12, 0.24, -0.24)[row % 5])
    return offsets


def _numbers(axis: Any, log: bool) -> None:
    """12k rather than 12000, 0.05 rather than 5·10⁻²; on log axes 1, 2, 5."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)) if log else MaxNLocator(6, steps=[1, 2, 5, 10]))
    axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
