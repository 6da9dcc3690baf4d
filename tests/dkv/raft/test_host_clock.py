"""The turn's timer under a clock that lies: it rings when the *node's* time has come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from dkv.clock import MonotonicClock
from dkv.faults.clock import ClockFaults
from dkv.metrics import Metrics
from dkv.raft.host import Host


class Sleeper:
    """A group that wants nothing but one turn at ``due``."""

    group = 1

    def __init__(self) -> None:
        self.due = float("inf")
        self.ticks = 0

    def tick(self) -> None:
        self.ticks += 1

    def next_timer(self) -> float:
        return self.due

    def take_early_messages(self) -> list[Any]:
        return []

    def take_messages(self) -> list[Any]:
        return []

    def settle(self) -> None: ...

    def more_to_do(self) -> bool:
        return False

    # as its own source
    def hand_over(self, replica: Any) -> None: ...

    def refuse(self, error: Any) -> None: ...


class Source(Sleeper):
    def next_timer(self, replica: Any = None) -> float:  # type: ignore[override]
        return float("inf")


class Disk:
    def commit(self) -> None: ...

    def low_on_space(self) -> bool:
        return False


class Scene:
    def __init__(self) -> None:
        self.faults = ClockFaults()
        self.sleeper = Sleeper()
        self.host = Host(
            storage=Disk(),
            send=lambda node, frames: None,
            clock=self.faults.monotonic,
            metrics=Metrics("0"),
            die=lambda error: pytest.fail(str(error)),  # type: ignore[arg-type, return-value]
        )
        self.faults.on_change.append(self.host.clock_changed)
        self.host.add(self.sleeper, Source())  # type: ignore[arg-type]

    async def until(self, fact: Callable[[], bool]) -> float:
        """Real seconds that it took."""
        real = MonotonicClock()
        began = real.now()
        async with asyncio.timeout(30):
            while not fact():  # noqa: ASYNC110 - facts of a host that tells nobody
                await asyncio.sleep(0.001)
        return real.now() - began

    async def sleep_until(self, ahead_s: float) -> None:
        """The sleeper wants a turn in so many of the node's seconds; the timer for it is set."""
        self.sleeper.due = self.faults.monotonic.now() + ahead_s
        await self.turn()

    async def turn(self) -> None:
        ticks = self.sleeper.ticks
        self.host.wake()
        await self.until(lambda: self.sleeper.ticks > ticks)
        assert self.host._timer is not None or self.sleeper.due == float("inf")

    def rings(self) -> bool:
        """The sleeper's time has come, and it had its turn."""
        return self.faults.monotonic.now() >= self.sleeper.due and self.sleeper.ticks > self.ticks

    def start_counting(self) -> None:
        self.ticks = self.sleeper.ticks


@pytest_asyncio.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    await scene.turn()
    yield scene
    await scene.host.stop()


@pytest.mark.asyncio
async def test_a_jump_makes_due_what_lay_hours_ahead(scene: Scene) -> None:
    await scene.sleep_until(10_000.0)
    scene.start_counting()
    scene.faults.set({"monotonic": {"jump_s": 10_001.0}})
    await scene.until(scene.rings)


@pytest.mark.asyncio
async def test_a_fast_clock_wakes_early_also_when_the_timer_was_set_before(scene: Scene) -> None:
    await scene.sleep_until(200.0)
    scene.start_counting()
    scene.faults.set({"monotonic": {"rate": 100.0}})
    await scene.until(scene.rings)


@pytest.mark.asyncio
async def test_a_slow_clock_wakes_late(scene: Scene) -> None:
    scene.faults.set({"monotonic": {"rate": 0.1}})
    await scene.sleep_until(0.02)
    scene.start_counting()
    assert await scene.until(scene.rings) > 0.15


@pytest.mark.asyncio
async def test_a_jump_back_stops_the_clock_and_the_timer_waits_for_it(scene: Scene) -> None:
    await scene.sleep_until(0.05)
    scene.start_counting()
    scene.faults.set({"monotonic": {"jump_s": -0.3}})
    assert await scene.until(scene.rings) > 0.2
