"""Sets a second as a cluster grows, and as its keys do: every size of every system is up at once, and loaded in turn.

What is compared are sizes of one system, so they must be as near to each other in time as systems are elsewhere: in
each round every size has its turn. At the leader, 64 connections, values of 16 bytes.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from harness.bench import traffic
from harness.bench.contenders import Contender
from harness.bench.matrix import BUSY, KEYS, MANY_KEYS
from harness.bench.measurements import Cell, Figure
from harness.bench.measuring import measure as load
from harness.bench.workbench import Workbench, in_turn
from harness.errors import Undecided

NODES = (3, 5, 7)
SIZES = (KEYS, 100_000, MANY_KEYS)
SECONDS, WARM_UP_S = 3.0, 2.0
ATTEMPTS = 3
"""Of one block during which the leadership moved."""
FILL_S_MAX = 240.0
"""For all keys of one system: four times what the slowest needs for a million (measured, on two cores)."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A contender and what it is loaded with."""

    contender: Contender
    cell: Cell


async def by_nodes(bench: Workbench, systems: Sequence[str], rounds: int) -> None:
    """Figures ``rate-by-nodes``. Raises HarnessError."""
    await _measure(bench, systems, rounds, "rate-by-nodes", [(nodes, KEYS) for nodes in NODES])


async def by_keys(bench: Workbench, systems: Sequence[str], rounds: int) -> None:
    """Figures ``rate-by-keys``. Raises HarnessError."""
    able = [system for system in systems if system != "pysyncobj"]
    if len(able) < len(systems):
        bench.remark("pysyncobj has no batches: a million keys would take it half an hour, so it grows by none")
    await _measure(bench, able, rounds, "rate-by-keys", [(NODES[0], keys) for keys in SIZES])


async def _measure(
    bench: Workbench, systems: Sequence[str], rounds: int, name: str, shapes: Sequence[tuple[int, int]]
) -> None:
    places: list[_Place] = []
    async with AsyncExitStack() as stack:
        for nodes, keys in shapes:
            contenders = await stack.enter_async_context(bench.all_up(systems, nodes, f"{keys}-keys-grown"))
            for contender in contenders.values():
                cell = Cell(operation="set", target="leader", connections=BUSY, nodes=nodes, keys=keys)
                await _fill(bench, contender, cell)
                places.append(_Place(contender, cell))
        for number in range(rounds + 1):
            for place in in_turn(places, number):
                rng = random.Random(f"{bench.seed} {name} {number}")
                rate, p99_ms = await _block(bench, place, rng, SECONDS if number else WARM_UP_S)
                if number:
                    bench.figure(_figure(place, name, number, rate, p99_ms))


def _figure(place: _Place, name: str, number: int, rate: float, p99_ms: float) -> Figure:
    return Figure(
        system=place.contender.name,
        name=name,
        round=number,
        value=rate,
        unit="/s",
        nodes=place.cell.nodes,
        keys=place.cell.keys,
        note=f"p99 {p99_ms:.2f} ms",
    )


async def _fill(bench: Workbench, contender: Contender, cell: Cell) -> None:
    if cell.keys > KEYS:
        bench.watch.say(f"loading {cell.keys:,} keys into {contender.name}")
    await contender.resume_all()
    try:
        async with asyncio.timeout(FILL_S_MAX):
            await contender.fill(cell.keys, traffic.Values(cell.value_bytes, random.Random(bench.seed)))
    except TimeoutError:
        raise Undecided(f"{contender.name} did not take {cell.keys:,} keys within {FILL_S_MAX:g} s") from None
    await contender.wait_settled()
    await contender.pause_all()


async def _block(bench: Workbench, place: _Place, rng: random.Random, seconds: float) -> tuple[float, float]:
    """Rate and p99 (ms) under one leader. Raises Undecided if there is none that stays."""
    contender = place.contender
    for _ in range(ATTEMPTS):
        leader = await contender.resume_all()
        counted = (await load(contender, leader, place.cell, rng, seconds)).counted
        after = await contender.wait_settled()
        await contender.pause_all()
        if after == leader:
            return counted.completed / counted.duration_s, counted.latencies.percentiles_ms((99,))[0]
        bench.remark(
            f"{contender.name} with {place.cell.nodes} nodes and {place.cell.keys:,} keys: the leadership moved to "
            f"{after.name} in a block, which was thrown away"
        )
    raise Undecided(f"the leadership of {contender.name} moved in {ATTEMPTS} blocks on end")
