"""The rules of ``LinkFaults`` for gossip: what is sent to a peer and what comes from it, by its name.

Datagrams find their peer's name by address. A connection comes from any port: where several members share a host its
first message has to say whose it is. A ping names its sender, and our nodes put themselves first in what they tell of
the members. Law: a cut is silence. Datagrams are lost in it, streams wait for its end or their deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from dkv.faults.links import Direction, Lane, LinkFaults
from dkv.faults.pipe import Kind
from dkv.gossip.wire.messages import Ping
from dkv.gossip.wire.particulars import Address
from dkv.gossip.wire.push_pull import PushPull
from dkv.gossip.wire.streams import StreamMessage

if TYPE_CHECKING:
    import random

NAMES_MAX: Final = 4096
"""Addresses whose names are remembered, those of members that moved or were forgotten among them."""

HELD_BYTES_MAX: Final = 4 * 1024 * 1024
"""On one lane: a slow one loses what is more, as a router's queue does."""


class FaultyLinks:
    """Those of one member."""

    def __init__(self, faults: LinkFaults, rng: random.Random) -> None:
        self._faults, self._rng = faults, rng
        self._names: dict[Address, str] = {}
        self._lanes: dict[tuple[str, Direction], Lane] = {}

    def know(self, addresses: Mapping[str, Address]) -> None:
        """Who is where, by name."""
        for name, address in addresses.items():
            if self._names.get(address) != name:
                self._names[address] = name
        while len(self._names) > NAMES_MAX:
            del self._names[next(iter(self._names))]

    def name_at(self, address: Address) -> str | None:
        """None: nobody that we know."""
        return self._names.get(address)

    def sender_of(self, request: StreamMessage, source: Address) -> str | None:
        """Who made a request over TCP; None: nobody that we know."""
        here = {name for address, name in self._names.items() if address.host == source.host}
        if len(here) == 1:
            return here.pop()
        match request:
            case Ping(source_node=name) if name:
                return name
            case PushPull(nodes=(first, *_)):
                return first.node
        return None

    # --- datagrams ----------------------------------------------------------------------------------------------------

    def send(self, send: Callable[[bytes, Address], None], data: bytes, address: Address) -> None:
        """``send(data, address)``: now, later, twice or never."""
        self._put(Direction.SEND, address, partial(send, data, address), len(data))

    def receive(self, take: Callable[[bytes, Address], None], data: bytes, source: Address) -> None:
        """``take(data, source)``, likewise."""
        self._put(Direction.RECEIVE, source, partial(take, data, source), len(data))

    def close(self) -> None:
        """What is still under way is lost."""
        for lane in self._lanes.values():
            self._faults.close_lane(lane)
        self._lanes.clear()

    def _put(self, direction: Direction, address: Address, call: Callable[[], None], size_bytes: int) -> None:
        name = self._names.get(address)
        if name is None:
            call()
            return
        lane = self._lanes.get((name, direction))
        if lane is None:
            lane = self._lanes[name, direction] = self._faults.lane(name, direction)
        if not lane.is_cut and lane.waiting_bytes <= HELD_BYTES_MAX:
            lane.put(call, size_bytes, Kind.MESSAGE)

    # --- streams ------------------------------------------------------------------------------------------------------

    async def pass_out(self, name: str | None, size_bytes: int) -> None:
        """Before ``size_bytes`` are sent to a peer."""
        await self._pass(name, Direction.SEND, size_bytes)

    async def pass_in(self, name: str | None, size_bytes: int) -> None:
        """After they came from it, before anybody reads them."""
        await self._pass(name, Direction.RECEIVE, size_bytes)

    async def _pass(self, name: str | None, direction: Direction, size_bytes: int) -> None:
        if name is None:
            return
        shape = self._faults.shape(name, direction)
        delay_s = shape.delay_s + shape.jitter_s * self._rng.random()
        if shape.rate_bytes_s is not None:
            delay_s += size_bytes / shape.rate_bytes_s
        if delay_s:
            await asyncio.sleep(delay_s)
        await self._faults.passage(name)
