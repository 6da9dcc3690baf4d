"""Figure 8 of the Raft paper, played: two leaders with tails that nobody else has, and the older one comes first.

One is cut off while large writes pour in, so that its tail does not fit into one message; the next one dies as soon as
it is seen to lead. Then the first is given just enough company, over narrow lines, to lead again and to bring part of
its tail, but no entry of its new term, to a majority; there it dies. The second may now be elected by all the others,
and has them delete that part: a leader that counted copies of it had called it committed (§5.4.2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from itertools import permutations
from typing import TYPE_CHECKING

from harness.errors import Refused
from harness.faults.fault import Draft, Family, Fault, Injection, Kind, Terrain, milli
from harness.faults.process import CLOSE_S, watch_closely
from harness.faults.world import World
from harness.systems.base import Ability, Shape
from harness.systems.links import both_ways

if TYPE_CHECKING:
    import random

WRITES, WRITE_BYTES = 24, 400_000
"""Twice what one message of the log takes (4 MiB), in more entries than the second appends before it is seen."""
DELAY_S = (0.1, 0.18)
"""Of all other links while the second is elected: it dies before what it sends as the leader has left. Longer ones make
two candidates stand in each other's way for ever."""
RATE_BYTES_S = (5_000_000, 8_000_000)
"""A full message takes most of a second, and less than a leader waits for an answer (1.2 s)."""
ELECTED_S = 5.0
"""For an election: a time-out, votes over slow links or links that were cut, perhaps a second try."""
BROUGHT_S = 1.8
"""For one message of the tail, and for what is counted then to be seen; not for all of it."""
AFTER_S = 3.0
"""For the second to be back and elected, with looks at who leads."""


class FigureEight(Kind):
    """``parameters``: the delay, and the rate of the lines."""

    name, family = "figure-eight", Family.PARTITION
    needs = frozenset({Ability.CUT, Ability.SHAPE, Ability.PROCESS})
    nodes_min = 3

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        parameters = {"delay_s": milli(rng.uniform(*DELAY_S)), "rate_bytes_s": float(rng.randint(*RATE_BYTES_S))}
        return Draft(milli(rng.uniform(3.0, 4.0)), ("all",), parameters)

    async def inject(self, world: World, fault: Fault, nodes: tuple[str, ...], rng: random.Random) -> Injection:
        if len(nodes) < max(self.nodes_min, len(world.view.nodes)):
            raise Refused(f"only {', '.join(nodes)} could be had: the others are taken by another fault")
        first = world.view.leader if world.view.leader in nodes else nodes[0]
        others = [name for name in nodes if name != first]
        second = await self._tails(world, fault, first, others)
        if second is None:
            return Injection(nodes, detail=f"nobody led instead of {first}", at_s=world.clock())
        company = [first, *rng.sample([name for name in others if name != second], len(nodes) // 2)]
        await _apart(world, fault, nodes, company)
        narrow = Shape(rate_bytes_s=fault.parameters["rate_bytes_s"])
        await world.links.shape(fault.number, dict.fromkeys(permutations(company, 2), narrow))
        await world.system.resume([first])
        async with asyncio.TaskGroup() as group:
            group.create_task(world.launch([second]))
            led = await _brought(world, first)
            await world.system.kill([first])
        await world.links.release(fault.number)
        await watch_closely(world, AFTER_S)
        detail = f"{first}, then {second}, then {first if led else 'nobody'} led"
        return Injection(nodes, detail=detail, at_s=world.clock())

    async def _tails(self, world: World, fault: Fault, first: str, others: Sequence[str]) -> str | None:
        """``first`` gets a long one and stands still; whoever is elected next has a short one and dies: its name."""
        slow = Shape(delay_s=fault.parameters["delay_s"])
        await world.links.shape(fault.number, dict.fromkeys(permutations(others, 2), slow))
        await _apart(world, fault, [first, *others], others)
        before = world.view.term
        await world.press(first, WRITES, WRITE_BYTES)
        await world.system.pause([first])  # busy with its disk it would keep whoever looks at all nodes
        second = await _leader_among(world, others, before)
        if second is not None:
            await world.system.kill([second])
        return second

    async def probe(self, world: World, fault: Fault, injection: Injection) -> bool | None:
        return None if injection.detail.startswith("nobody") else True

    async def heal(self, world: World, fault: Fault, injection: Injection) -> None:
        await world.links.release(fault.number)
        await world.system.resume(injection.nodes)
        await world.launch(await world.dead(injection.nodes))


async def _apart(world: World, fault: Fault, nodes: Sequence[str], company: Collection[str]) -> None:
    """Who is not of the company is alone."""
    alone = [name for name in nodes if name not in company]
    links = [both_ways([name], [other for other in nodes if other != name]) for name in alone]
    await world.links.cut(fault.number, sorted(frozenset().union(*links)))


async def _leader_among(world: World, names: Sequence[str], before: int) -> str | None:
    """Who of ``names`` leads in a later term than ``before``."""
    give_up = world.clock() + ELECTED_S
    while world.clock() < give_up:
        await world.look()
        if world.view.leader in names and world.view.term > before:
            return world.view.leader
        await world.sleep(CLOSE_S)
    return None


async def _brought(world: World, first: str) -> bool:
    """``first`` leads again, and calls something new committed or has had the time for it."""
    if await _leader_among(world, [first], world.view.term) is None:
        return False
    known, give_up = world.view.commit, world.clock() + BROUGHT_S
    while world.clock() < give_up and world.view.commit <= known:
        await world.sleep(CLOSE_S)
        await world.look()
    return True
