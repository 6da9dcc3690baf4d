"""A leader that is overtaken, and comes back with more than one message can tell it: a part of its log everybody has
and it does not know so, the rest nobody else ever saw.

It hears no answers while writes pour in, so it commits none of what it sends; then it is alone, and they go on. Whoever
comes back like that is answered in several messages, of which the first prove only a part: it must not take its own
tail for committed (Raft figure 2, AppendEntries step 5), nor be sent from one wrong end to the other for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

from harness.errors import Refused
from harness.faults.fault import Draft, Family, Fault, Injection, Kind, Terrain, milli
from harness.faults.process import CLOSE_S, watch_closely
from harness.faults.world import World
from harness.systems.base import Ability, Shape
from harness.systems.links import both_ways

if TYPE_CHECKING:
    import random

SENT_WRITES, WRITE_BYTES = 48, 600
"""Each an entry of its own, and all of them in less than a leader waits for answers (1.2 s)."""
SENT_S = 0.5
"""Of them: the rest comes when it is alone."""
MORE_WRITES = 72
"""More than it got alone, by several messages."""
DEAF_S = 30.0
"""Of delay on its way in: longer than anything here, and over when the fault is."""
ELECTED_S = 5.0
"""For the next leader: an election time-out, perhaps a second one."""
AFTER_S = 2.0
"""For the old one to hear of it all, with looks at the nodes."""


class Overtaken(Kind):
    """No parameters; it is always the leader."""

    name, family = "overtaken", Family.PARTITION
    needs = frozenset({Ability.CUT, Ability.SHAPE})
    nodes_min = 3

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        return Draft(milli(rng.uniform(3.0, 4.0)), ("leader",))

    async def inject(self, world: World, fault: Fault, nodes: tuple[str, ...], rng: random.Random) -> Injection:
        (first,) = nodes
        second = await self._overtake(world, fault, first, [name for name in world.view.nodes if name != first])
        await world.press(second, MORE_WRITES, WRITE_BYTES)
        await world.links.release(fault.number)
        await watch_closely(world, AFTER_S)
        return Injection(nodes, detail=f"{second} led instead", at_s=world.clock())

    async def _overtake(self, world: World, fault: Fault, first: str, others: Sequence[str]) -> str:
        """Who leads now; ``first`` is still alone. Raises Refused if nobody does."""
        before, inwards = world.view.term, list(product(others, [first]))
        await world.links.shape(fault.number, dict.fromkeys(inwards, Shape(delay_s=DEAF_S)))
        async with asyncio.TaskGroup() as group:
            group.create_task(world.press(first, SENT_WRITES, WRITE_BYTES))
            await world.sleep(SENT_S)
            await world.links.cut(fault.number, sorted(both_ways([first], others)))
        # What the next leader says at once would still fit: its log ends as the old one's known part does.
        await world.links.shape(fault.number, dict.fromkeys(inwards, Shape(loss=1.0)))
        give_up = world.clock() + ELECTED_S
        while world.clock() < give_up:
            await world.look()
            if world.view.leader in others and world.view.term > before:
                return world.view.leader
            await world.sleep(CLOSE_S)
        raise Refused(f"nobody led instead of {first}")

    async def probe(self, world: World, fault: Fault, injection: Injection) -> bool | None:
        return True  # it was seen that another one led

    async def heal(self, world: World, fault: Fault, injection: Injection) -> None:
        await world.links.release(fault.number)
