"""Tries every kind of fault on a small real cluster of this machine, and says which of them work.

works: done by the best means there is, and seen to work. substitute: by the nodes' own hook, where the kernel cannot be
had. not available: why. Kinds that end processes are tried together, on a node each, so that few restarts are waited
for; a majority does not matter here. Whoever is broken in the end is not mended: the cluster is thrown away.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from harness.chaos.rig import Rig
from harness.errors import HarnessError
from harness.faults.catalog import KINDS
from harness.faults.fault import Family, Fault, Terrain
from harness.faults.shaping import Shaping
from harness.faults.targets import View
from harness.faults.world import World

NODES = 3
LOOK_S = 0.1
READY_S = 20.0
"""For all nodes to serve again."""
DEADLY_S = 4.0
"""For a node to come to the point at which it is to end: an election or a write away."""
DEADLY_POLL_S = 0.1
LASTS_S = 0.1
"""Of a fault that blinks."""
MESSAGES_S = 0.25
"""For messages to be shaped: two heartbeats."""

CUTS = tuple(name for name, kind in KINDS.items() if kind.family is Family.PARTITION)
GENTLE = tuple(
    name
    for name, kind in KINDS.items()
    if kind.family in (Family.LINKS, Family.CLOCK, Family.PAUSE) or name in ("disk-full", "slow-fsync", "transfer")
)
"""After which every process is the same as before; one after the other."""
DEADLY = (("kill", "io-error", "power-loss"), ("torn-write", "kill-at-fsync", "kill-at-point"))
"""Rounds, in which each kind has a node of its own."""
QUICK = {"volatile_s": 0.1, "voting_s": 0.1, "frozen_s": 0.05, "running_s": 0.05, "point": "send.before", "kill_at": 1}
"""In place of what a draw gives: as little time as shows the effect; a point that every node passes at once."""
PARTS = {
    "partition-ring": ("partition-bridge",),
    "restart-all": ("stop",),
    "slow-election": ("kill", "delay"),
    "replace": ("kill", "remove", "add"),
    "figure-eight": ("isolate-leader", "delay", "kill"),
    "overtaken": ("isolate-leader", "delay"),
    "thin-majority": ("isolate-follower", "delay", "kill"),
}
"""Kinds that are not tried, and those that are made of the same means."""


class State(StrEnum):
    """The verdict on a kind."""

    WORKS = "works"
    SUBSTITUTE = "substitute"
    NOT_AVAILABLE = "not available"


@dataclass(frozen=True, slots=True)
class Finding:
    """``by``: what does it: signals, kernel, hook, …"""

    kind: str
    family: str
    state: State
    by: str
    why: str = ""


BY = {
    Family.KILL: "signals",
    Family.PAUSE: "signals",
    Family.LINKS: "transport hook",
    Family.CLOCK: "node's clock",
    Family.DISK: "node's disk layer",
    Family.POWER: "disk layer, SIGKILL",
    Family.POINTS: "node's points",
    Family.MEMBERS: "nodes' API",
}


class Doctor:
    """``kernel_reason``: why the kernel's network cannot be had, "" if it is used. ``say`` hears of progress."""

    def __init__(self, rig: Rig, kernel_reason: str, say: Callable[[str], None]) -> None:
        self._rig, self._kernel_reason, self._say = rig, kernel_reason, say
        self._rng = random.Random(0)
        self._numbers = iter(range(1, 1000))
        self._world: World | None = None

    async def examine(self) -> list[Finding]:
        """Every kind, in the catalog's order. Raises HarnessError if the cluster does not start."""
        self._say("starting a small cluster")
        await self._rig.system.start()
        try:
            found: dict[str, Finding] = {}
            async with asyncio.TaskGroup() as group:
                world = self._rig.world(asyncio.get_running_loop().time)
                looking = group.create_task(self._look(world))
                await world.seen_since(0.0)
                for finding in await self._findings(world):
                    found[finding.kind] = finding
                looking.cancel()
            return [found[kind] for kind in KINDS if kind in found]
        finally:
            await self._rig.system.stop()

    async def _findings(self, world: World) -> list[Finding]:
        n1, n2, n3 = world.view.nodes
        self._say("cutting links")
        found = await asyncio.gather(*(self._try(world, kind, (n1, n2)) for kind in CUTS if kind not in PARTS))
        for kind in GENTLE:
            self._say(f"trying {kind}")
            found.append(await self._try(world, kind, (n3 if n3 != world.view.leader else n2,)))
        for kinds in DEADLY:
            self._say(f"trying {', '.join(kinds)}")
            pairs = zip(kinds, (n1, n2, n3), strict=True)
            found += await asyncio.gather(*(self._try(world, kind, (node,)) for kind, node in pairs))
            await self._wait_ports(world)
        await self._wait_ready(world)
        self._say("changing the members")  # one comes, and is removed; another leaves, and two are enough for the rest
        found.append(await self._try(world, "add", (), heal=False))
        found.append(await self._try(world, "remove", (world.system.nodes[-1],), heal=False))
        found.append(await self._try(world, "leave", (n3,), heal=False))
        self._say("stopping everything")
        found.append(await self._try(world, "stop", (n2,), heal=False))
        found.append(await self._try(world, "kill-all", world.system.nodes, heal=False))
        return found + [self._composed(kind, found) for kind in PARTS]

    def _composed(self, kind: str, found: Sequence[Finding]) -> Finding:
        parts = [finding for finding in found if finding.kind in PARTS[kind]]
        worst = max(parts, key=lambda part: list(State).index(part.state))
        told = f"as {', '.join(part.kind for part in parts)}"
        return Finding(kind, KINDS[kind].family, worst.state, worst.by, worst.why or told)

    async def _try(self, world: World, name: str, nodes: Sequence[str], *, heal: bool = True) -> Finding:
        kind = KINDS[name]
        finding = Finding(name, kind.family, State.WORKS, self._by(kind.family))
        if not kind.needs <= self._rig.system.abilities:
            return replace(finding, state=State.NOT_AVAILABLE, why="this system has no means for it")
        draft = kind.draw(self._rng, Terrain(NODES))
        parameters: dict[str, Any] = {key: QUICK.get(key, value) for key, value in draft.parameters.items()}
        if isinstance(kind, Shaping):
            parameters["shape"] = {field: most for field, (_, most) in kind.bounds.items()}
        fault = Fault(number=next(self._numbers), kind=name, start_s=0.0, duration_s=LASTS_S, parameters=parameters)
        try:
            injection = await kind.inject(world, fault, tuple(nodes), self._rng)
            if kind.family is Family.POINTS:
                await self._wait_dead(world, nodes)
            elif kind.family is Family.LINKS:
                await asyncio.sleep(MESSAGES_S)
            fired = await kind.probe(world, fault, injection)
            if heal:
                await kind.heal(world, fault, injection)
        except (HarnessError, NotImplementedError) as error:
            return replace(finding, state=State.NOT_AVAILABLE, why=str(error) or "the network cannot do it")
        if fired is False:
            return replace(finding, state=State.NOT_AVAILABLE, why="it was done and had no effect")
        if kind.family is Family.PARTITION and self._kernel_reason:
            return replace(finding, state=State.SUBSTITUTE, why=self._kernel_reason)
        if kind.family in (Family.CLOCK, Family.DISK):
            return replace(finding, why="by the node's own word")
        return replace(finding, why="" if fired else "done; its effect cannot be seen from outside")

    async def _wait_dead(self, world: World, nodes: Sequence[str]) -> None:
        give_up = world.clock() + DEADLY_S
        while not await world.dead(nodes) and world.clock() < give_up:
            await world.sleep(DEADLY_POLL_S)

    def _by(self, family: Family) -> str:
        if family is Family.PARTITION:
            return "transport hook" if self._kernel_reason else "kernel (nft)"
        return BY[family]

    async def _look(self, world: World) -> None:
        while True:
            at_s = world.clock()
            samples = await self._rig.system.observe()
            world.view = View(tuple(s.node for s in samples), {s.node: s for s in samples}, at_s)
            await asyncio.sleep(LOOK_S)

    async def _wait_ports(self, world: World) -> None:
        """Every node that was started again can be told of a fault again."""
        if world.seams is not None:
            for name in world.view.nodes:
                await world.tell(name, world.seams.heal)

    async def _wait_ready(self, world: World) -> None:
        give_up = world.clock() + READY_S
        while not _serves(world.view) and world.clock() < give_up:
            await world.seen_since(world.clock())


def _serves(view: View) -> bool:
    return bool(view.leader) and all(sample.role in ("leader", "follower") for sample in view.samples.values())


def counted(findings: Iterable[Finding]) -> dict[State, int]:
    """How many kinds of each state."""
    states = [finding.state for finding in findings]
    return {state: states.count(state) for state in State}
