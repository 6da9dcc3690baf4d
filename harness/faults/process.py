"""Faults of processes: killed, stopped in order, paused; one, some, all. A kill loses what was only in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.faults.fault import Draft, Family, Fault, Injection, Kind, Terrain, milli
from harness.faults.world import World
from harness.systems.base import Ability, Shape

if TYPE_CHECKING:
    import random

DOWN_S = (0.2, 2.5)
"""From a blink, in which nobody notices, to several election timeouts (0.6 to 1.2 s)."""
OUTAGE_S = (0.1, 2.0)
"""All nodes down: the start of all of them together, some seconds on two cores, comes on top."""
PAUSE_S = ((0.6, 1.4), (1.4, 3.5))
"""Around the election timeout, so that another leads and the paused one may still believe that it does; or so long that
it must notice when it wakes."""
MAROONED_S = (0.4, 1.8)
"""Around the time in which a leader must hear a majority (1.2 s), and longer than impatient clients wait."""
WAITING_READS_S = 0.05
"""Before a paused node goes on: its kernel takes reads in, and they are the first thing that it sees."""
LEADER_SHARE = 0.5
SKEW = (0.1, 2.0)
"""Of a link's delay to the usual one: what one node knows long since, another one never hears from who dies."""
CLOSE_S = 0.05
"""Between looks while an election is watched: a round of it over slow links takes some hundred milliseconds."""


def some(rng: random.Random, terrain: Terrain) -> tuple[str, ...]:
    """One node or several that the cluster can spare, every second time the leader among them."""
    count = rng.randint(1, max(1, terrain.spare))
    first = "leader" if rng.random() < LEADER_SHARE else "follower"
    return (first, *["any"] * (count - 1))


async def all_dead(world: World, injection: Injection) -> bool:
    """Whether an observation newer than the fault shows each of its nodes without a process."""
    return await _all_are("dead", world, injection.nodes, injection.at_s)


async def _all_are(process: str, world: World, nodes: Sequence[str], since_s: float) -> bool:
    view = await world.seen_since(since_s)
    return bool(nodes) and all(name in view.samples and view.samples[name].process == process for name in nodes)


class Kill(Kind):
    """SIGKILL."""

    name, family, needs = "kill", Family.KILL, frozenset({Ability.PROCESS})

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        return Draft(milli(rng.uniform(*DOWN_S)), some(rng, terrain))

    async def inject(self, world: World, fault: Fault, nodes: tuple[str, ...], rng: random.Random) -> Injection:
        await world.system.kill(nodes)
        return Injection(nodes, at_s=world.clock())

    async def probe(self, world: World, fault: Fault, injection: Injection) -> bool | None:
        return await all_dead(world, injection)

    async def heal(self, world: World, fault: Fault, injection: Injection) -> None:
        await world.launch(injection.nodes)


class KillAll(Kill):
    """Every process at once: what survives is what was on the disk."""

    name = "kill-all"

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        return Draft(milli(rng.uniform(*OUTAGE_S)), ("all",))


class SlowElection(Kill):
    """The leader dies while all links are slow: several become candidates before they hear of each other."""

    name = "slow-election"
    needs = frozenset({Ability.PROCESS, Ability.SHAPE})
    nodes_min = 3

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        return Draft(milli(rng.uniform(1.5, 3.0)), ("leader",), {"delay_s": milli(rng.uniform(0.03, 0.25))})

    async def inject(self, world: World, fault: Fault, nodes: tuple[str, ...], rng: random.Random) -> Injection:
        await slow_down(world, fault, fault.parameters["delay_s"], rng)
        await world.system.kill(nodes)
        at_s = world.clock()
        await watch_closely(world, fault.duration_s)
        return Injection(nodes, at_s=at_s)

    async def heal(self, world: World, fault: Fault, injection: Injection) -> None:
        await world.links.release(fault.number)
        await world.launch(injection.nodes)


class LeaderHunt(SlowElection):
    """The leader dies, and who leads next as soon as it is seen to, as often as the cluster can spare a node: leaders
    that few have heard of leave logs behind that differ."""

    name, nodes_min = "leader-hunt", 5

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        targets = ("leader", *["any"] * (terrain.spare - 1))
        return Draft(milli(rng.uniform(2.0, 4.0)), targets, {"delay_s": milli(rng.uniform(0.03, 0.25))})

    async def inject(self, world: World, fault: Fault, nodes: tuple[str, ...], rng: random.Random) -> Injection:
        await slow_down(world, fault, fault.parameters["delay_s"], rng)
        killed = list[str]()
        at_s, end = world.clock(), world.clock() + fault.duration_s
        while world.clock() < end:
            await world.look()
            if len(killed) < len(nodes) and (leader := world.view.leader) and leader not in killed:
                await world.system.kill([leader])
                killed.append(leader)
            await world.sleep(CLOSE_S)
        return Injection(tuple(killed), detail="one after the other", at_s=at_s)


async def slow_down(world: World, fault: Fault, delay_s: float, rng: random.Random) -> None:
    """All links, both ways, each in its own measure, about ``delay_s``: some are told long before others."""
    nodes = world.view.nodes
    slow = {(a, b): Shape(delay_s=milli(delay_s * rng.uniform(*SKEW))) for a in nodes for b in nodes if a != b}
    await world.links.shape(fault.number, slow)


async def watch_closely(world: World, seconds: float) -> None:
    """Look at the nodes again and again: votes and leaders of a moment are seen, and who leads is asked at once."""
    end, led = world.clock() + seconds, world.view.term
    while world.clock() < end:
        await world.look()
        if world.view.leader and world.view.term > led:
            led = world.view.term
            await world.read_at([world.view.leader])
        await world.sleep(CLOSE_S)


class Stop(Kill):
    """SIGTERM, as an operator does it: the node hands over and ends."""

    name = "stop"

    async def inject(self, world: World, fault: Fault, nodes: tuple[str, ...], rng: random.Random) -> Injection:
        await world.system.terminate(nodes)
        return Injection(nodes, at_s=world.clock())


class RestartAll(Stop):
    """Every node ends in order and starts again at the same time."""

    name = "restart-all"

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        return Draft(milli(rng.uniform(*OUTAGE_S)), ("all",))


class Pause(Kind):
    """SIGSTOP: silent and unaware of it. When it wakes, reads wait in its sockets: a leader of old must not answer."""

    name, family, needs = "pause", Family.PAUSE, frozenset({Ability.PROCESS})

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        return Draft(milli(rng.uniform(*rng.choice(PAUSE_S))), some(rng, terrain))

    async def inject(self, world: World, fault: Fault, nodes: tuple[str, ...], rng: random.Random) -> Injection:
        await world.system.pause(nodes)
        return Injection(nodes, at_s=world.clock())

    async def probe(self, world: World, fault: Fault, injection: Injection) -> bool | None:
        return await _all_are("paused", world, injection.nodes, injection.at_s)

    async def heal(self, world: World, fault: Fault, injection: Injection) -> None:
        await world.read_at(injection.nodes)
        await world.sleep(WAITING_READS_S)
        await world.system.resume(injection.nodes)


class PauseFollowers(Pause):
    """The leader alone goes on, for less time than it needs to notice: what it takes in now is done later, or never."""

    name = "pause-followers"
    nodes_min = 2

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        return Draft(milli(rng.uniform(*MAROONED_S)), ("follower",) * (terrain.nodes - 1))


class PauseBlink(Pause):
    """Again and again for a moment: shorter than a timeout, long enough to be late."""

    name = "pause-blink"

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        first = "leader" if rng.random() < LEADER_SHARE else "follower"
        parameters = {"frozen_s": milli(rng.uniform(0.05, 0.5)), "running_s": milli(rng.uniform(0.05, 0.3))}
        return Draft(milli(rng.uniform(*rng.choice(PAUSE_S))), (first,), parameters)

    async def inject(self, world: World, fault: Fault, nodes: tuple[str, ...], rng: random.Random) -> Injection:
        end = world.clock() + fault.duration_s
        blinks = 0
        while world.clock() < end:
            await world.system.pause(nodes)
            await world.sleep(fault.parameters["frozen_s"])
            await world.system.resume(nodes)
            await world.sleep(fault.parameters["running_s"])
            blinks += 1
        return Injection(nodes, detail=f"{blinks} times", at_s=world.clock())

    async def probe(self, world: World, fault: Fault, injection: Injection) -> bool | None:
        return None

    async def heal(self, world: World, fault: Fault, injection: Injection) -> None:
        await world.system.resume(injection.nodes)
