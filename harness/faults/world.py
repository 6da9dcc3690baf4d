"""What a fault acts upon: the system, its links, its nodes' own seams, its members, and how it was last seen."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.errors import HarnessError, Refused
from harness.faults.links import Links
from harness.faults.targets import View
from harness.systems.base import Link, Members, System

SEEN_S = 3.0
"""For an observation newer than a fault: the observer looks twice a second, a paused node holds it up for one."""
ANSWER_S = 15.0
"""For a node that was started to answer at its fault port: a second of processor time, on a busy machine."""
POLL_S = 0.05


class Seams(Protocol):
    """The nodes' fault ports. Each call replaces what the node was told before; raises HarnessError if it is silent."""

    async def clock(self, name: str, state: Mapping[str, Any]) -> None: ...

    async def disk(self, name: str, state: Mapping[str, Any]) -> None: ...

    async def points(self, name: str, kill_at: Mapping[str, int]) -> None: ...

    async def state(self, name: str) -> Mapping[str, Any]:
        """What it was told, and ``hits`` of its points."""
        ...

    async def heal(self, name: str) -> None: ...


ReadAt = Callable[[Sequence[str]], Awaitable[None]]
"""Sends these nodes reads that the history records, and returns when they are under way."""


Press = Callable[[str, int, int], Coroutine[Any, Any, None]]
"""Sends a node so many writes of so many bytes, of which no history tells."""


async def _read_nothing(_: Sequence[str]) -> None:
    return None


async def _look_away() -> None:
    return None


async def _press_nobody(_: str, __: int, ___: int) -> None:
    return None


@dataclass
class World:
    """``view`` is kept by whoever observes; ``look`` has them observe just now.

    ``claims``: node → the fault that has it for itself. ``lives``: how many processes a node has had beside its first.
    ``leaving``: who was asked to go and has not been seen to: that may have been done, or be done yet.
    """

    system: System
    links: Links
    seams: Seams | None = None
    members: Members | None = None
    clock: Callable[[], float] = field(default=lambda: asyncio.get_running_loop().time())
    view: View = field(default_factory=View)
    read_at: ReadAt = _read_nothing
    look: Callable[[], Awaitable[object]] = _look_away
    press: Press = _press_nobody
    claims: dict[str, int] = field(default_factory=dict)
    lives: Counter[str] = field(default_factory=Counter)
    leaving: set[str] = field(default_factory=set)

    async def seen_since(self, time_s: float) -> View:
        """A view that was begun after ``time_s``, or the newest there is after SEEN_S."""
        give_up = self.clock() + SEEN_S
        while self.view.at_s < time_s and self.clock() < give_up:
            await self.sleep(POLL_S)
        return self.view

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def dead(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those that have no process now."""
        samples = {sample.node: sample for sample in await self.system.observe()}
        return tuple(name for name in names if name in samples and samples[name].process == "dead")

    async def silent(self, links: Sequence[Link]) -> bool | None:
        """Whether nothing gets over these links, by the network's own trial or word. None: nobody knows, or some are
        open again, whose end was just started and is being told."""
        if self.links.network is None or not links:
            return None
        known = {passed for passed in (await self.links.network.passes(links)).values() if passed is not None}
        return not known.pop() if len(known) == 1 else None

    async def shaped(self, links: Iterable[Link]) -> bool | None:
        """Whether the senders say that they are to do something to what they send; None: none of them answers."""
        pairs = list(links)
        states = await self._states({source for source, _ in pairs})
        words = [
            bool(states[source].get("links", {}).get(target, {}).get("send"))
            for source, target in pairs
            if source in states
        ]
        return all(words) if words else None

    async def effects(self, links: Iterable[Link]) -> dict[str, dict[str, float]]:
        """Sender → ``count`` of messages that its links did something to, since it started."""
        states = await self._states({source for source, _ in links})
        return {name: {"count": _total(state.get("effects", {}))} for name, state in states.items()}

    async def _states(self, names: Collection[str]) -> dict[str, Mapping[str, Any]]:
        """Of those that answer."""
        states: dict[str, Mapping[str, Any]] = {}
        for name in sorted(names):
            try:
                states[name] = await self.ports.state(name)
            except HarnessError:
                continue
        return states

    async def launch(self, names: Sequence[str]) -> None:
        """Start processes; when they hear again, tell them what their links do (a new process knows nothing)."""
        if not names:
            return
        self.lives.update(names)
        await self.system.launch(names)
        if self.seams is not None and (self.links.cuts or self.links.shapes):
            await self._wait_answers(names)
            await self.links.tell_again()

    @property
    def ports(self) -> Seams:
        """The seams, for a fault that needs them."""
        assert self.seams is not None, "a fault was planned for a system without fault ports"
        return self.seams

    @property
    def changes(self) -> Members:
        """The members, for a fault that needs to change them."""
        assert self.members is not None, "a fault was planned for a system whose members cannot be changed"
        return self.members

    async def require(self, name: str, told: Callable[[str], Awaitable[None]]) -> None:
        """As ``tell``, of a node that must be there: it may be just starting. Raises Refused if it has no process."""
        if not await self.tell(name, told):
            raise Refused(f"{name} has no process that could be told of a fault")

    async def tell(self, name: str, told: Callable[[str], Awaitable[None]]) -> bool:
        """``told(name)`` until the node takes it: one with a slow disk answers late. False if its process is dead."""
        give_up = self.clock() + ANSWER_S
        while True:
            try:
                await told(name)
                return True
            except HarnessError:
                if await self.dead([name]):
                    return False
                if self.clock() > give_up:
                    raise
            await self.sleep(POLL_S)

    async def _wait_answers(self, names: Sequence[str]) -> None:
        give_up = self.clock() + ANSWER_S
        for name in names:
            while self.clock() < give_up:
                try:
                    await self.ports.state(name)
                    break
                except HarnessError:
                    await asyncio.sleep(POLL_S)

    async def heal_all(self) -> None:
        """After the last fault: links, seams, paused and dead processes, whatever state the faults left."""
        await self.links.heal()
        samples = {sample.node: sample for sample in await self.system.observe()}
        await self.system.resume([name for name, sample in samples.items() if sample.process == "paused"])
        if self.seams is not None:
            for name in [name for name, sample in samples.items() if sample.process != "dead"]:
                try:
                    await self.seams.heal(name)
                except HarnessError:
                    continue  # it ended meanwhile: what it was told went with it
        await self.launch([name for name, sample in samples.items() if sample.process == "dead"])
        self.claims.clear()


def _total(effects: Mapping[str, Mapping[str, int]]) -> int:
    return sum(count for peer in effects.values() for count in peer.values())
