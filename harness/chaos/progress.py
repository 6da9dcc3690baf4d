"""What people see while a run goes on: a few lines that renew themselves on a terminal, a line now and then elsewhere;
and at the end a table, the sentence and where everything lies."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from harness.chaos.run import Glance
from harness.history.records import Validity, Verdict
from harness.view import WIDE

LINE_EVERY_S = 5.0
"""Where no terminal is: often enough for somebody who reads a CI log."""
_STYLE = {Validity.VALID: "bold green", Validity.INVALID: "bold red", Validity.UNKNOWN: "bold yellow"}

Watch = Callable[[Glance], None]


def line(glance: Glance) -> str:
    """One line."""
    counts = glance.counts
    done = counts["ok"] + counts["fail"]
    rate = done / glance.elapsed_s if glance.elapsed_s > 0 else 0.0
    faults = ", ".join(glance.faults) or "none"
    return (
        f"{glance.elapsed_s:5.1f}/{glance.duration_s:g} s  {glance.phase}  {rate:.0f} op/s  ok {counts['ok']}"
        f" fail {counts['fail']} info {counts['info']}  faults: {faults}  leader {glance.leader or '–'}"
        f" term {glance.term}  {_judged(glance)}"
    )


def _judged(glance: Glance) -> str:
    behind = glance.told - glance.judged
    return f"so far {glance.validity} ({behind} events to judge)" + (
        f": {glance.violation}" if glance.violation else ""
    )


@contextmanager
def watching(*, as_json: bool) -> Iterator[Watch]:
    """While inside: something to tell glances to. Nothing is shown where a program reads."""
    if as_json:
        yield lambda _: None
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(stderr=True), transient=True, auto_refresh=False) as live:
            yield lambda glance: live.update(_lines(glance), refresh=True)
    else:
        yield _Sparse()


class _Sparse:
    """A line when the phase changes, and every LINE_EVERY_S."""

    def __init__(self) -> None:
        self._phase, self._due_s = "", 0.0

    def __call__(self, glance: Glance) -> None:
        now = time.monotonic()
        if glance.phase != self._phase or now >= self._due_s:
            self._phase, self._due_s = glance.phase, now + LINE_EVERY_S
            print(line(glance), file=sys.stderr, flush=True)


def _lines(glance: Glance) -> Any:
    from rich.table import Table
    from rich.text import Text

    counts = glance.counts
    done = counts["ok"] + counts["fail"]
    rate = done / glance.elapsed_s if glance.elapsed_s > 0 else 0.0
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    table.add_row(glance.phase, f"{glance.elapsed_s:.1f} of {glance.duration_s:g} s")
    table.add_row("clients", f"{rate:.0f} op/s · ok {counts['ok']} · fail {counts['fail']} · info {counts['info']}")
    table.add_row("cluster", f"leader {glance.leader or '–'} · term {glance.term}")
    table.add_row("faults", " · ".join(glance.faults) or "none just now")
    table.add_row("verdict", Text(_judged(glance), style=_STYLE[glance.validity]))
    return table


def summary(path: Path, verdict: Verdict, report: Path | None, commands: Sequence[str]) -> None:
    """The end, for people: what was done, what was judged, the sentence, what to type next."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("check", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("why")
    for check in verdict.checks:
        table.add_row(check.name, Text(check.validity, style=_STYLE[check.validity]), check.sentence)
    for assumption in verdict.assumptions:
        word = Text("held", style="green") if assumption.held else Text("did not hold", style="bold yellow")
        table.add_row(f"assumption: {assumption.name}", word, assumption.sentence)
    console.print(table)
    console.print(figures(verdict.statistics))
    console.print(Text(f"{verdict.validity.upper()}: {verdict.sentence}", style=_STYLE[verdict.validity]))
    for command in commands:
        console.print(f"  {command}")
    console.print(f"  {report or path}")


def figures(statistics: dict[str, Any]) -> str:
    """Two lines of numbers."""
    latency = " · ".join(
        f"{f} p50 {numbers['p50']:g} ms p99 {numbers['p99']:g} ms" for f, numbers in statistics["latency_ms"].items()
    )
    faults = ", ".join(f"{count} {kind}" for kind, count in statistics["faults"].items())
    return (
        f"{statistics['operations']} operations in {statistics['elapsed_s']:g} s"
        f" ({statistics['operations_per_s']:g}/s): {statistics['ok']} ok, {statistics['fail']} fail,"
        f" {statistics['info']} unknown; {latency}\n"
        f"{statistics['leaders']} leaders seen, last term {statistics['last_term']}; faults: {faults or 'none'}"
    )


def document(path: Path, verdict: Verdict, report: Path | None) -> dict[str, Any]:
    """The end, for programs."""
    told: dict[str, Any] = msgspec.to_builtins(verdict)
    return {"ok": verdict.validity is Validity.VALID, "run": str(path), "report": report and str(report), **told}
