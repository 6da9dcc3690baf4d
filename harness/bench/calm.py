"""Elections that nobody needed: how often the term moves while a cluster has all the load it can take. dkv alone."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from harness.bench import traffic
from harness.bench.measurements import Cell, Figure
from harness.bench.measuring import measure as load
from harness.bench.names import OURS
from harness.bench.workbench import Workbench

NODES = 3
CELL = Cell(operation="set", target="leader", connections=256, nodes=NODES)
DURATION_S, BLOCK_S = 600.0, 20.0


async def measure(bench: Workbench, systems: Sequence[str], rounds: int) -> None:
    """Figures ``false-elections``. Raises HarnessError."""
    if OURS not in systems:
        return
    for number in range(1, rounds + 1):
        async with bench.up(OURS, NODES, "calm") as contender:
            rng = random.Random(f"{bench.seed} {number}")
            await contender.fill(CELL.keys, traffic.Values(CELL.value_bytes, rng))
            first = leader = await contender.wait_settled()
            began, sets = time.monotonic(), 0
            while (left_s := DURATION_S - (time.monotonic() - began)) > 0:
                bench.watch.begin(f"{OURS}: elections under full load", left_s)
                sets += (await load(contender, leader, CELL, rng, min(BLOCK_S, left_s + 1))).counted.completed
                leader = await contender.wait_settled()
        note = f"{sets:,} sets in {DURATION_S:g} s at 256 connections"
        moved = float(leader.term - first.term)
        bench.figure(
            Figure(system=OURS, name="false-elections", round=number, value=moved, unit="", nodes=NODES, note=note)
        )
