"""Links that deliver late, out of order, twice, or not at all now and then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from harness.faults.fault import Draft, Family, Fault, Injection, Kind, Terrain, milli
from harness.faults.world import World
from harness.systems.base import Ability, Link, Shape

if TYPE_CHECKING:
    import random

SHAPED_S = (2.0, 8.0)


class Shaping(Kind):
    """``parameters`` are a Shape's fields; ``scope``: links of the target only, or of everybody."""

    family, needs, claims = Family.LINKS, frozenset({Ability.SHAPE}), False
    nodes_min = 2
    bounds: ClassVar[dict[str, tuple[float, float]]]
    """Field of Shape → least and most."""

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        shape: dict[str, Any] = {name: milli(rng.uniform(*bounds)) for name, bounds in self.bounds.items()}
        target = rng.choice((("leader",), ("follower",), ("all",)))
        return Draft(milli(rng.uniform(*SHAPED_S)), target, {"shape": shape})

    def lost(self, draft: Draft | Fault, terrain: Terrain) -> int:
        return 0

    async def inject(self, world: World, fault: Fault, nodes: tuple[str, ...], rng: random.Random) -> Injection:
        shape = Shape(**fault.parameters["shape"])
        links: dict[Link, Shape] = {}
        for node in nodes:
            for other in world.view.nodes:
                if other != node:
                    links[node, other] = links[other, node] = shape
        facts = await world.effects(links)
        await world.links.shape(fault.number, links)
        return Injection(nodes, tuple(sorted(links)), at_s=world.clock(), facts=facts)

    async def probe(self, world: World, fault: Fault, injection: Injection) -> bool | None:
        """By the senders' counts of what they did to messages; None if chance, or silence, left them all alone."""
        now = await world.effects(injection.links)
        if any(now[name]["count"] > before["count"] for name, before in injection.facts.items() if name in now):
            return True
        return None if await world.shaped(injection.links) is not False else False

    async def heal(self, world: World, fault: Fault, injection: Injection) -> None:
        await world.links.release(fault.number)


class Delay(Shaping):
    """Every message late by the same: around a heartbeat, at most a third of an election timeout."""

    name, bounds = "delay", {"delay_s": (0.005, 0.2)}


class Jitter(Shaping):
    """Late by chance."""

    name, bounds = "jitter", {"delay_s": (0.0, 0.02), "jitter_s": (0.01, 0.25)}


class Loss(Shaping):
    """Messages vanish."""

    name, bounds = "loss", {"loss": (0.02, 0.4)}


class Duplicate(Shaping):
    """Messages arrive twice."""

    name, bounds = "duplicate", {"duplicate": (0.1, 0.7)}


class Reorder(Shaping):
    """Messages overtake each other: some are held back for longer than others need."""

    name, bounds = "reorder", {"reorder": (0.1, 0.6), "jitter_s": (0.005, 0.05)}


class Bandwidth(Shaping):
    """A narrow line: appends queue up, heartbeats behind them."""

    name, bounds = "bandwidth", {"rate_bytes_s": (20_000, 400_000)}
