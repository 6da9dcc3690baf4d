"""One contender under one load: what its generator counted, and what its nodes used meanwhile."""

from __future__ import annotations

import asyncio
import os
import random
from dataclasses import dataclass

from harness.bench import traffic, usage
from harness.bench.contenders import Contender, Leader
from harness.bench.loads import Counted
from harness.bench.measurements import Cell
from harness.bench.usage import Cores


@dataclass(frozen=True, slots=True)
class Measured:
    """``used``: by the nodes, over the load. ``load_average``: of the machine, before it."""

    counted: Counted
    used: Cores
    load_average: float


async def measure(contender: Contender, leader: Leader, cell: Cell, rng: random.Random, duration_s: float) -> Measured:
    """The contender must be settled and have its keys. Raises HarnessError."""
    load = traffic.generate(cell, contender.dialect, rng)
    pids = {name: contender.pid(name) for name in contender.nodes}
    load_average = os.getloadavg()[0]
    before = await asyncio.to_thread(usage.cpu_s, pids)
    counted = await contender.load(cell, load, contender.targets(cell, leader), duration_s)
    after = await asyncio.to_thread(usage.cpu_s, pids)
    return Measured(counted, usage.cores(before, after, counted.duration_s), load_average)
