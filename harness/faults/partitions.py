"""Partitions: which directed links are silent. The sides are made of roles, so that the leader may be on either."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from harness.faults.fault import Draft, Family, Fault, Injection, Kind, Terrain, milli
from harness.faults.targets import View
from harness.faults.world import World
from harness.systems.base import Ability, Link
from harness.systems.links import both_ways

if TYPE_CHECKING:
    import random

CUT_S = ((0.5, 1.6), (1.6, 4.5))
"""Around the election timeout, so that what was sent before still arrives when others lead; or long enough for both
sides to go their own way, and to fill a log."""


class Partition(Kind):
    """``cuts`` says which links, given the nodes that its targets became and all nodes."""

    family, needs, claims = Family.PARTITION, frozenset({Ability.CUT}), False
    nodes_min = 3

    def cuts(self, fault: Fault, side: Sequence[str], nodes: Sequence[str]) -> Iterable[Link]:
        """Between ``side`` and the others, both ways."""
        return both_ways(side, [name for name in nodes if name not in side])

    def duration(self, rng: random.Random) -> float:
        return milli(rng.uniform(*rng.choice(CUT_S)))

    async def inject(self, world: World, fault: Fault, nodes: tuple[str, ...], rng: random.Random) -> Injection:
        links = tuple(sorted(self.cuts(fault, nodes, world.view.nodes)))
        await world.links.cut(fault.number, links)
        return Injection(nodes, links, at_s=world.clock())

    async def probe(self, world: World, fault: Fault, injection: Injection) -> bool | None:
        silent = await world.silent(injection.links)
        if silent is not None:
            return silent
        return shows_a_cut(await world.seen_since(injection.at_s), injection) or None

    async def heal(self, world: World, fault: Fault, injection: Injection) -> None:
        await world.links.release(fault.number)


def shows_a_cut(view: View, injection: Injection) -> bool:
    """Where a network cannot tell itself: a node behind the cut has no leader, or knows less than another does."""
    samples = [view.samples[name] for name in injection.nodes if name in view.samples]
    return any(
        sample.role not in ("leader", "follower") or not sample.leader or sample.commit < view.commit
        for sample in samples
        if sample.role
    )


class Halves(Partition):
    """As even as it gets: of five nodes 2 | 3, of four 2 | 2."""

    name = "partition-halves"

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        return Draft(self.duration(rng), ("any",) * (terrain.nodes // 2))


class MinorityLeader(Partition):
    """The leader is cut off with as many as make no majority."""

    name = "partition-minority-leader"

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        return Draft(self.duration(rng), ("leader", *["any"] * (terrain.spare - 1)))


class Ring(Partition):
    """Every node sees a majority, no two of them the same one."""

    name = "partition-ring"
    nodes_min = 4

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        return Draft(self.duration(rng), ("all",))

    def lost(self, draft: Draft | Fault, terrain: Terrain) -> int:
        return terrain.spare

    async def inject(self, world: World, fault: Fault, nodes: tuple[str, ...], rng: random.Random) -> Injection:
        return await super().inject(world, fault, tuple(rng.sample(nodes, len(nodes))), rng)

    def cuts(self, fault: Fault, side: Sequence[str], nodes: Sequence[str]) -> Iterable[Link]:
        count = len(side)
        reach = (count // 2 + 1) // 2  # to either side: with the node itself at least a majority
        for i, a in enumerate(side):
            for j, b in enumerate(side):
                if min((i - j) % count, (j - i) % count) > reach:
                    yield (a, b)


class Bridge(Partition):
    """Two halves that hear each other only through one node."""

    name = "partition-bridge"

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        others = ["any"] * ((terrain.nodes - 1) // 2)
        return Draft(self.duration(rng), (rng.choice(("leader", "follower")), *others))

    def lost(self, draft: Draft | Fault, terrain: Terrain) -> int:
        return terrain.spare

    def cuts(self, fault: Fault, side: Sequence[str], nodes: Sequence[str]) -> Iterable[Link]:
        return both_ways(side[1:], [name for name in nodes if name not in side])


class IsolateLeader(Partition):
    """The leader alone."""

    name = "isolate-leader"
    target: ClassVar[str] = "leader"

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        return Draft(self.duration(rng), (self.target,))


class IsolateFollower(IsolateLeader):
    """A follower alone: it will be a candidate again and again."""

    name = "isolate-follower"
    target = "follower"


class OneWay(Partition):
    """A node that hears nobody ("deaf") or that nobody hears ("mute"), or only towards one other."""

    name = "one-way"

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        role = rng.choice(("leader", "follower"))
        parameters = {"sense": rng.choice(("deaf", "mute")), "towards": rng.choice(("all", "all", "one"))}
        return Draft(self.duration(rng), (role, "any"), parameters)

    def lost(self, draft: Draft | Fault, terrain: Terrain) -> int:
        return 1

    def cuts(self, fault: Fault, side: Sequence[str], nodes: Sequence[str]) -> Iterable[Link]:
        node, others = side[0], side[1:2] if fault.parameters["towards"] == "one" else nodes
        for other in others:
            if other != node:
                yield (other, node) if fault.parameters["sense"] == "deaf" else (node, other)
