"""Looks that are asked for at the same time: what was said first is heard first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from harness.chaos.observer import Observer
from harness.faults.links import Links
from harness.faults.world import World
from harness.history.records import NodeSample
from tests.harness.fake_system import FakeSystem
from tests.harness.virtual_time import run


class Overtaken(FakeSystem):
    """Its answers come the later the earlier they were asked for."""

    asked = 0

    async def observe(self, *, digests: bool = False) -> Sequence[NodeSample]:
        self.asked += 1
        said = NodeSample(time_s=0.0, node="n1", process="running", role="follower", term=self.asked)
        await asyncio.sleep(1.0 / self.asked)
        return [said]


def test_an_older_word_never_comes_behind_a_newer_one() -> None:
    async def body() -> list[int]:
        system, terms = Overtaken(3, 1), list[int]()
        world = World(system, Links(None))
        observer = Observer(world, world.clock, lambda sample: terms.append(sample.term), lambda: None)
        await asyncio.gather(*(observer.look(digests=False) for _ in range(3)))
        assert not observer.safety.violations
        return terms

    assert run(body()) == [1, 2, 3]
