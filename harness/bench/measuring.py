"""One contender under one load: what its generator counted, and what its nodes used meanwhile."""

from __future__ import annotations

import asyncio
import os
import random
from dataclasses import dataclass

from harness.bench import traffic, usage
from harness.bench.contenders import Contender, Leader
from harness.bench.loads import Counted
from harness.bench.measurements import Cell, Sample
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


def sample(system: str, cell: Cell, number: int, generator: str, started_s: float, measured: Measured) -> Sample:
    """What is kept of a block. ``number``: of its round."""
    counted, used = measured.counted, measured.used
    p50, p90, p99, p999, most = counted.latencies.percentiles_ms((50, 90, 99, 99.9, 100))
    return Sample(
        system=system,
        cell=cell,
        round=number,
        started_s=started_s,
        duration_s=counted.duration_s,
        generator=generator,
        completed=counted.completed,
        failed=counted.failed,
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        p999_ms=p999,
        max_ms=most,
        generator_cores=round(counted.cpu_s / counted.duration_s, 3),
        server_cores=round(used.servers, 3),
        busiest_cores=round(used.busiest, 3),
        load_average=round(measured.load_average, 2),
        histogram=counted.latencies.encoded(),
    )
