"""The first acknowledged write after something happened, of any system by the same means.

A few threads for each node, in step with each other, that try a write on a connection of its own every
ATTEMPT_EVERY_S and give up on it soon: one that waits at a node for a leader who will never answer must not hide the
moment when another would be answered.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from harness.bench.contenders import ATTEMPT_S, Contender
from harness.errors import Undecided

WORKERS = 4
"""For each node."""
PERIOD_S = 0.04
ATTEMPT_EVERY_S = PERIOD_S / WORKERS
"""At one node: the error is up to this. Shorter, and attempts would compete with the election for cores."""
PROBE_S_MAX = 60.0


async def first_acknowledged(contender: Contender, names: Sequence[str]) -> float:
    """``time.monotonic()`` of the first acknowledgement by these nodes of a write that began from now on. Raises
    Undecided."""
    return await asyncio.to_thread(_probe, contender, [contender.address(name) for name in names])


def _probe(contender: Contender, addresses: Sequence[str]) -> float:
    over, acknowledged = threading.Event(), list[float]()
    began = time.monotonic()

    def work(number: int) -> None:
        address, attempt_at = addresses[number // WORKERS], began + number % WORKERS * ATTEMPT_EVERY_S
        while not over.wait(max(0.0, attempt_at - time.monotonic())):
            if contender.acknowledges(address, ATTEMPT_S):
                acknowledged.append(time.monotonic())
                over.set()
            attempt_at = max(attempt_at + PERIOD_S, time.monotonic())

    with ThreadPoolExecutor(WORKERS * len(addresses)) as pool:
        for number in range(WORKERS * len(addresses)):
            pool.submit(work, number)
        over.wait(PROBE_S_MAX)
        over.set()
    if not acknowledged:
        raise Undecided(f"{contender.name}: no write was acknowledged within {PROBE_S_MAX:g} s of a leader's death")
    return min(acknowledged)
