"""Start of N nodes, from nothing → the first acknowledged write, start by start, the systems in turn.

The stopwatch starts as the supervisor is, which starts the nodes: all of them at once, but dkv's founder ahead of the
others, as ``dkv-harness up`` does it.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.bench.measurements import Figure
from harness.bench.workbench import Workbench, in_turn

SIZES = (3, 5)


async def measure(bench: Workbench, systems: Sequence[str], starts: int) -> None:
    """Figures ``first-write``. Raises HarnessError."""
    for nodes in SIZES:
        for start in range(1, starts + 1):
            for system in in_turn(systems, start):
                async with bench.up(system, nodes, f"start-{start}") as contender:
                    value = contender.first_write_s
                bench.figure(Figure(system=system, name="first-write", round=start, value=value, unit="s", nodes=nodes))
