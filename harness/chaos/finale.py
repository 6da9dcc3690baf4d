"""After the last fault: heal, see that it goes on, read every key at every node, wait until all nodes are equal and see
each other.

What this finds belongs to the verdict: a cluster that does not come back within the bound is broken, whatever it said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from harness.chaos import assumptions
from harness.chaos.convergence import convergence, differences, not_applicable
from harness.chaos.observer import Observer
from harness.chaos.rig import Rig
from harness.errors import HarnessError
from harness.faults.membership import agreed_voters
from harness.faults.world import World
from harness.history.events import EventType
from harness.history.records import Check, NodeSample
from harness.plan.plan import Operation, Plan
from harness.workloads.clients import NodeReads
from harness.workloads.deeds import perform
from harness.workloads.recorder import Recorder

BOUND_S = 20.0
"""From healing to equal data at all nodes, by way of a first write and of every key read at every node: five seconds on
an idle machine."""
SEEN_BOUND_S = 75.0
"""From healing until all see each other by gossip. Who was taken for dead hears of it and objects within a second or
two. The slow ways of Serf's ``local`` profile come to 63 s, one after the other: who failed long ago is called every
30 s, who does not answer is given up after 18 s, what somebody missed comes with an exchange of states, every 15 s."""
LEAST_S = 2.0
"""For each of these steps, though those before it took all the time."""
POLL_S = 0.1
HEALED_KEY = "healed"
MUTATIONS = {"register": "write", "append": "append", "set": "add", "counter": "increment"}


@dataclass
class Finale:
    """The parts of a run that it needs."""

    rig: Rig
    plan: Plan
    recorder: Recorder
    reads: NodeReads
    world: World
    observer: Observer
    bound_s: float = BOUND_S
    seen_bound_s: float = SEEN_BOUND_S
    _healing_s: float = field(default=0.0, init=False)

    async def heal(self) -> None:
        """Everything that any fault may have left. The bound begins here."""
        self._healing_s = self.recorder.clock()
        for attempts_left in (2, 1, 0):
            try:
                await self.world.heal_all()
                return
            except HarnessError:
                if not attempts_left:
                    raise
                await asyncio.sleep(POLL_S)

    def _give_up(self) -> float:
        """When a step that begins now has taken too long."""
        return max(self._healing_s + self.bound_s, self.recorder.clock() + LEAST_S)

    async def wait_write(self) -> float | None:
        """Seconds until a write was acknowledged; None if that took longer than the bound."""
        began, f = self.recorder.clock(), MUTATIONS[self.plan.workload]
        client, actor = self.rig.system.client(self.plan.timeout_s), self.recorder.actor()
        attempt, give_up = 0, self._give_up()
        try:
            while self.recorder.clock() < give_up:
                attempt += 1
                value = 1 if f == "increment" else f"healed{attempt}"
                operation = Operation(0.0, 0, f, HEALED_KEY, value)
                if await perform(operation, self.plan.workload, client, actor, self.reads.known) is EventType.OK:
                    return self.recorder.clock() - began
                await asyncio.sleep(POLL_S)
        finally:
            await client.close()
        return None

    async def wait_healthy(self) -> Sequence[NodeSample]:
        """The last samples, healthy ones unless the bound was reached."""
        give_up = self._give_up()
        while True:
            samples = await self.observer.look(digests=False)
            if assumptions.healthy("", samples).held or self.recorder.clock() > give_up:
                return samples
            await self._forget_gone()
            await asyncio.sleep(POLL_S)

    async def _forget_gone(self) -> None:
        """Who was asked to go, and is no voter any more, is gone, though whoever asked never heard of it: killed while
        it left, a node comes back as a stranger and ends at once."""
        voters = agreed_voters(self.world)
        for name in sorted(self.world.leaving.intersection(self.rig.system.nodes)):
            if voters and name not in voters:
                with suppress(HarnessError):
                    await self.world.changes.remove(name)

    async def read_all(self, keys: Sequence[str]) -> dict[str, list[str]]:
        """Every key at every node. Returns node → what it could not read until the bound."""
        nodes = self.rig.system.nodes
        unread = await asyncio.gather(*(self._read_at(node, keys) for node in nodes))
        return dict(zip(nodes, unread, strict=True))

    async def _read_at(self, node: str, keys: Sequence[str]) -> list[str]:
        give_up = self._give_up()
        left = list(keys)
        while left and self.recorder.clock() < give_up:
            left = await self.reads.read(node, left, give_up)
            if left:
                await asyncio.sleep(POLL_S)
        return left

    async def settle(self) -> Sequence[NodeSample]:
        """Samples with digests, all of one index unless the bound was reached."""
        give_up = self._give_up()
        while True:
            samples = await self.observer.look(digests=True)
            same = len({sample.applied for sample in samples}) == 1 and all(sample.role for sample in samples)
            if (samples and same) or self.recorder.clock() > give_up:
                return samples
            await asyncio.sleep(POLL_S)

    async def see_each_other(self) -> Check:
        """That gossip converges, asked until it has or its bound is reached."""
        if self.rig.gossip is None:
            return not_applicable(self.plan.system)
        give_up = max(self._healing_s + self.seen_bound_s, self.recorder.clock() + LEAST_S)
        while True:
            samples = await self.observer.look(digests=False)
            views = await self.rig.gossip.views() if samples else {}
            found, now = differences(samples, views), self.recorder.clock()
            if (samples and not found) or now > give_up:
                return convergence(found, now - self._healing_s, self.seen_bound_s)
            await asyncio.sleep(POLL_S)
