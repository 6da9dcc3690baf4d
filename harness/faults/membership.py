"""Members that come and go, and a leadership that is handed over, while everything else goes on.

What one adds or takes away, healing takes away or adds: a cluster ends as large as it began. A change that is refused
(no leader just now, another change under way) is asked for again: an operator would do so too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from harness.errors import Refused
from harness.faults.fault import Draft, Family, Fault, Injection, Kind, Terrain, milli
from harness.faults.world import World
from harness.systems.base import Ability

if TYPE_CHECKING:
    import random

T = TypeVar("T")

CHANGED_S = (0.5, 3.0)
PATIENCE_S = 8.0
"""For a change that is refused: some elections."""
AGAIN_S = 0.3


async def insist(world: World, change: Callable[[], Awaitable[T]]) -> T:
    """Until it is not refused any more, at most PATIENCE_S. Raises Refused, Undecided."""
    give_up = world.clock() + PATIENCE_S
    while True:
        try:
            return await change()
        except Refused:
            if world.clock() > give_up:
                raise
        await world.sleep(AGAIN_S)


async def see_off(world: World, name: str, change: Callable[[str], Awaitable[None]]) -> None:
    """``change`` takes ``name`` out, as ``insist`` does. Without an answer the run's end looks what became of it."""
    world.leaving.add(name)
    await insist(world, partial(change, name))
    world.leaving.discard(name)


def agreed_voters(world: World) -> tuple[str, ...]:
    """By the leader's word, once nobody is in a later term."""
    view = world.view
    leader = view.samples.get(view.leader)
    return leader.voters if leader is not None and leader.term == view.term else ()


class MembersKind(Kind):
    """A change, and the change back."""

    family, needs = Family.MEMBERS, frozenset({Ability.MEMBERS})
    nodes_min = 3

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        return Draft(milli(rng.uniform(*CHANGED_S)), (rng.choice(("leader", "follower")),))

    async def probe(self, world: World, fault: Fault, injection: Injection) -> bool | None:
        return True  # each of these verbs returns when the change is seen, and raises otherwise


class Add(MembersKind):
    """One node more; then it leaves."""

    name = "add"

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        return Draft(milli(rng.uniform(*CHANGED_S)))

    async def inject(self, world: World, fault: Fault, nodes: tuple[str, ...], rng: random.Random) -> Injection:
        name = await insist(world, world.changes.add)
        return Injection((name,), at_s=world.clock())

    async def heal(self, world: World, fault: Fault, injection: Injection) -> None:
        for name in injection.nodes:
            if name in world.system.nodes:
                await see_off(world, name, world.changes.leave)


class Remove(MembersKind):
    """A living member is taken out; then a new one comes."""

    name = "remove"

    async def inject(self, world: World, fault: Fault, nodes: tuple[str, ...], rng: random.Random) -> Injection:
        for name in nodes:
            await self.take_out(world, name)
        return Injection(nodes, at_s=world.clock())

    async def take_out(self, world: World, name: str) -> None:
        await see_off(world, name, world.changes.remove)

    async def heal(self, world: World, fault: Fault, injection: Injection) -> None:
        for name in injection.nodes:
            if name not in world.system.nodes:
                await insist(world, world.changes.add)
            elif await world.dead([name]):
                await world.launch([name])


class Leave(Remove):
    """A member leaves in order; then a new one comes."""

    name = "leave"

    async def take_out(self, world: World, name: str) -> None:
        await see_off(world, name, world.changes.leave)


class Replace(Remove):
    """A machine dies for good: killed, taken out while dead, and a new one comes."""

    name, needs = "replace", frozenset({Ability.MEMBERS, Ability.PROCESS})

    async def take_out(self, world: World, name: str) -> None:
        await world.system.kill([name])
        await super().take_out(world, name)


class Transfer(MembersKind):
    """The leadership is handed to a follower."""

    name, claims = "transfer", False

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        return Draft(milli(rng.uniform(0.2, 1.0)), ("follower",))

    def lost(self, draft: Draft | Fault, terrain: Terrain) -> int:
        return 0

    async def inject(self, world: World, fault: Fault, nodes: tuple[str, ...], rng: random.Random) -> Injection:
        await insist(world, partial(world.changes.transfer, nodes[0]))
        return Injection(nodes, at_s=world.clock())

    async def heal(self, world: World, fault: Fault, injection: Injection) -> None:
        return None
