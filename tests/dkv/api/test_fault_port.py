"""The fault port, over HTTP as the testbed speaks to it."""

from __future__ import annotations

import json
import random
import socket

import aiohttp
import pytest
import pytest_asyncio

from dkv.api.fault_port import BODY_BYTES_MAX, FaultPort
from dkv.errors import StartupError
from dkv.faults.state import Faults


class Port:
    def __init__(self, faults, port, session):
        self.faults, self._base, self._session = faults, f"http://127.0.0.1:{port}", session

    async def ask(self, method, path, body=None, **more):
        data = body if isinstance(body, bytes) or body is None else json.dumps(body)
        async with self._session.request(method, self._base + path, data=data, **more) as reply:
            assert reply.content_type == "application/json"
            return reply.status, await reply.json()


@pytest_asyncio.fixture
async def port():
    faults = Faults(random.Random(0))
    server = FaultPort(faults)
    number = await server.start(0)
    async with aiohttp.ClientSession() as session:
        yield Port(faults, number, session)
    await server.stop()


@pytest.mark.asyncio
async def test_set_look_and_heal(port) -> None:
    status, healthy = await port.ask("GET", "/faults")
    assert status == 200
    assert set(healthy) == {"links", "clock", "disk", "points", "hits", "effects"}
    assert healthy["links"] == healthy["points"] == healthy["effects"] == {}
    links = {"n2": {"send": {"cut": True}}}
    assert (await port.ask("PUT", "/faults/links", links))[1]["links"] == links
    assert port.faults.links.is_cut("n2")
    clock = (await port.ask("PUT", "/faults/clock", {"monotonic": {"jump_s": 5, "rate": 2}}))[1]["clock"]
    assert clock["monotonic"]["rate"] == 2.0
    disk = (await port.ask("PUT", "/faults/disk", {"full": True}))[1]["disk"]
    assert disk["full"] is True
    points = (await port.ask("PUT", "/faults/points", {"fsync": {"kill_at": 3}}))[1]["points"]
    assert points == {"fsync": {"kill_at": 3}}
    status, healed = await port.ask("DELETE", "/faults")
    assert status == 200
    assert (healed["links"], healed["points"], healed["disk"]) == ({}, {}, healthy["disk"])
    assert healed["clock"]["monotonic"]["rate"] == 1.0
    assert healed["clock"]["monotonic"]["offset_s"] > 4.9, "what was gained stays: to take it back would be a jump"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "sentence"),
    [
        ("PUT", "/faults/links", {"n2": {"cut": True}}, 400, "BAD_REQUEST", "unknown field `cut`"),
        ("PUT", "/faults/links", [], 400, "BAD_REQUEST", "takes a JSON object"),
        ("PUT", "/faults/links", b"{", 400, "BAD_REQUEST", "is no JSON"),
        ("PUT", "/faults/links", b"\xff", 400, "BAD_REQUEST", "is no JSON"),
        ("PUT", "/faults/clock", {"wall": {"rate": 0}}, 400, "BAD_REQUEST", "No fault was changed"),
        ("PUT", "/faults/disk", {"fire": True}, 400, "BAD_REQUEST", "fire"),
        ("PUT", "/faults/points", {"nowhere": {"kill_at": 1}}, 400, "BAD_REQUEST", "nowhere"),
        ("PUT", "/faults/links", b" " * (BODY_BYTES_MAX + 1), 413, "TOO_LARGE", "No fault was changed"),
        ("GET", "/faults/links", None, 405, "METHOD_NOT_ALLOWED", "has PUT"),
        ("POST", "/faults", None, 405, "METHOD_NOT_ALLOWED", "GET and DELETE"),
        ("GET", "/", None, 404, "ROUTE_NOT_FOUND", "/faults/links"),
        ("PUT", "/faults/weather", {}, 404, "ROUTE_NOT_FOUND", "/faults/disk"),
    ],
)
async def test_refusals(port, method, path, body, status, code, sentence) -> None:
    before = (await port.ask("GET", "/faults"))[1]["links"]
    got, document = await port.ask(method, path, body)
    assert (got, document["code"], document["outcome"]) == (status, code, "not_applied")
    assert sentence in document["error"]
    assert (await port.ask("GET", "/faults"))[1]["links"] == before


@pytest.mark.asyncio
async def test_a_web_page_cannot_reach_it_by_another_name(port) -> None:
    status, document = await port.ask("DELETE", "/faults", headers={"Host": "evil.example"})
    assert (status, document["code"]) == (400, "BAD_REQUEST")


@pytest.mark.asyncio
async def test_a_port_that_is_taken_is_a_clear_error() -> None:
    server = FaultPort(Faults(random.Random(0)))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(StartupError, match="--fault-port: cannot listen"):
            await server.start(taken.getsockname()[1])
        await server.stop()
