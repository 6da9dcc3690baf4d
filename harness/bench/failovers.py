"""``kill -9`` of the leader → the next acknowledged write, kill by kill, the systems in turn.

From the moment before the signal is asked for to the first acknowledgement of a write that began after the leader was
gone (``probing``). Nothing else loads the cluster. Then the dead node comes back, and all must have settled before
the next.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from harness.bench.contenders import Contender
from harness.bench.measurements import Figure
from harness.bench.probing import first_acknowledged
from harness.bench.workbench import Workbench, in_turn

NODES = 3


async def measure(bench: Workbench, systems: Sequence[str], kills: int) -> None:
    """Figures ``failover``. Raises HarnessError."""
    async with bench.all_up(systems, NODES, "failover") as contenders:
        for kill in range(1, kills + 1):
            for system in in_turn(systems, kill):
                value = await _kill(contenders[system])
                note = "the dead node's clients reset, no other load"
                bench.figure(
                    Figure(system=system, name="failover", round=kill, value=value, unit="s", nodes=NODES, note=note)
                )


async def _kill(contender: Contender) -> float:
    leader = await contender.resume_all()
    others = [name for name in contender.nodes if name != leader.name]
    began = time.monotonic()
    await contender.kill([leader.name])
    acknowledged = await first_acknowledged(contender, others)
    await contender.launch([leader.name])
    await contender.refresh()
    await contender.wait_settled()
    await contender.pause_all()
    return acknowledged - began
