"""wrk, its files, and what it counted; a real one where it is installed."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections import Counter
from typing import ClassVar

import pytest

from harness.bench import wrk
from harness.bench.dialects import DkvDialect
from harness.bench.measurements import Cell
from harness.bench.traffic import Traffic, generate
from harness.errors import HarnessError, Refused

NO_WRK = pytest.mark.skipif(shutil.which("wrk") is None, reason="no wrk on PATH (Debian: wrk)")


def report(requests: int, latencies: list[tuple[int, int]], **errors: int) -> wrk.Report:
    none = dict.fromkeys(("connect", "read", "write", "status", "timeout"), 0)
    fields = {"requests": requests, "duration_us": 1_000_000, "cpu_s": 0.25, **none, **errors}
    return wrk.Report(**fields, latencies=latencies)


@pytest.mark.parametrize(("connections", "parts"), [(1, 3), (64, 3), (256, 7), (2, 5)])
def test_connections_are_divided_evenly(connections: int, parts: int) -> None:
    shares = wrk.divided(connections, parts)
    assert (sum(shares), len(shares)) == (connections, parts)
    assert max(shares) - min(shares) <= 1


def test_several_at_once_are_one_load() -> None:
    counted = wrk.counted([report(3, [(10, 3)], status=1), report(2, [(20, 2)], timeout=1)], [1, 1, 0], 100)
    assert (counted.completed, counted.failed) == (400, 200)
    assert counted.latencies.counts == {10: 3, 20: 2}
    assert counted.cpu_s == 0.5


def test_the_traffic_file_tells_lengths_before_bytes() -> None:
    load = generate(Cell(operation="set", target="leader", connections=1, keys=2), DkvDialect(), random.Random(1))
    lines = wrk.encode(load, "h:1").split(b"\n")
    first = load.requests[0].encoded("h:1")
    assert lines[0] == b"2"
    assert int(lines[1]) == len(first)
    assert lines[-4:] == [load.requests[1].body, b"0", b"1", b""]


class Server(asyncio.Protocol):
    """Answers whole requests; every ``refuse_every``-th by a 503."""

    seen: ClassVar[Counter[bytes]] = Counter()
    refuse_every: ClassVar[int] = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            length = int(self.buffer[:end].rpartition(b"Content-Length: ")[2])
            if len(self.buffer) < end + 4 + length:
                return
            Server.seen[self.buffer[end + 4 : end + 4 + length]] += 1
            self.buffer = self.buffer[end + 4 + length :]
            refused = self.refuse_every and Server.seen.total() % self.refuse_every == 0
            status = b"503 Service Unavailable" if refused else b"200 OK"
            self.transport.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nok")


async def served(refuse_every: int = 0) -> tuple[asyncio.Server, str]:
    Server.seen, Server.refuse_every = Counter(), refuse_every
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    return server, f"{host}:{port}"


@NO_WRK
@pytest.mark.asyncio
async def test_a_real_one_sends_all_requests_in_turn_and_counts_what_it_measured() -> None:
    load = generate(Cell(operation="set", target="leader", connections=4, keys=10), DkvDialect(), random.Random(1))
    server, address = await served()
    async with server:
        counted = await wrk.load([address, address], 4, load, 1.0)
    assert counted.failed == 0
    assert counted.latencies.total == counted.completed > 10
    assert set(Server.seen) == {request.body for request in load.requests}
    counts = Server.seen.values()
    assert max(counts) - min(counts) <= 8, "in turn, two generators, four connections"
    assert 0 < counted.cpu_s < 2 * counted.duration_s


@NO_WRK
@pytest.mark.asyncio
async def test_a_refusal_is_a_failure() -> None:
    load = generate(Cell(operation="set", target="leader", connections=2, keys=10), DkvDialect(), random.Random(1))
    server, address = await served(refuse_every=4)
    async with server:
        counted = await wrk.load([address], 2, load, 1.0)
    assert counted.failed == pytest.approx((counted.failed + counted.completed) / 4, abs=3)


@NO_WRK
@pytest.mark.asyncio
async def test_nobody_there_is_an_error_and_no_load_of_nothing() -> None:
    load = Traffic((DkvDialect().set("k", "v"),), (0,))
    with pytest.raises(HarnessError, match="left no report"):
        await wrk.load(["127.0.0.1:1"], 1, load, 1.0)


def test_no_wrk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Refused, match="no program wrk"):
        wrk.find()
