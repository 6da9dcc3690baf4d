"""What many keys cost: memory and disk for each, and the time to start again with them.

A cluster is given its keys (values of 100 bytes) and is at rest again; resident memory and blocks in use are what
there is more than before, by key and node. Then a follower is killed and started: from there to the moment when it
follows a leader and answers a read of the last key from its own state.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

from harness.bench import traffic, usage
from harness.bench.contenders import Contender
from harness.bench.matrix import KEYS
from harness.bench.measurements import Figure
from harness.bench.workbench import Workbench, in_turn
from harness.errors import Undecided

NODES = 3
SIZES = (100_000, 1_000_000)
VALUE_BYTES = 100
RESTARTS = 3
"""Of each cluster that has its keys."""
REST_S = 2.0
"""After the last key: for collectors, checkpoints and buffers that the load has filled."""
POLL_S = 0.01
START_S_MAX = 120.0


async def measure(bench: Workbench, systems: Sequence[str], rounds: int) -> None:
    """Figures ``memory-per-key``, ``disk-per-key``, ``restart``. Raises HarnessError."""
    able = [system for system in systems if system != "pysyncobj"]
    if len(able) < len(systems):
        bench.remark("pysyncobj has no batches: a million keys would take it half an hour, so it has none of these")
    for keys in SIZES:
        for number in range(1, rounds + 1):
            for system in in_turn(able, number):
                async with bench.up(system, NODES, f"{keys}-keys-{number}") as contender:
                    await _burden(bench, contender, keys, number)


async def _burden(bench: Workbench, contender: Contender, keys: int, number: int) -> None:
    values = traffic.Values(VALUE_BYTES, random.Random(bench.seed))
    await contender.fill(KEYS, values)  # the first use of everything is no key's
    before = await asyncio.to_thread(_used, contender)
    bench.watch.say(f"loading {keys:,} keys into {contender.name}")
    await contender.fill(keys, values)
    await asyncio.sleep(REST_S)
    await contender.wait_settled()
    after = await asyncio.to_thread(_used, contender)
    for name, was, now in zip(("memory-per-key", "disk-per-key"), before, after, strict=True):
        share = (now - was) / (keys - KEYS) / NODES
        bench.figure(
            Figure(system=contender.name, name=name, round=number, value=share, unit="B", nodes=NODES, keys=keys)
        )
    for restart in range(RESTARTS):
        took_s = await _restart(contender, traffic.key(keys - 1))
        place = (number - 1) * RESTARTS + restart + 1
        bench.figure(
            Figure(system=contender.name, name="restart", round=place, value=took_s, unit="s", nodes=NODES, keys=keys)
        )


def _used(contender: Contender) -> tuple[int, int]:
    """Of all nodes together: resident memory, blocks of their data directories."""
    memory = sum(usage.memory_bytes(contender.pid(name)) for name in contender.nodes)
    return memory, usage.disk_bytes(contender.run_dir.data(name) for name in contender.nodes)


async def _restart(contender: Contender, last_key: str) -> float:
    leader = await contender.wait_settled()
    follower = next(name for name in contender.nodes if name != leader.name)
    await contender.kill([follower])
    began = time.monotonic()
    await contender.launch([follower])
    await asyncio.to_thread(_wait_serving, contender, contender.address(follower), last_key)
    took_s = time.monotonic() - began
    await contender.refresh()
    return took_s


def _wait_serving(contender: Contender, address: str, key: str) -> None:
    deadline = time.monotonic() + START_S_MAX
    while contender.standing(address) is None or not contender.holds(address, key):
        if time.monotonic() > deadline:
            raise Undecided(f"{contender.name} at {address} did not serve within {START_S_MAX:g} s of its start")
        time.sleep(POLL_S)
