"""What it costs those who write that a snapshot is installed at a node which has nothing: dkv alone.

A cluster of a million keys serves sets at the leader, 64 connections: blocks without a pause while a fourth node
joins, from its start until it votes, and before that one for comparison. The peers are not measured: adding a member
to them is another procedure for each, and nobody asked for the ratio of two ratios.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

from harness import growth
from harness.bench import traffic
from harness.bench.contenders import Contender, Leader
from harness.bench.latencies import Latencies, merged
from harness.bench.matrix import BUSY
from harness.bench.measurements import Cell, Figure
from harness.bench.measuring import measure as load
from harness.bench.names import OURS
from harness.bench.workbench import Workbench
from harness.cluster import Cluster

NODES, KEYS, VALUE_BYTES = 3, 1_000_000, 100
CELL = Cell(operation="set", target="leader", connections=BUSY, nodes=NODES, keys=KEYS, value_bytes=VALUE_BYTES)
USUAL_S, BLOCK_S = 6.0, 1.0
"""Short blocks while it goes on: what of the last one lies behind the end counts as well."""
JOIN_S_MAX = 300.0


async def measure(bench: Workbench, systems: Sequence[str], rounds: int) -> None:
    """Figures ``install-time``, ``install-p99-ratio``. Raises HarnessError."""
    if OURS not in systems:
        return
    async with bench.up(OURS, NODES, "install") as contender:
        bench.watch.say(f"loading {KEYS:,} keys into {OURS}")
        await contender.fill(KEYS, traffic.Values(VALUE_BYTES, random.Random(bench.seed)))
        for number in range(1, rounds + 1):
            usual_ms, during_ms, took_s = await _install(contender, random.Random(f"{bench.seed} {number}"))
            note = f"p99 {during_ms:.2f} ms beside {usual_ms:.2f} ms"
            for name, value, unit in (
                ("install-time", took_s, "s"),
                ("install-p99-ratio", during_ms / usual_ms if usual_ms else 0.0, "×"),
            ):
                bench.figure(
                    Figure(
                        system=OURS, name=name, round=number, value=value, unit=unit, nodes=NODES, keys=KEYS, note=note
                    )
                )


async def _install(contender: Contender, rng: random.Random) -> tuple[float, float, float]:
    """p99 (ms) without and with it, and how long it took (s)."""
    cluster = Cluster(contender.run_dir, random.Random(), lambda _: None)
    leader = await contender.wait_settled()
    usual = await load(contender, leader, CELL, rng, USUAL_S)
    began = time.monotonic()
    joining = asyncio.create_task(asyncio.to_thread(_join, cluster))
    during = await _loaded(contender, leader, rng, joining)
    newcomer, ended = await joining
    await asyncio.to_thread(growth.leave, cluster, newcomer)
    await contender.refresh()
    p99s = [part.percentiles_ms((99,))[0] for part in (usual.counted.latencies, during)]
    return p99s[0], p99s[1], ended - began


def _join(cluster: Cluster) -> tuple[str, float]:
    """Its name, and when it voted."""
    growth.add(cluster, timeout_s=JOIN_S_MAX)
    ended = time.monotonic()
    return cluster.survey().names[-1], ended


async def _loaded(
    contender: Contender, leader: Leader, rng: random.Random, joining: asyncio.Task[tuple[str, float]]
) -> Latencies:
    parts: list[Latencies] = []
    while not parts or not joining.done():
        parts.append((await load(contender, leader, CELL, rng, BLOCK_S)).counted.latencies)
    return merged(parts)
