"""Disks that are full, fail or are slow, at a node that goes on running or ends by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.faults.fault import Draft, Family, Fault, Injection, Kind, Terrain, milli
from harness.faults.world import World
from harness.systems.base import Ability

if TYPE_CHECKING:
    import random

SICK_S = (0.5, 3.0)


class DiskKind(Kind):
    """``state``: what the node's disk is told."""

    family, needs = Family.DISK, frozenset({Ability.DISK})

    def state(self, fault: Fault) -> Mapping[str, Any]:
        return dict(fault.parameters)

    def parameters(self, rng: random.Random) -> Mapping[str, Any]:
        raise NotImplementedError

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        role = rng.choice(("leader", "follower"))
        return Draft(milli(rng.uniform(*SICK_S)), (role,), self.parameters(rng))

    async def inject(self, world: World, fault: Fault, nodes: tuple[str, ...], rng: random.Random) -> Injection:
        for name in nodes:
            await world.require(name, lambda n: world.ports.disk(n, self.state(fault)))
        return Injection(nodes, at_s=world.clock())

    async def probe(self, world: World, fault: Fault, injection: Injection) -> bool | None:
        for name in injection.nodes:
            told = (await world.ports.state(name)).get("disk", {})
            if any(told.get(key) != value for key, value in self.state(fault).items()):
                return False
        return bool(injection.nodes)

    async def heal(self, world: World, fault: Fault, injection: Injection) -> None:
        dead = [name for name in injection.nodes if not await world.tell(name, lambda n: world.ports.disk(n, {}))]
        await world.launch(dead)


class DiskFull(DiskKind):
    """No room: nothing is written, and it must say so."""

    name = "disk-full"

    def parameters(self, rng: random.Random) -> Mapping[str, Any]:
        return {"full": True}


class SlowFsync(DiskKind):
    """Every fsync takes long: heartbeats must not wait for it."""

    name = "slow-fsync"

    def parameters(self, rng: random.Random) -> Mapping[str, Any]:
        return {"fsync_delay_s": milli(rng.choice((rng.uniform(0.01, 0.1), rng.uniform(0.1, 0.8))))}


class IoError(DiskKind):
    """Writes fail with EIO. A node may well end by that: a disk that does not keep its word serves nobody."""

    name = "io-error"

    def parameters(self, rng: random.Random) -> Mapping[str, Any]:
        return {"io_error": True}

    async def probe(self, world: World, fault: Fault, injection: Injection) -> bool | None:
        view = await world.seen_since(injection.at_s)
        if all(view.samples[name].process == "dead" for name in injection.nodes if name in view.samples):
            return True
        try:
            return await super().probe(world, fault, injection)
        except HarnessError:
            return True  # it ended just now
