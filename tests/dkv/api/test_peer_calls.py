"""A node's own requests, when the way to another node is cut, and from which address they leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from dkv.api.egress import Egress
from dkv.api.peer_calls import PeerCalls
from dkv.clock import MonotonicClock
from dkv.errors import Timeout


@asynccontextmanager
async def peer(seen: list[str | None]) -> AsyncIterator[str]:
    """A node that answers everything; its address."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request.remote)
        return web.json_response({"done": True})

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def call(egress: Egress, rest: str, patience_s: float = 30.0) -> Any:
    clock = MonotonicClock()
    calls = PeerCalls(clock, egress)
    try:
        return await calls.call(rest, "GET", "/nodes", None, clock.now() + patience_s)
    finally:
        await calls.close()


@pytest.mark.asyncio
async def test_a_loopback_address_of_its_own_is_the_source() -> None:
    seen: list[str | None] = []
    async with peer(seen) as rest:
        assert await call(Egress(), rest) == {"done": True}
        assert await call(Egress(("127.0.0.3", 0)), rest) == {"done": True}
    assert seen == ["127.0.0.1", "127.0.0.3"]


@pytest.mark.asyncio
async def test_a_way_that_is_cut_is_waited_for_within_the_deadline() -> None:
    seen: list[str | None] = []
    way = asyncio.Event()

    async def passage(rest: str) -> None:
        await way.wait()

    async with peer(seen) as rest:
        with pytest.raises(Timeout):
            await call(Egress(passage=passage), rest, patience_s=0.1)
        assert seen == []
        waiting = asyncio.ensure_future(call(Egress(passage=passage), rest))
        await asyncio.sleep(0)
        way.set()
        assert await waiting == {"done": True}


@pytest.mark.asyncio
async def test_an_answer_is_held_by_a_cut_that_came_meanwhile() -> None:
    seen: list[str | None] = []

    async def passage(rest: str) -> None:
        if seen:
            await asyncio.Event().wait()

    async with peer(seen) as rest:
        with pytest.raises(Timeout):
            await call(Egress(passage=passage), rest, patience_s=0.5)
    assert len(seen) == 1
