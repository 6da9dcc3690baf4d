"""Clocks that jump or run at another rate. Monotonic ones drive elections and leases, wall ones should drive nothing
but expiry. A monotonic clock jumps forwards only, as after a machine slept."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from harness.faults.fault import Draft, Family, Fault, Injection, Kind, Terrain, milli
from harness.faults.world import World
from harness.systems.base import Ability, Shape

if TYPE_CHECKING:
    import random

SKEWED_S = (1.0, 8.0)
HASTE, LATE_S, HASTY_S = (2.0, 3.0), (0.07, 0.14), (2.0, 4.0)
"""What takes two delays is given up by an impatient client's deadline (0.3 s) on such a clock, and done soon after;
the leader still hears a majority in what it takes for 1.2 s."""
ROUNDED_S = 0.05
"""A told offset differs by less from what was asked for."""


class ClockKind(Kind):
    """``which``: monotonic or wall; ``setting``: jump_s or rate."""

    family, needs = Family.CLOCK, frozenset({Ability.CLOCK})
    which: ClassVar[str]
    setting: ClassVar[str]

    def value(self, rng: random.Random) -> float:
        raise NotImplementedError

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        role = rng.choice(("leader", "follower"))
        return Draft(milli(rng.uniform(*SKEWED_S)), (role,), {self.setting: milli(self.value(rng))})

    def lost(self, draft: Draft | Fault, terrain: Terrain) -> int:
        return 0

    async def inject(self, world: World, fault: Fault, nodes: tuple[str, ...], rng: random.Random) -> Injection:
        facts = {}
        for name in nodes:
            facts[name] = await self._told(world, name)
            await world.require(name, lambda n: world.ports.clock(n, {self.which: dict(fault.parameters)}))
        return Injection(nodes, at_s=world.clock(), facts=facts)

    async def probe(self, world: World, fault: Fault, injection: Injection) -> bool | None:
        words = [self.holds(fault, injection.facts[name], await self._told(world, name)) for name in injection.nodes]
        return bool(words) and all(words)

    def holds(self, fault: Fault, before: Mapping[str, float], now: Mapping[str, float]) -> bool:
        """By the node's own word (rate, offset_s) before the fault and now."""
        return bool(now.get("rate") == fault.parameters["rate"])

    async def heal(self, world: World, fault: Fault, injection: Injection) -> None:
        for name in injection.nodes:
            await world.tell(name, lambda n: world.ports.clock(n, self.cure(fault)))

    def cure(self, fault: Fault) -> Mapping[str, Any]:
        return {}

    async def _told(self, world: World, name: str) -> Mapping[str, float]:
        states: list[Mapping[str, Any]] = []

        async def ask(node: str) -> None:
            states.append(await world.ports.state(node))

        await world.require(name, ask)
        told: Mapping[str, float] = states[-1].get("clock", {}).get(self.which, {})
        return told


class ClockJump(ClockKind):
    """The monotonic clock is suddenly later: every timer is due at once, a lease has run out."""

    name, which, setting = "clock-jump", "monotonic", "jump_s"

    def value(self, rng: random.Random) -> float:
        return rng.uniform(0.3, 10.0)

    def holds(self, fault: Fault, before: Mapping[str, float], now: Mapping[str, float]) -> bool:
        gained_s = now.get("offset_s", 0.0) - before.get("offset_s", 0.0)
        return bool(abs(gained_s - fault.parameters["jump_s"]) < ROUNDED_S)


class ClockRate(ClockKind):
    """The monotonic clock runs slow (its leases last too long) or fast."""

    name, which, setting = "clock-rate", "monotonic", "rate"

    def value(self, rng: random.Random) -> float:
        return rng.choice((rng.uniform(0.3, 0.9), rng.uniform(1.1, 3.0)))


class HastyLeader(ClockRate):
    """The leader's clock runs fast while everybody hears everybody late: what it gives up may be done yet, and it says
    so before a client stops listening."""

    name, needs, nodes_min = "hasty-leader", ClockRate.needs | {Ability.SHAPE}, 2

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        parameters = {"rate": milli(rng.uniform(*HASTE)), "delay_s": milli(rng.uniform(*LATE_S))}
        return Draft(milli(rng.uniform(*HASTY_S)), ("leader",), parameters)

    def lost(self, draft: Draft | Fault, terrain: Terrain) -> int:
        """As if so many were: with delays that add up, and several hasty clocks, nobody would ever be elected."""
        return terrain.spare

    async def inject(self, world: World, fault: Fault, nodes: tuple[str, ...], rng: random.Random) -> Injection:
        late = Shape(delay_s=fault.parameters["delay_s"])
        await world.links.shape(fault.number, dict.fromkeys(permutations(world.view.nodes, 2), late))
        clock = msgspec.structs.replace(fault, parameters={self.setting: fault.parameters[self.setting]})
        return await super().inject(world, clock, nodes, rng)

    async def heal(self, world: World, fault: Fault, injection: Injection) -> None:
        await world.links.release(fault.number)
        await super().heal(world, fault, injection)


class WallJump(ClockJump):
    """The wall clock is set: minutes, either way; healing sets it back."""

    name, which = "wall-jump", "wall"

    def value(self, rng: random.Random) -> float:
        return rng.choice((-1, 1)) * rng.uniform(1.0, 3600.0)

    def cure(self, fault: Fault) -> Mapping[str, Any]:
        return {"wall": {"jump_s": -fault.parameters["jump_s"]}}


class WallRate(ClockKind):
    """The wall clock runs at another rate."""

    name, which, setting = "wall-rate", "wall", "rate"

    def value(self, rng: random.Random) -> float:
        return rng.choice((rng.uniform(0.1, 0.9), rng.uniform(1.1, 10.0)))
