"""A majority and nobody more, whose followers hear the leader late, and once a few words not at all; then it dies.

They confirm much that they do not know to be committed yet, and what they miss the leader may have trimmed already: it
offers a snapshot that ends before their logs do. Whoever takes it forgets what it has confirmed, and there is nobody
else who has it. The leader dies as soon as a log is seen to have become shorter, or after a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.errors import Refused
from harness.faults.fault import Draft, Family, Fault, Injection, Kind, Terrain, milli
from harness.faults.process import CLOSE_S, watch_closely
from harness.faults.world import World
from harness.systems.base import Ability, Shape
from harness.systems.links import both_ways

if TYPE_CHECKING:
    import random

WRITES, WRITE_BYTES = 200, 100
"""As many as come within ``WATCHED_S``, each an entry of its own."""
DELAY_S = (0.15, 0.3)
"""Of what the leader says: a dozen entries are committed meanwhile."""
FLOW_S, LOST_S = 1.2, 0.3
"""While writes come over; then some messages get lost, so that what comes behind them does not fit."""
WATCHED_S = 3.5
"""For a refusal, a snapshot, and what comes of it: some delays, a retry after a second."""
AFTER_S = 3.0
"""For an election among those that are left, with looks at who leads."""


class ThinMajority(Kind):
    """``parameters``: the delay from the leader to those that are left."""

    name, family = "thin-majority", Family.PARTITION
    needs = frozenset({Ability.CUT, Ability.SHAPE, Ability.PROCESS})
    nodes_min = 3

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        return Draft(milli(rng.uniform(3.0, 4.0)), ("all",), {"delay_s": milli(rng.uniform(*DELAY_S))})

    async def inject(self, world: World, fault: Fault, nodes: tuple[str, ...], rng: random.Random) -> Injection:
        if len(nodes) < max(self.nodes_min, len(world.view.nodes)):
            raise Refused(f"only {', '.join(nodes)} could be had: the others are taken by another fault")
        first = world.view.leader if world.view.leader in nodes else nodes[0]
        others = [name for name in nodes if name != first]
        away = rng.sample(others, Terrain(len(nodes)).spare)
        near = [name for name in others if name not in away]
        lines, late = [(first, name) for name in near], Shape(delay_s=fault.parameters["delay_s"])
        await world.links.shape(fault.number, dict.fromkeys(lines, late))
        await world.links.cut(fault.number, sorted(both_ways(away, nodes)))
        pressing = asyncio.create_task(world.press(first, WRITES, WRITE_BYTES))
        try:
            await watch_closely(world, FLOW_S)
            await world.links.shape(fault.number, dict.fromkeys(lines, replace(late, loss=1.0)))
            await watch_closely(world, LOST_S)
            await world.links.shape(fault.number, dict.fromkeys(lines, late))
            shorter = await self._shorter(world, near)
            await world.system.kill([first])
        finally:
            pressing.cancel()
            await asyncio.gather(pressing, return_exceptions=True)
        await world.links.release(fault.number)
        await watch_closely(world, AFTER_S)
        detail = f"{first} died when the log of {shorter} had become shorter" if shorter else f"{first} died"
        return Injection(nodes, detail=detail, at_s=world.clock())

    async def _shorter(self, world: World, names: Sequence[str]) -> str | None:
        """Whose log ends before it did a moment ago."""
        longest, give_up = dict.fromkeys(names, 0), world.clock() + WATCHED_S
        while world.clock() < give_up:
            await world.look()
            for name in names:
                if 0 < (last := _last(world, name)) < longest[name]:
                    return name
                longest[name] = max(longest[name], last)
            await world.sleep(CLOSE_S)
        return None

    async def probe(self, world: World, fault: Fault, injection: Injection) -> bool | None:
        return True  # it dies in any case, and the links do what they are told

    async def heal(self, world: World, fault: Fault, injection: Injection) -> None:
        await world.links.release(fault.number)
        await world.launch(await world.dead(injection.nodes))


def _last(world: World, name: str) -> int:
    """Where its log ends; 0 if it does not say."""
    sample = world.view.samples.get(name)
    return sample.last if sample is not None else 0
