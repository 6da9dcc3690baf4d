"""Power loss: what was not flushed is gone. The node's disk keeps writes in its process until they are synced, for a
while; then the process is killed. Nothing that was acknowledged may be lost by that, and no vote be given twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from harness.errors import HarnessError
from harness.faults.fault import Draft, Family, Fault, Injection, Kind, Terrain, milli
from harness.faults.process import OUTAGE_S, all_dead, slow_down, some, watch_closely
from harness.faults.world import World
from harness.systems.base import Ability
from harness.systems.links import both_ways

if TYPE_CHECKING:
    import random

VOLATILE_S = (0.3, 2.0)
"""Long enough for hundreds of writes to be at stake."""
VOTING_S = (0.6, 2.2)
"""From the leader's death to the others': an election timeout and some delays, so that votes are at stake."""
VOTE_DELAY_S = 0.3
"""Half of the shortest election timeout."""
FSYNC_DELAY_S = (0.05, 0.3)
"""Many round trips, and less than half of an election timeout: they still follow."""
LAST_S, POLL_S = 12.0, 0.1
"""For the others to elect one of them: some seconds of processor time for their start, and an election."""
ALONE_S = 2.5
"""What that takes as a rule."""
SHORT_S, BLINK_S = (0.3, 1.2), (0.1, 0.4)
"""Before and after such a loss of power: with what follows it takes as long as an outage may."""
ALL_SHARE = 0.5
UNEVEN_SHARE = 0.5
ELECTION_SHARE = 0.6


class PowerLoss(Kind):
    """``election``: the leader dies first, and the others while they vote."""

    name, family = "power-loss", Family.POWER
    needs = frozenset({Ability.DISK, Ability.PROCESS})
    torn: ClassVar[bool] = False

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        targets = ("all",) if rng.random() < ALL_SHARE else some(rng, terrain)
        parameters = {"volatile_s": milli(rng.uniform(*VOLATILE_S)), "torn": self.torn}
        if targets == ("all",) and rng.random() < ELECTION_SHARE:
            parameters["voting_s"] = milli(rng.uniform(*VOTING_S))
        down_s = rng.uniform(*OUTAGE_S) + sum(value for key, value in parameters.items() if key.endswith("_s"))
        return Draft(milli(down_s), targets, parameters)

    async def inject(self, world: World, fault: Fault, nodes: tuple[str, ...], rng: random.Random) -> Injection:
        volatile = {"volatile": True, "torn": fault.parameters["torn"]}
        for name in nodes:
            await world.require(name, lambda n: world.ports.disk(n, volatile))
        await world.sleep(fault.parameters["volatile_s"])
        detail = ""
        if "voting_s" in fault.parameters and (leader := world.view.leader) in nodes:
            detail = f"{leader} first, which led"
            await self._vote(world, fault, leader, rng)
        await world.system.kill(nodes)
        return Injection(nodes, detail=detail, at_s=world.clock())

    async def _vote(self, world: World, fault: Fault, leader: str, rng: random.Random) -> None:
        """The others elect somebody, so slowly that votes are seen that no entry of the new term stands behind yet."""
        if Ability.SHAPE in world.system.abilities:
            await slow_down(world, fault, VOTE_DELAY_S, rng)
        await world.system.kill([leader])
        await watch_closely(world, fault.parameters["voting_s"])

    async def probe(self, world: World, fault: Fault, injection: Injection) -> bool | None:
        return await all_dead(world, injection)

    async def heal(self, world: World, fault: Fault, injection: Injection) -> None:
        await world.links.release(fault.number)
        await world.launch(injection.nodes)


class TornWrite(PowerLoss):
    """As power loss, and a part of the last unflushed write did get to the disk."""

    name, torn = "torn-write", True


class SlowDiskPowerLoss(PowerLoss):
    """The followers' disks are slow when all lose power, and who led comes back last: without it, the others must still
    have everything that they had confirmed. ``uneven``: one disk is as it was, so that its node alone has what was
    committed, and the others, who come back before it, stand for election first."""

    name, nodes_min = "power-loss-slow-disks", 3

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        parameters = {
            "volatile_s": milli(rng.uniform(*SHORT_S)),
            "torn": False,
            "fsync_delay_s": milli(rng.uniform(*FSYNC_DELAY_S)),
            "down_s": milli(rng.uniform(*BLINK_S)),
            "uneven": rng.random() < UNEVEN_SHARE,
        }
        return Draft(milli(parameters["volatile_s"] + parameters["down_s"] + ALONE_S), ("all",), parameters)

    async def inject(self, world: World, fault: Fault, nodes: tuple[str, ...], rng: random.Random) -> Injection:
        quick = [name for name in nodes if name != world.view.leader][:1] if fault.parameters["uneven"] else []
        slow = {"volatile": True, "fsync_delay_s": fault.parameters["fsync_delay_s"]}
        for name in nodes:
            if name not in (world.view.leader, *quick):
                await world.require(name, lambda n: world.ports.disk(n, slow))
        await world.sleep(fault.parameters["volatile_s"])
        leader = world.view.leader if world.view.leader in nodes else nodes[-1]
        others = [name for name in nodes if name != leader]
        await world.system.kill(nodes)
        at_s = world.clock()
        await world.sleep(fault.parameters["down_s"])
        await self._bring_back([name for name in others if name not in quick], quick, world)
        led = await self._led_by(others, world, at_s + fault.parameters["down_s"])
        detail = f"{leader} comes back last" + ("" if led else f", though none of the others led within {LAST_S:g} s")
        return Injection((*others, leader), detail=detail, at_s=at_s)

    async def _bring_back(self, first: Sequence[str], then: Sequence[str], world: World) -> None:
        await world.launch(first)
        launched_s = world.clock()
        while then and world.clock() < launched_s + LAST_S and not self._answer(first, world, launched_s):
            await world.sleep(POLL_S)
        await world.launch(then)

    def _answer(self, names: Sequence[str], world: World, since_s: float) -> bool:
        view = world.view
        return view.at_s > since_s and all(view.samples[name].role for name in names if name in view.samples)

    async def _led_by(self, others: Sequence[str], world: World, since_s: float) -> bool:
        give_up = world.clock() + LAST_S
        while world.clock() < give_up:
            if world.view.at_s > since_s and world.view.leader in others:
                return True
            await world.sleep(POLL_S)
        return False

    async def probe(self, world: World, fault: Fault, injection: Injection) -> bool | None:
        return True  # what was killed is gone when ``kill`` returns, and the others are back already

    async def heal(self, world: World, fault: Fault, injection: Injection) -> None:
        await world.launch(await world.dead(injection.nodes))


class CrashPoint(Kind):
    """The node kills itself at the k-th hit of a point; ``volatile``: as if its power failed there."""

    family = Family.POINTS
    needs = frozenset({Ability.POINTS, Ability.DISK, Ability.PROCESS})

    async def inject(self, world: World, fault: Fault, nodes: tuple[str, ...], rng: random.Random) -> Injection:
        point, kill_at = fault.parameters["point"], fault.parameters["kill_at"]
        volatile = {"volatile": fault.parameters["volatile"], "torn": fault.parameters["torn"]}
        for name in nodes:
            await world.require(name, lambda n: world.ports.disk(n, volatile))
            await world.require(name, lambda n: world.ports.points(n, {point: kill_at}))
        at_s = world.clock()
        detail = f"{point} at hit {kill_at}"
        if fault.parameters.get("election") and world.members is not None:
            candidates = [name for name in world.view.nodes if name not in (*nodes, world.view.leader)]
            try:
                await world.members.transfer(rng.choice(candidates) if candidates else None)
            except HarnessError as refusal:
                detail += f"; {refusal}"
        return Injection(nodes, detail=detail, at_s=at_s)

    async def probe(self, world: World, fault: Fault, injection: Injection) -> bool | None:
        """None where the point was not met in time: that is the program's way, not the fault's failure."""
        if await world.dead(injection.nodes):
            return True
        told = [await world.ports.state(name) for name in injection.nodes]
        return None if all(fault.parameters["point"] in state.get("points", {}) for state in told) else False

    async def heal(self, world: World, fault: Fault, injection: Injection) -> None:
        async def disarm(name: str) -> None:
            await world.ports.points(name, {})
            await world.ports.disk(name, {})

        await world.launch([name for name in injection.nodes if not await world.tell(name, disarm)])


def _loss(rng: random.Random) -> dict[str, bool]:
    volatile = rng.random() < 0.6
    return {"volatile": volatile, "torn": volatile and rng.random() < 0.5}


class KillAtFsync(CrashPoint):
    """At the k-th fsync, just before it."""

    name = "kill-at-fsync"

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        parameters = {"point": "fsync", "kill_at": rng.randint(1, 50), **_loss(rng)}
        return Draft(milli(rng.uniform(1.0, 3.0)), (rng.choice(("leader", "follower")),), parameters)


class LostAnswers(CrashPoint):
    """The leader ends when writes are done and nobody was answered: all of them are asked for again."""

    name = "lost-answers"

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        point = rng.choice(("apply.after", "apply.after", "apply.after", "answer.before"))
        parameters = {"point": point, "kill_at": rng.randint(1, 100), "volatile": False, "torn": False}
        return Draft(milli(rng.uniform(0.5, 1.5)), ("leader",), parameters)


POINTS = (
    "append.before_commit",
    "append.after_commit",
    "vote.before_commit",
    "vote.after_commit",
    "send.before",
    "send.after",
    "answer.before",
    "apply.before",
    "apply.after",
    "trim.before_commit",
    "trim.after_commit",
    "checkpoint.before_rename",
    "checkpoint.after_rename",
    "checkpoint.before_discard",
    "snapshot.before_rename",
    "snapshot.after_rename",
    "snapshot.before_install",
    "snapshot.after_install",
)
"""Where a node can be told to end."""
INSTALL = tuple(point for point in POINTS if point.startswith("snapshot."))
AWAY_S, INSTALL_S = (1.0, 4.0), (1.0, 2.5)
"""Long enough for the others to trim what it lacks; for a new connection, and the snapshot."""
OFTEN = ("vote.before_commit", "vote.after_commit", "answer.before", "answer.before", "answer.before", "send.after")
"""Drawn more often: whoever dies there leaves votes, or writes that were done and never answered."""
FREQUENT = ("append.", "send.", "answer.", "apply.")
"""Met hundreds of times a second; the others are met now and then, or once."""


class KillAtPoint(CrashPoint):
    """At a named point of append, vote, send, apply, checkpoint, snapshot; for votes an election is asked for."""

    name = "kill-at-point"

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        point = rng.choice((*POINTS, *OFTEN))
        kill_at = rng.randint(1, 200) if point.startswith(FREQUENT) else 1
        parameters = {"point": point, "kill_at": kill_at, "election": point.startswith("vote."), **_loss(rng)}
        role = "follower" if parameters["election"] else rng.choice(("leader", "follower"))
        return Draft(milli(rng.uniform(1.0, 3.0)), (role,), parameters)


class KillAtInstall(CrashPoint):
    """A follower that was cut off needs a snapshot, and dies while it takes it in."""

    name, nodes_min = "kill-at-install", 3
    needs = CrashPoint.needs | {Ability.CUT}

    def draw(self, rng: random.Random, terrain: Terrain) -> Draft:
        away_s = milli(rng.uniform(*AWAY_S))
        parameters = {"point": rng.choice(INSTALL), "kill_at": 1, "away_s": away_s, **_loss(rng)}
        return Draft(milli(away_s + rng.uniform(*INSTALL_S)), ("follower",), parameters)

    async def inject(self, world: World, fault: Fault, nodes: tuple[str, ...], rng: random.Random) -> Injection:
        injection = await super().inject(world, fault, nodes, rng)
        await world.links.cut(fault.number, both_ways(nodes, [name for name in world.view.nodes if name not in nodes]))
        await world.sleep(fault.parameters["away_s"])
        await world.links.release(fault.number)
        return injection

    async def heal(self, world: World, fault: Fault, injection: Injection) -> None:
        await world.links.release(fault.number)
        await super().heal(world, fault, injection)
