"""Our own generators, as processes, against servers that answer as they are told."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from harness.bench import openloop, zookeeper_load
from harness.bench.dialects import LINEARIZABLE, DkvDialect
from harness.bench.filling import fill
from harness.bench.http_link import connect
from harness.bench.measurements import Cell
from harness.bench.traffic import Traffic, generate
from harness.bench.zookeeper_wire import ZooKeeperDialect
from harness.errors import HarnessError
from tests.harness.bench.test_wrk import Server, served


def http_load(keys: int = 10) -> Traffic:
    return generate(Cell(operation="set", target="leader", connections=4, keys=keys), DkvDialect(), random.Random(1))


@pytest.mark.asyncio
async def test_an_open_loop_sends_what_was_intended() -> None:
    server, address = await served()
    async with server:
        counted = await openloop.load([address], 4, http_load(), 1.0, 200)
    assert (counted.completed, counted.failed) == (200, 0)
    assert Server.seen.total() == counted.latencies.total == 200
    assert set(Server.seen.values()) == {20}


@pytest.mark.asyncio
async def test_an_open_loop_counts_refusals() -> None:
    server, address = await served(refuse_every=4)
    async with server:
        counted = await openloop.load([address], 4, http_load(), 1.0, 200)
    assert (counted.completed, counted.failed) == (150, 50)


@pytest.mark.asyncio
async def test_an_open_loop_that_reaches_nobody_says_so() -> None:
    with pytest.raises(HarnessError, match="no load"):
        await openloop.load(["127.0.0.1:1"], 1, http_load(), 1.0, 10)


@pytest.mark.asyncio
async def test_a_pause_of_the_server_is_felt_by_all_who_came_meanwhile() -> None:
    """Its first answer takes half a second, on its only connection: a closed loop would tell of one slow answer."""
    loop = asyncio.get_running_loop()

    class Slow(Server):
        def data_received(self, data: bytes) -> None:
            pause_s = 0.0 if Server.seen else 0.5
            loop.call_later(pause_s, super().data_received, data) if pause_s else super().data_received(data)

    Server.seen.clear()
    Server.refuse_every = 0
    server = await loop.create_server(Slow, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server:
        counted = await openloop.load([f"{host}:{port}"], 1, http_load(), 1.0, 200)
    felt = sum(count for value, count in counted.latencies.counts.items() if value > 100_000)
    assert counted.completed == 200
    assert felt >= 75, "those of the first 400 ms had to wait for 100 ms and more"


@pytest.mark.asyncio
async def test_filling_sends_each_request_until_it_is_taken() -> None:
    server, address = await served(refuse_every=5)
    requests = http_load(keys=30).requests
    async with server:
        await fill(address, requests)
    assert set(Server.seen) == {request.body for request in requests}


@pytest.mark.asyncio
async def test_a_link_tells_of_its_loss() -> None:
    told: asyncio.Queue[int] = asyncio.Queue()
    server, address = await served()
    async with server:
        link = await connect(address, lambda status, _: told.put_nowait(status))
        link.send(http_load().requests[0].encoded(address))
        assert await told.get() == 200
        link.close()
        assert await told.get() == 0


class ZooKeeper(asyncio.Protocol):
    """A session, then a reply to every packet, by ``answer``: the packet's kind → error."""

    answer: ClassVar[Callable[[int], int]] = staticmethod(lambda kind: 0)
    kinds: ClassVar[list[int]] = []

    def connection_made(self, transport: Any) -> None:
        self.transport, self.buffer, self.connected = transport, b"", False

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while len(self.buffer) >= 4 and len(self.buffer) >= 4 + (length := struct.unpack_from(">i", self.buffer)[0]):
            packet, self.buffer = self.buffer[4 : 4 + length], self.buffer[4 + length :]
            if not self.connected:
                self.connected = True
                self.transport.write(struct.pack(">i", 36) + b"\0" * 36)
                continue
            (kind,) = struct.unpack_from(">i", packet, 4)
            ZooKeeper.kinds.append(kind)
            self.transport.write(struct.pack(">iiqi", 16, 1, 5, ZooKeeper.answer(kind)))


async def zookeeper(answer: Callable[[int], int]) -> tuple[asyncio.Server, str]:
    ZooKeeper.answer, ZooKeeper.kinds = staticmethod(answer), []
    server = await asyncio.get_running_loop().create_server(ZooKeeper, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    return server, f"{host}:{port}"


def read_load() -> Traffic:
    cell = Cell(operation="get", target="leader", connections=4, level=LINEARIZABLE, keys=10)
    return generate(cell, ZooKeeperDialect(), random.Random(1))


@pytest.mark.asyncio
async def test_a_closed_loop_over_zookeepers_protocol() -> None:
    server, address = await zookeeper(lambda kind: 0)
    async with server:
        counted = await zookeeper_load.load([address, address], 4, read_load(), 1.0)
    syncs, reads = ZooKeeper.kinds.count(9), ZooKeeper.kinds.count(4)
    assert counted.failed == 0
    assert counted.completed == syncs == reads > 4
    assert counted.latencies.total == counted.completed


@pytest.mark.asyncio
async def test_an_error_is_a_failure_and_a_node_that_exists_is_none() -> None:
    server, address = await zookeeper(lambda kind: {4: -101, 1: -110}[kind])
    load = Traffic((ZooKeeperDialect().get("k", "none"), ZooKeeperDialect().set("new", "v")), (0, 1, 1, 0, 1))
    async with server:
        counted = await zookeeper_load.load([address], 2, load, 10.0, once=True)
    assert (counted.completed, counted.failed) == (3, 2)


@pytest.mark.asyncio
async def test_a_server_that_hangs_up_is_a_failure_and_no_hang() -> None:
    class HangUp(ZooKeeper):
        def data_received(self, data: bytes) -> None:
            if self.connected:
                self.transport.close()
            else:
                super().data_received(data)

    server = await asyncio.get_running_loop().create_server(HangUp, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server:
        counted = await zookeeper_load.load([f"{host}:{port}"], 2, read_load(), 5.0)
    assert (counted.completed, counted.failed) == (0, 2)
