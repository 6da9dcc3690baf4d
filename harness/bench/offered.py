"""How long sets take when they come at their own times: latency against the rate that is offered, in an open loop.

The rates are shares of what each system does in a closed loop, measured just before: a few that the slowest can serve,
offered to everybody, so that latencies can be compared; and for those that are faster, shares of their own. Who has no
open loop (``matrix.is_able``) is left out.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import msgspec

from harness.bench import matrix, traffic
from harness.bench.contenders import Contender
from harness.bench.measurements import Cell, Loop
from harness.bench.measuring import Measured, sample
from harness.bench.measuring import measure as load
from harness.bench.openloop import LATE_MS_MAX
from harness.bench.workbench import Workbench, in_turn

NODES = 3
CLOSED = Cell(operation="set", target="leader", connections=matrix.BUSY, nodes=NODES)
OPEN = msgspec.structs.replace(CLOSED, loop=Loop.OPEN)
CLOSED_S, SECONDS = 3.0, 4.0
SHARES = (0.25, 0.5, 0.75)
"""Of a closed loop's rate: at the whole of it the queue would grow without end, and tell nothing but its age."""
APART = 1.2
"""A rate of its own is offered to a system only if it is so much more than all that were offered to everybody."""


def rates(closed_per_s: Mapping[str, float]) -> dict[str, list[int]]:
    """System → what it is offered, a second, from least to most. Pure."""
    slowest = min(closed_per_s.values())
    common = [_round(share * slowest) for share in SHARES]
    return {
        system: common + [_round(share * rate) for share in SHARES if share * rate > APART * common[-1]]
        for system, rate in closed_per_s.items()
    }


def _round(rate: float) -> int:
    """Two digits, and at least one operation."""
    return max(1, int(float(f"{rate:.2g}")))


async def measure(bench: Workbench, systems: Sequence[str], rounds: int) -> None:
    """Samples of open loops. Raises HarnessError."""
    able = [system for system in systems if matrix.is_able(system, OPEN)]
    async with bench.all_up(able, NODES, "offered") as contenders:
        closed: dict[str, float] = {}
        for system, contender in contenders.items():
            await contender.resume_all()
            await contender.fill(CLOSED.keys, traffic.Values(CLOSED.value_bytes, random.Random(bench.seed)))
            measured = await _block(bench, contender, CLOSED, 0, CLOSED_S)
            closed[system] = measured.counted.completed / measured.counted.duration_s
        offered = rates(closed)
        late: list[bool] = []
        for rate in sorted({rate for those in offered.values() for rate in those}):
            cell = msgspec.structs.replace(OPEN, offered_per_s=rate)
            before = max((number for known, number in bench.files.taken if known == cell), default=0)
            takers = [contenders[system] for system in able if rate in offered[system]]
            for number in range(before + 1, before + rounds + 1):
                late += [await _offer(bench, contender, cell, number) for contender in in_turn(takers, number)]
    if any(late):
        bench.remark(
            f"the open loop's generator was late in {sum(late)} of {len(late)} blocks: 1 of 100 operations was sent "
            f"more than {LATE_MS_MAX:g} ms after it could have been, so the latencies are a little its own there"
        )


async def _offer(bench: Workbench, contender: Contender, cell: Cell, number: int) -> bool:
    """Whether the generator was late."""
    started_s = bench.elapsed_s
    measured = await _block(bench, contender, cell, number, SECONDS)
    bench.sample(sample(contender.name, cell, number, contender.generator(cell), started_s, measured))
    return bool(measured.counted.late)


async def _block(bench: Workbench, contender: Contender, cell: Cell, number: int, seconds: float) -> Measured:
    rng = random.Random(f"{bench.seed} {matrix.name(cell)} {number}")
    leader = await contender.resume_all()
    measured = await load(contender, leader, cell, rng, seconds)
    after = await contender.wait_settled()
    await contender.pause_all()
    if after != leader:
        bench.remark(
            f"{contender.name}: {matrix.name(cell)}, round {number}: the leadership moved to {after.name} meanwhile, "
            "and what waited for that is counted"
        )
    return measured
