"""What ``dkv-harness doctor`` does: enter the kernel's network if it can be had, examine, show."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import uvloop

from harness import foreground
from harness.chaos.rig import build
from harness.doctor import NODES, Doctor, Finding, State, counted
from harness.systems.network_kernel import KernelNetwork, available, enter_namespace, is_inside
from harness.view import WIDE, View

_STYLE = {State.WORKS: "green", State.SUBSTITUTE: "yellow", State.NOT_AVAILABLE: "bold red"}


def examine(*, as_json: bool, port_offset: int) -> int:
    """The exit code. Raises HarnessError if no cluster can be started."""
    foreground.interrupt_on_signals()
    reason = available() or ""
    if not reason and not is_inside():
        enter_namespace([sys.executable, "-m", "harness", *sys.argv[1:]])
    kernel = None if reason else KernelNetwork()
    view = View(as_json=as_json)
    try:
        with tempfile.TemporaryDirectory(prefix="dkv-doctor-") as directory, view.progress() as say:
            rig = build("dkv", Path(directory), NODES, kernel=kernel, port_offset=port_offset)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                findings = runner.run(Doctor(rig, reason, say).examine())
    finally:
        if kernel is not None:
            kernel.close()
    counts = counted(findings)
    if as_json:
        print(json.dumps({"ok": not counts[State.NOT_AVAILABLE], "kinds": msgspec.to_builtins(findings)}))
    else:
        _show(findings, counts, reason)
    return 1 if counts[State.NOT_AVAILABLE] else 0


def _show(findings: Sequence[Finding], counts: dict[State, int], reason: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), show_edge=False)
    for column in ("family", "kind", "here", "by", "remark"):
        table.add_column(column, no_wrap=column != "remark")
    for finding in findings:
        why = "" if finding.why == reason else finding.why
        state = Text(finding.state, style=_STYLE[finding.state])
        table.add_row(finding.family, finding.kind, state, finding.by, why)
    console.print(table)
    console.print(", ".join(f"{count} {state}" for state, count in counts.items() if count))
    if reason:
        console.print(f"no kernel network here: {reason}")
