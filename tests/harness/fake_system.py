"""A store in memory with the manners of a real one, and bugs that can be switched on.

Nodes have processes that die and stand still, links that can be cut, a leader where a majority hears one another, and
clients that meet refusals, silence and unknown outcomes. It is correct unless a bug is switched on. Time is the loop's.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.chaos.rig import Rig
from harness.history.records import NodeSample
from harness.systems.base import Ability, Link, Mismatch, NotApplied, Shape, Unknown, Version

ELECTION_S = 0.8
POLL_S = 0.01
FORGOTTEN_S = 0.5
RARELY = 20
"""A bug that happens now and then does so with every so manieth operation."""


@dataclass
class FakeNode:
    """``applied``: how much of the log it has. ``leads``: the term in which it thinks that it leads, 0: it follows."""

    name: str
    process: str = "running"
    applied: int = 0
    leads: int = 0
    term: int = 1
    fault: dict[str, Any] = field(default_factory=dict)
    hits: int = 0


@dataclass(frozen=True)
class Entry:
    key: str
    value: str | None
    time_s: float


class FakeSystem:
    """See ``harness.systems.base``: a system that is its own network. ``bugs``: what is wrong with it."""

    name = "fake"
    abilities = frozenset(Ability)

    def __init__(self, count: int, seed: int = 0, bugs: Collection[str] = ()) -> None:
        self.members = {f"n{i}": FakeNode(f"n{i}") for i in range(1, count + 1)}
        self.rng, self.bugs = random.Random(seed), frozenset(bugs)
        self.log: list[Entry] = []
        self.cuts: frozenset[Link] = frozenset()
        self.shapes: dict[Link, Shape] = {}
        self.strangers: set[str] = set()
        self.wrong: list[str] = []
        self.told: list[str] = []
        self.running = False
        self.stuck = False
        self._counts: dict[str, itertools.count[int]] = {}
        self._leaderless_s: float | None = None
        self._latest: dict[str, Version] = {}
        self._indexed = 0
        self.leader: str | None = None

    def rig(self) -> Rig:
        from tests.harness.fake_seams import FakeGossip, FakeMembers, FakeSeams  # which know the system

        def client_at(node: str, timeout_s: float) -> FakeClient:
            return FakeClient(self, timeout_s, node)

        return Rig(self, client_at, self, FakeSeams(self), FakeMembers(self), FakeGossip(self))

    # ---- System

    async def start(self) -> None:
        self.running = True
        self._elect()

    async def stop(self) -> None:
        self.running = False

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(self.members)

    def client(self, timeout_s: float) -> FakeClient:
        return FakeClient(self, timeout_s, None)

    async def observe(self, *, digests: bool = False) -> Sequence[NodeSample]:
        self.turn()
        await asyncio.sleep(0.001)
        return [self._sample(node, digests) for node in self.members.values()]

    async def kill(self, names: Sequence[str]) -> None:
        self.told.append(f"kill {','.join(names)}")
        if "forgets" in self.bugs and len(names) == len(self.members):
            self._forget()
        for name in names:
            self.die(self.members[name])

    async def terminate(self, names: Sequence[str]) -> None:
        self.told.append(f"stop {','.join(names)}")
        for name in names:
            self.die(self.members[name])

    async def launch(self, names: Sequence[str]) -> None:
        for name in names:
            if self.members[name].process == "dead" and name not in self.strangers:
                self.members[name].process = "running"

    async def pause(self, names: Sequence[str]) -> None:
        self.told.append(f"pause {','.join(names)}")
        for name in names:
            if self.members[name].process == "running":
                self.members[name].process = "paused"

    async def resume(self, names: Sequence[str]) -> None:
        for name in names:
            if self.members[name].process == "paused":
                self.members[name].process = "running"
                if "crash" in self.bugs:
                    self.wrong.append(f"{name} logged: AssertionError")

    def crashes(self) -> Sequence[str]:
        return self.wrong

    # ---- Network

    async def cut(self, links: Sequence[Link]) -> None:
        self.cuts = frozenset(links)

    async def shape(self, shapes: Mapping[Link, Shape]) -> None:
        self.shapes = dict(shapes)

    async def heal(self) -> None:
        self.cuts, self.shapes = frozenset(), {}

    async def passes(self, links: Sequence[Link]) -> Mapping[Link, bool | None]:
        return {link: link not in self.cuts for link in links}

    # ---- inside

    def turn(self) -> None:
        """What happened since the last look: elections, replication, discoveries of a newer term."""
        now = asyncio.get_running_loop().time()
        if self.leader is not None and not self._supported(self.leader):
            self.leader, self._leaderless_s = None, now
        if self.leader is None and now - (self._leaderless_s or 0.0) >= ELECTION_S:
            self._elect()
        if self.leader is None:
            return
        term = self.members[self.leader].term
        for node in self.members.values():
            if "stale read" in self.bugs and node.leads and node.name != self.leader:
                continue  # it goes on as the leader that it was
            if node.process == "running" and self._hear(node.name, self.leader):
                node.applied, node.term = len(self.log), term
                if node.name != self.leader:
                    node.leads = 0

    def _elect(self) -> None:
        able = [name for name in self.members if self._supported(name)]
        if not able:
            return
        term = 1 + max(node.term for node in self.members.values())
        self.leader = self.rng.choice(able)
        if "two leaders" in self.bugs and (
            old := [n for n in self.members.values() if n.leads and n.name != self.leader]
        ):
            term = old[0].leads
        self.members[self.leader].leads = self.members[self.leader].term = term

    def _supported(self, name: str) -> bool:
        """Whether a majority hears this node and is heard."""
        if name not in self.members or self.members[name].process != "running":
            return False
        heard = [
            other for other in self.members.values() if other.process == "running" and self._hear(other.name, name)
        ]
        return len(heard) > len(self.voters) // 2

    def _hear(self, one: str, other: str) -> bool:
        return (one, other) not in self.cuts and (other, one) not in self.cuts

    def served_by(self, node: FakeNode) -> FakeNode | None:
        """The leader that this node can ask, None if there is none."""
        self.turn()
        if self.leader is None or not self._hear(node.name, self.leader):
            return None
        return self.members[self.leader]

    @property
    def voters(self) -> tuple[str, ...]:
        return tuple(name for name in self.members if name not in self.strangers)

    def depart(self, name: str) -> None:
        """It is no voter any more, and never runs again."""
        self.strangers.add(name)
        self.die(self.members[name])

    def die(self, node: FakeNode) -> None:
        node.process, node.leads, node.fault, node.hits = "dead", 0, {}, 0

    def commit(self, key: str, value: str | None) -> Version:
        """Into the log; points may be met, bugs may happen."""
        now = asyncio.get_running_loop().time()
        self.log.append(Entry(key, value, now))
        if "twice" in self.bugs and self.every("twice"):
            asyncio.get_running_loop().call_later(0.05, lambda: self.log.append(Entry(key, value, now)))
        for node in self.members.values():
            node.hits += 1
            if node.process == "running" and node.fault.get("points", {}).get("fsync", 1 << 30) <= node.hits:
                self.die(node)
        return Version(value, len(self.log))

    def every(self, bug: str) -> bool:
        return next(self._counts.setdefault(bug, itertools.count(1))) % RARELY == 0

    def look(self, key: str, applied: int) -> Version:
        """The key's version after so many entries."""
        if applied == len(self.log):
            for index, entry in enumerate(self.log[self._indexed :], self._indexed + 1):
                self._latest[entry.key] = Version(entry.value, index if entry.value is not None else 0)
            self._indexed = applied
            return self._latest.get(key, Version(None, 0))
        for index in range(applied, 0, -1):
            if self.log[index - 1].key == key:
                value = self.log[index - 1].value
                return Version(value, index if value is not None else 0)
        return Version(None, 0)

    def _forget(self) -> None:
        now = asyncio.get_running_loop().time()
        self._latest, self._indexed = {}, 0
        self.log = [
            entry if entry.time_s < now - FORGOTTEN_S else Entry("forgotten", None, entry.time_s) for entry in self.log
        ]

    def _sample(self, node: FakeNode, digests: bool) -> NodeSample:
        if node.process != "running" or (self.leader is None and node.applied < 0):
            return NodeSample(time_s=0.0, node=node.name, process=node.process)
        hears = self.leader is not None and self._hear(node.name, self.leader)
        role = "leader" if node.leads else "follower" if hears else "candidate"
        text = repr(self.log[max(0, node.applied - 50) : node.applied])
        if "diverge" in self.bugs and node.name == "n2" and node.applied > 100:
            text += "!"
        return NodeSample(
            time_s=0.0,
            node=node.name,
            process=node.process,
            role=role,
            term=node.leads or node.term,
            leader=self.leader or "",
            commit=node.applied,
            applied=node.applied,
            last=node.applied,
            voters=self.voters,
            digest=hashlib.sha256(text.encode()).hexdigest()[:8] if digests else "",
        )


class FakeClient:
    """``only``: the one node that it talks to."""

    def __init__(self, system: FakeSystem, timeout_s: float, only: str | None) -> None:
        self.system, self.timeout_s, self.only = system, timeout_s, only
        self.node: str | None = None

    async def read(self, key: str) -> Version:
        node, leader = await self._reach(effect=False)
        if "stale read" in self.system.bugs and node.leads and node is not leader:
            return self.system.look(key, node.applied)
        found = self.system.look(key, len(self.system.log))
        await self._lag()
        return found

    async def write(self, key: str, value: str) -> Version:
        await self._reach(effect=True)
        if "lost write" in self.system.bugs and self.system.every("lost write"):
            return Version(value, len(self.system.log) + 1)
        return await self._acknowledged(self.system.commit(key, value))

    async def cas(self, key: str, expected: Version, value: str) -> Version:
        await self._reach(effect=True)
        found = self.system.look(key, len(self.system.log))
        if found.token != expected.token:
            raise Mismatch("CAS_MISMATCH", self.node)
        if "lost write" in self.system.bugs and self.system.every("lost write"):
            return Version(value, len(self.system.log) + 1)
        return await self._acknowledged(self.system.commit(key, value))

    async def delete(self, key: str) -> bool | None:
        await self._reach(effect=True)
        there = self.system.look(key, len(self.system.log)).value is not None
        if "lost delete" not in self.system.bugs or not there:
            self.system.commit(key, None)
        await self._acknowledged(Version(None, 0))
        return there

    async def close(self) -> None:
        return None

    async def _reach(self, *, effect: bool) -> tuple[FakeNode, FakeNode]:
        """A node, and the leader that it finds; raises when the time is up."""
        loop, system = asyncio.get_running_loop(), self.system
        give_up = loop.time() + self.timeout_s
        name = self.only or system.rng.choice(system.nodes)
        self.node = name
        await self._lag()
        sent = False
        while loop.time() < give_up:
            node = system.members.get(name)
            if node is None or node.process == "dead":
                if sent and effect:
                    raise Unknown("CONNECTION_LOST", name)
                raise NotApplied("UNREACHABLE", name)
            if node.process == "running":
                if "stale read" in system.bugs and node.leads and not effect:
                    return node, node if system.leader == name else FakeNode("")
                leader = system.served_by(node)
                if leader is not None and not (system.stuck and effect):
                    return node, leader
            sent = True
            await asyncio.sleep(POLL_S)
        if system.members[name].process == "paused" and effect:
            raise Unknown("TIMEOUT", name)
        raise NotApplied("NO_LEADER", name)

    async def _acknowledged(self, version: Version) -> Version:
        await self._lag()
        if self.node in self.system.members and self.system.members[self.node].process != "running":
            raise Unknown("CONNECTION_LOST", self.node)
        return version

    async def _lag(self) -> None:
        await asyncio.sleep(self.system.rng.uniform(0.001, 0.006))
