"""Looks at every node again and again: samples for the file, the view for faults, safety for the verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from harness.chaos.safety import Safety
from harness.errors import HarnessError
from harness.faults.targets import View
from harness.faults.world import World
from harness.history.records import NodeSample

LOOK_S = 0.25
"""Between two looks: elections take longer."""


@dataclass
class Observer:
    """``clock``: the run's. ``record`` takes the lines of nodes.jsonl, ``looked`` is called after each look."""

    world: World
    clock: Callable[[], float]
    record: Callable[[NodeSample], None]
    looked: Callable[[], None]
    safety: Safety = field(default_factory=Safety)
    looks: int = 0
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self.look(digests=True)
            await asyncio.sleep(LOOK_S)

    async def look(self, *, digests: bool) -> Sequence[NodeSample]:
        """Once, now. Looks follow each other: what a node said earlier must not be heard later."""
        async with self._one_at_a_time:
            return await self._look(digests=digests)

    async def _look(self, *, digests: bool) -> Sequence[NodeSample]:
        self.looks += 1
        began, lives = self.clock(), self.world.lives.copy()
        at_s = self.world.clock()
        try:
            seen = await self.world.system.observe(digests=digests)
        except HarnessError:
            return ()  # the supervisor is busy ending or starting; the next look is soon
        now = self.clock()
        samples = [msgspec.structs.replace(sample, time_s=now) for sample in seen]
        for sample in samples:
            self.record(sample)
            if self.world.lives[sample.node] == lives[sample.node]:  # else nobody knows which process said so
                self.safety.feed(sample, lives[sample.node])
        if self.world.view.at_s <= at_s:
            self.world.view = View(tuple(s.node for s in samples), {s.node: s for s in samples}, at_s)
        assert now >= began, "the run's clock went backwards"
        self.looked()
        return samples
