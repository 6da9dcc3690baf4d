"""The clients of a plan: each does its own operations at their times, one after the other.

Open loop: a client that is late does the next one at once and skips nothing; how late is counted. What is not begun
when the clients' time is over stays undone, and is counted too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf

from harness.history.events import Event, EventType
from harness.plan.plan import Operation
from harness.systems.base import Client
from harness.workloads.deeds import Known, perform
from harness.workloads.recorder import Actor, Recorder

LATE_S = 0.1
"""From here on an operation counts as late."""
IMPATIENT_EVERY, IMPATIENT_S = 3, 0.3
"""Every third client gives up long before an election is over, and finds the new leader while others wait."""
NODE_READ_EVERY_S, NODE_READ_PATIENCE_S = 0.1, 0.1
"""Between two reads at a node: a rest, and then until the next write is acknowledged, but no longer than this."""
NODE_READ_KEYS = 3
"""Every second read is of the key that was just written, the others of those that were used last."""


@dataclass
class Punctuality:
    """How well the plan's times were kept."""

    begun: int = 0
    succeeded: int = 0
    late: int = 0
    latest_s: float = 0.0
    undone: int = 0


@dataclass
class Clients:
    """``client``: makes one of this patience, which talks to all nodes. ``end_s``: nothing is begun after it."""

    recorder: Recorder
    workload: str
    client: Callable[[float], Client]
    timeout_s: float
    end_s: float
    known: Known = field(default_factory=Known)
    punctuality: Punctuality = field(default_factory=Punctuality)

    async def run(self, operations: Sequence[Operation]) -> None:
        """All clients, until every one has done its list or the time is over."""
        lists: dict[int, list[Operation]] = {}
        for operation in operations:
            lists.setdefault(operation.client, []).append(operation)
        async with asyncio.TaskGroup() as group:
            for mine in lists.values():
                group.create_task(self._work(mine))

    async def _work(self, operations: Sequence[Operation]) -> None:
        impatient = operations[0].client % IMPATIENT_EVERY == IMPATIENT_EVERY - 1
        client = self.client(min(IMPATIENT_S, self.timeout_s) if impatient else self.timeout_s)
        actor = self.recorder.actor()
        try:
            for place, operation in enumerate(operations):
                if (early_s := operation.time_s - self.recorder.clock()) > 0:
                    await asyncio.sleep(early_s)
                if self.recorder.clock() >= self.end_s:
                    self.punctuality.undone += len(operations) - place
                    break
                self._note(-early_s)
                end = await perform(operation, self.workload, client, actor, self.known)
                self.punctuality.succeeded += end is EventType.OK
        finally:
            await client.close()

    def _note(self, late_s: float) -> None:
        self.punctuality.begun += 1
        self.punctuality.late += late_s > LATE_S
        self.punctuality.latest_s = max(self.punctuality.latest_s, late_s)


@dataclass
class News:
    """A listener of the history: ``key`` is the one whose change was acknowledged last; who waits is told at once."""

    key: str = ""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, event: Event) -> None:
        if event.type is EventType.OK and event.f != "read" and event.key is not None:
            self.key = event.key
            self._changed.set()  # who waits goes on, though
            self._changed.clear()  # nobody who comes later finds it set

    async def wait(self, seconds: float) -> None:
        """Until the next one, no longer than ``seconds``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()


@dataclass
class NodeReads:
    """Reads at one node each, recorded: when a paused node wakes, and of every key everywhere at the end."""

    recorder: Recorder
    workload: str
    client_at: Callable[[str], Client]
    known: Known

    async def read(self, node: str, keys: Sequence[str], give_up_s: float = inf) -> list[str]:
        """Read each of ``keys`` at ``node``, none after ``give_up_s``. Returns those that could not be read."""
        client, actor = self.client_at(node), self.recorder.actor()
        try:
            return [
                key for key in keys if self.recorder.clock() >= give_up_s or not await self._read(key, client, actor)
            ]
        finally:
            await client.close()

    async def keep_reading(
        self,
        nodes: Callable[[], Sequence[str]],
        keys: Callable[[], Sequence[str]],
        end_s: float,
        news: News | None = None,
    ) -> None:
        """At every node, one read after the other, until ``end_s``: whoever is cut off, or wakes, is asked too."""
        known, news = set[str](), news or News()
        async with asyncio.TaskGroup() as group:
            while self.recorder.clock() < end_s:
                for node in nodes():
                    if node not in known:
                        known.add(node)
                        group.create_task(self._keep_reading_at(node, nodes, keys, end_s, news))
                await asyncio.sleep(NODE_READ_EVERY_S)

    async def _keep_reading_at(
        self,
        node: str,
        nodes: Callable[[], Sequence[str]],
        keys: Callable[[], Sequence[str]],
        end_s: float,
        news: News,
    ) -> None:
        client, actor = self.client_at(node), self.recorder.actor()
        turn = 0
        try:
            while self.recorder.clock() < end_s and node in nodes():
                await asyncio.sleep(NODE_READ_EVERY_S)
                await news.wait(NODE_READ_PATIENCE_S)
                if recent := keys()[-NODE_READ_KEYS:]:
                    turn += 1
                    key = news.key if turn % 2 and news.key else recent[turn % len(recent)]
                    await self._read(key, client, actor)
        finally:
            await client.close()

    async def _read(self, key: str, client: Client, actor: Actor) -> bool:
        operation = Operation(0.0, 0, "read", key)
        return await perform(operation, self.workload, client, actor, self.known) is EventType.OK
