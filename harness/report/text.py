"""report.txt: the same answer for a terminal or a CI system's log, 120 columns wide where the content lets it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Sequence

from harness.history.operations import Operation
from harness.history.records import Check
from harness.report import statistics, summary
from harness.report.bands import Band
from harness.report.operations import describe
from harness.report.recording import Recording
from harness.report.summary import milliseconds

COLUMNS = 120
FIRED = {True: "seen to work", False: "DID NOT FIRE", None: "cannot be seen"}
NEVER = "never"


def render(recording: Recording) -> str:
    """Sections with a heading each; those with nothing in them are left out."""
    verdict = recording.verdict
    head = [summary.WORDS[verdict.validity].upper(), *_wrapped(summary.headline(recording))]
    sections = [
        ("", head),
        ("run", table(summary.facts(recording))),
        ("again", _again(recording)),
        ("counts", table((figure.label, figure.value, figure.note) for figure in summary.figures(recording))),
        (
            "assumptions that did not hold",
            [line for a in summary.broken(recording) for line in _wrapped(f"{a.name}: {a.sentence}")],
        ),
        *((f"sub-history of {check.name}", story(check)) for check in verdict.checks),
        ("checks", table((c.name, str(c.validity), c.sentence) for c in verdict.checks)),
        ("details", [clean(f"{c.name}: {json.dumps(c.detail)}") for c in verdict.checks if c.detail]),
        ("faults", faults(recording)),
        ("latency", _latency(recording)),
    ]
    return "\n".join(_section(heading, lines) for heading, lines in sections if lines)


def _section(heading: str, lines: Iterable[str]) -> str:
    if not heading:
        return "\n".join([*lines, ""])
    return "\n".join([clean(heading).upper(), *(f"  {line}" for line in lines), ""])


def _wrapped(sentence: str) -> list[str]:
    return textwrap.wrap(clean(sentence), COLUMNS - 2)


def _again(recording: Recording) -> list[str]:
    typed = summary.command(recording)
    return [summary.replay(recording)] + ([f"it was: {clean(typed)}"] if typed else [])


def clean(text: str) -> str:
    """On one line, and without what a terminal would obey."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text.replace("\n", " "))


def table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns that line up, two blanks between them."""
    cells = [[clean(cell) for cell in row] for row in rows]
    if not cells:
        return []
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def story(check: Check) -> list[str]:
    """A row an operation, and a bar that shows which overlap; times from the first beginning."""
    operations = summary.story(check)
    if not operations:
        return []
    zero_s = operations[0].invoke_s
    culprit = summary.culprit(check, operations)
    bars = overlap(operations)
    rows = [("", "process", "node", "operation", "began", "ended", "")]
    rows += [
        (
            ">" if operation is culprit else " ",
            str(operation.process),
            operation.node or "–",
            describe(operation),
            f"+{milliseconds(operation.invoke_s - zero_s)}",
            f"+{milliseconds(operation.return_s - zero_s)}" if operation.return_s is not None else NEVER,
            bar + ("" if operation.type == "ok" else f"  {operation.type} {operation.error or ''}"),
        )
        for operation, bar in zip(operations, bars, strict=True)
    ]
    about = "" if check.key is None else f"key {clean(check.key)}, "
    return [f"{about}from {zero_s:.3f} s", *table(rows)]


def overlap(operations: Sequence[Operation]) -> list[str]:
    """``[===]`` in a place for each moment at which something begins or ends; ``[==>`` has no known end."""
    moments = sorted({t for op in operations for t in (op.invoke_s, op.return_s) if t is not None})
    place = {moment: index * 3 for index, moment in enumerate(moments)}
    width = 3 * len(moments)
    bars = []
    for operation in operations:
        begin = place[operation.invoke_s]
        if operation.type == "info" or operation.return_s is None:
            bars.append(" " * begin + "[" + "=" * (width - begin - 2) + ">")
        else:
            end = place[operation.return_s]
            bars.append((" " * begin + "[" + "=" * max(0, end - begin - 1) + "]").ljust(width))
    return bars


def faults(recording: Recording) -> list[str]:
    """A row a fault."""
    if not recording.faults:
        return []
    back = statistics.recoveries(recording.faults, recording.operations)
    rows = [("#", "fault", "nodes", "from", "to", "probe", "first ok after")]
    for band, recovery in zip(recording.faults, back, strict=True):
        rows.append(
            (
                str(band.fault),
                band.kind,
                where(band),
                f"{band.began_s:.2f} s",
                f"{band.healed_s:.2f} s" if band.healed_s is not None else "not healed",
                FIRED[band.fired],
                NEVER if recovery.after_set_s is None else milliseconds(recovery.after_set_s),
            )
        )
    return table(rows)


def where(band: Band) -> str:
    """Its nodes, else its links."""
    return " ".join(band.nodes) or " ".join(f"{source}→{target}" for source, target in band.links) or "–"


def _latency(recording: Recording) -> list[str]:
    found = statistics.latency_by_f(recording.operations)
    if not found:
        return []
    rows = [("", "ok", "p50", "p99", "max")]
    rows += [
        (f, f"{one.count:,}", milliseconds(one.p50_s), milliseconds(one.p99_s), milliseconds(one.max_s))
        for f, one in found.items()
    ]
    return table(rows)
