"""What a set costs all nodes together: processor time, bytes written to disk, bytes between the nodes.

Under load at the leader, 64 connections, values of 16 bytes; differences of the kernel's counters over a block, by
the sets that were acknowledged. Disk: ``write_bytes`` of /proc/PID/io, which counts pages as they are dirtied. Wire:
what TCP sent over the nodes' own connections, by ``ss`` (payload, without headers; both directions), the reads of a
block being none.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence

from harness.bench import traffic, usage, wire
from harness.bench.contenders import Contender
from harness.bench.matrix import BUSY, KEYS
from harness.bench.measurements import Cell, Figure
from harness.bench.measuring import measure as load
from harness.bench.workbench import Workbench, in_turn

NODES = 3
CELL = Cell(operation="set", target="leader", connections=BUSY, nodes=NODES)
SECONDS = 4.0
US_PER_S = 1e6


async def measure(bench: Workbench, systems: Sequence[str], rounds: int) -> None:
    """Figures ``cpu-per-operation``, ``disk-per-write``, ``wire-per-write``. Raises HarnessError."""
    values = traffic.Values(CELL.value_bytes, random.Random(bench.seed))
    async with bench.all_up(systems, NODES, "costs") as contenders:
        for number in range(rounds + 1):
            for system in in_turn(systems, number):
                contender = contenders[system]
                if number == 0:
                    await contender.resume_all()
                    await contender.fill(KEYS, values)
                found = await _block(contender, random.Random(f"{bench.seed} {number}"))
                for name, (amount, unit) in found.items() if number > 0 else ():
                    bench.figure(
                        Figure(system=system, name=name, round=number, value=amount, unit=unit, nodes=NODES, keys=KEYS)
                    )


async def _block(contender: Contender, rng: random.Random) -> Mapping[str, tuple[float, str]]:
    leader = await contender.resume_all()
    before = await asyncio.to_thread(_counters, contender)
    measured = await load(contender, leader, CELL, rng, SECONDS)
    after = await asyncio.to_thread(_counters, contender)
    await contender.pause_all()
    sets = max(1, measured.counted.completed)
    cpu_us = measured.used.servers * measured.counted.duration_s * US_PER_S
    return {
        "cpu-per-operation": (cpu_us / sets, "µs"),
        "disk-per-write": ((after[0] - before[0]) / sets, "B"),
        "wire-per-write": (wire.sent_between(before[1], after[1]) / sets, "B"),
    }


def _counters(contender: Contender) -> tuple[int, Mapping[wire.Socket, int]]:
    """Bytes written to disk so far, and bytes sent by each of the sockets between nodes."""
    written = sum(usage.written_bytes(contender.pid(name)) for name in contender.nodes)
    return written, wire.sockets(contender.peer_ports())
