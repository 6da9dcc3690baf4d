"""Too much, too slow, too late: who is refused, and that nobody keeps a place for ever."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from dkv.api.admission import Admission
from dkv.api.limits import Limits
from dkv.errors import Busy, ShuttingDown


def test_the_places_are_counted() -> None:
    admission = Admission(Limits(in_flight_max=2, in_flight_body_bytes_max=100))
    admission.enter()
    admission.enter()
    with pytest.raises(Busy):
        admission.enter()
    admission.reserve(60)
    with pytest.raises(Busy):
        admission.reserve(41)
    admission.leave(60)
    assert (admission.in_flight, admission.body_bytes) == (1, 0)
    admission.draining = True
    with pytest.raises(ShuttingDown):
        admission.enter()
    admission.leave(0)
    with pytest.raises(AssertionError):
        admission.leave(0)


@pytest.mark.asyncio
async def test_a_full_node_says_busy_and_still_tells_how_it_is(start_edge: Any) -> None:
    async with start_edge(limits=Limits(in_flight_max=1)) as edge:
        edge.store.gate = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(edge.ask("PUT", "/v1/kv/a", "1"))
            await edge.store.entered.wait()
            busy = await edge.ask("PUT", "/v1/kv/b", "1")
            metrics = await edge.ask("GET", "/metrics")
            assert (await edge.ask("GET", "/livez")).status == 200
            edge.store.gate.set()
        assert (busy.status, busy.body["code"], busy.body["outcome"]) == (429, "BUSY", "not_applied")
        assert busy.headers["Retry-After"] == "1"
        assert b"dkv_http_requests_in_flight 1.0" in metrics.body
        assert waiting.result().status == 200
        assert (await edge.ask("PUT", "/v1/kv/b", "1")).status == 200


@pytest.mark.asyncio
async def test_large_bodies_share_a_bound_and_give_it_back(start_edge: Any) -> None:
    async with start_edge(limits=Limits(in_flight_body_bytes_max=300_000)) as edge:
        for _ in range(3):
            assert (await edge.ask("PUT", "/v1/kv/a", "x" * 200_000)).status == 200
        edge.store.gate = asyncio.Event()
        edge.store.entered.clear()
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(edge.ask("PUT", "/v1/kv/a", "x" * 200_000))
            await edge.store.entered.wait()
            busy = await edge.ask("PUT", "/v1/kv/b", "x" * 200_000)
            edge.store.gate.set()
        assert (busy.status, busy.body["code"]) == (429, "BUSY")
        assert waiting.result().status == 200


@pytest.mark.asyncio
async def test_a_draining_node_finishes_what_it_has_and_refuses_the_rest(start_edge: Any) -> None:
    async with start_edge(limits=Limits(drain_timeout_s=30.0)) as edge:
        edge.store.gate = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(edge.ask("PUT", "/v1/kv/a", "1"))
            await edge.store.entered.wait()
            edge.server.drain()
            stopping = tasks.create_task(edge.server.stop())
            refused = await edge.ask("PUT", "/v1/kv/b", "1")
            ready = await edge.ask("GET", "/readyz")
            alive = await edge.ask("GET", "/livez")
            assert not stopping.done()
            edge.store.gate.set()
        assert (refused.status, refused.body["code"], refused.body["outcome"]) == (503, "SHUTTING_DOWN", "not_applied")
        assert refused.headers["Connection"] == "close"
        assert (ready.status, ready.body["checks"]["running"]) == (503, "this node is shutting down")
        assert alive.status == 200
        assert waiting.result().status == 200


@pytest.mark.asyncio
async def test_draining_is_bounded(start_edge: Any) -> None:
    async with start_edge(limits=Limits(drain_timeout_s=0.05)) as edge:
        edge.store.gate = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(_outcome(edge.ask("PUT", "/v1/kv/a", "1")))
            await edge.store.entered.wait()
            await edge.server.stop()
        assert waiting.result() == "cut"


async def _outcome(asking: Any) -> str:
    try:
        return str((await asking).status)
    except aiohttp.ClientError:
        return "cut"


@pytest.mark.asyncio
async def test_connections_beyond_the_limit_are_closed_and_places_come_back(start_edge: Any) -> None:
    async with start_edge(limits=Limits(connections_max=1)) as edge:
        first = await asyncio.open_connection("127.0.0.1", edge.port)
        second = await asyncio.open_connection("127.0.0.1", edge.port)
        async with asyncio.timeout(30.0):
            assert await second[0].read() == b""
            first[1].write(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert (await first[0].read()).startswith(b"HTTP/1.1 200 OK")
        for _, writer in (first, second):
            writer.close()
            await writer.wait_closed()
        assert (await edge.ask("GET", "/livez")).status == 200
