"""Both sides of a partition change the members: the old leader, who is alone, and the next one, who just came.

Changes that begin at the same voters need not have majorities that meet. A leader that may only change them once an
entry of its own term is committed (thesis §4.1, and the correction of 2015) can do no harm here: of four voters, two
cannot commit it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from harness.errors import Refused
from harness.faults.fault import Draft, Fault, Injection, Terrain, milli
from harness.faults.membership import MembersKind, agreed_voters, insist, see_off
from harness.faults.process import CLOSE_S, watch_closely
from harness.faults.world import World
from harness.systems.base import Ability, Link, Shape
from harness.systems.links import both_ways

if TYPE_CHECKING:
    import random

DELAY_S = (0.12, 0.25)
"""On all links while the next leader is elected: it is seen and cut off from one of its voters before that one has
heard more of it than the request for a vote."""
ELECTED_S = 5.0
"""For the next leader: an election time-out, a vote over slow links, perhaps a second one."""
WRITES_S = 0.8
"""For the next leader and who hears it: longer than a change and some writes take, if they can be committed."""
AGAIN_S = 3.0
"""For the old leader to lead again, with the one that was cut off from the next."""
WHOLE_S = 8.0
"""For a leader after all that, before it is looked who is still a member."""


class SplitChange(MembersKind):
    """``parameters``: the links' delay."""

    name = "split-change"
    needs = frozenset({Ability.MEMBERS, Ability.CUT, Ability.SHAPE})
    nodes_min = 4

    def lost(self, draft: Draft | Fault, terrain: Terrain) -> int:
        return terrain.nodes

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        return Draft(milli(rng.uniform(3.0, 4.0)), ("all",), {"delay_s": milli(rng.uniform(*DELAY_S))})

    async def inject(self, world: World, fault: Fault, nodes: tuple[str, ...], rng: random.Random) -> Injection:
        if len(nodes) < self.nodes_min:
            raise Refused(f"only {', '.join(nodes)} could be had: the others are taken by another fault")
        old = world.view.leader if world.view.leader in nodes else nodes[0]
        others = [name for name in nodes if name != old]
        slow = Shape(delay_s=fault.parameters["delay_s"])
        await world.links.shape(fault.number, {(a, b): slow for a in others for b in others if a != b})
        await self._cut(world, fault, both_ways([old], others))
        removed = rng.choice(others)
        world.leaving |= {removed, old}
        async with asyncio.TaskGroup() as group:
            group.create_task(world.changes.ask_removal(old, removed))
            new = await self._elected(world, others)
            if new is None:
                return Injection(nodes, detail=f"nobody led instead of {old}", at_s=world.clock())
            torn = rng.choice([name for name in others if name not in (new, removed)])
            side = [name for name in others if name != torn]
            await self._cut(world, fault, both_ways([old, torn], side) | both_ways([old], [torn]))
            await world.links.shape(fault.number, {})
            group.create_task(world.changes.ask_removal(new, old))
            await watch_closely(world, WRITES_S)
            await self._cut(world, fault, both_ways([old, torn], side))
            await watch_closely(world, AGAIN_S)
        detail = f"{old} was to remove {removed}, {new} to remove {old}"
        return Injection(nodes, detail=detail, facts={name: {} for name in nodes}, at_s=world.clock())

    async def _cut(self, world: World, fault: Fault, links: Iterable[Link]) -> None:
        await world.links.cut(fault.number, tuple(sorted(links)))

    async def _elected(self, world: World, others: list[str]) -> str | None:
        give_up = world.clock() + ELECTED_S
        while world.clock() < give_up:
            await world.look()
            if world.view.leader in others:
                return world.view.leader
            await world.sleep(CLOSE_S)
        return None

    async def heal(self, world: World, fault: Fault, injection: Injection) -> None:
        """One of the removals may have been done: who is no voter goes, and another one comes."""
        await world.links.release(fault.number)
        if not injection.facts:
            return  # it was not begun, or nobody led
        give_up = world.clock() + WHOLE_S
        while not (voters := agreed_voters(world)) and world.clock() < give_up:
            await world.look()
            await world.sleep(CLOSE_S)
        for name in injection.nodes:
            if voters and name not in voters and name in world.system.nodes:
                await see_off(world, name, world.changes.remove)
                await insist(world, world.changes.add)
