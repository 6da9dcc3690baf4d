"""Clients that speak badly, slowly, or not at all: a reply where one is possible, and never a leak."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dkv.api.limits import Limits

pytestmark = pytest.mark.asyncio

GENEROUS_S = 30.0
SET = b'{"cmd": "set", "key": "a", "val": "1"}'


class Raw:
    """A connection on which anything can be said."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (lower case), body."""
        async with asyncio.timeout(GENEROUS_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return int(head[0].split()[1]), headers, body

    async def closed(self) -> bytes:
        """Whatever else comes before the other side ends the connection."""
        async with asyncio.timeout(GENEROUS_S):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


@asynccontextmanager
async def raw(edge: Any) -> AsyncIterator[Raw]:
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            pass


GARBAGE: list[bytes] = [
    b"\x00\x01\x02\x03\r\n\r\n",
    b"hello there\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /v1/kv/\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX-Big: " + b"x" * 10_000 + b"\r\n\r\n",
    b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("data", GARBAGE, ids=range(len(GARBAGE)))
async def test_what_is_no_http_gets_a_400_and_the_door(start_edge: Any, data: bytes) -> None:
    async with start_edge() as edge:
        async with raw(edge) as connection:
            await connection.say(data)
            status, headers, body = await connection.reply()
            assert status == 400
            assert headers["connection"] == "close"
            assert json.loads(body)["code"] == "BAD_REQUEST"
            await connection.closed()
        assert not edge.store.writes
        assert (await edge.ask("GET", "/livez")).status == 200


async def test_a_declared_length_beyond_the_limit_is_refused_before_it_is_sent(start_edge: Any) -> None:
    async with start_edge(limits=Limits(drain_timeout_s=0.2)) as edge, raw(edge) as connection:
        await connection.say(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000000\r\n\r\n{")
        status, headers, body = await connection.reply()
        assert (status, json.loads(body)["code"], headers["connection"]) == (413, "TOO_LARGE", "close")


async def test_a_chunked_body_beyond_the_limit_is_refused(start_edge: Any) -> None:
    async with start_edge(limits=Limits(body_bytes_max=100_000)) as edge, raw(edge) as connection:
        await connection.say(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(11):
            await connection.say(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
        status, _, body = await connection.reply()
        assert (status, json.loads(body)["code"]) == (413, "TOO_LARGE")
        assert edge.server._admission.body_bytes == 0


async def test_a_chunked_command_is_served(start_edge: Any) -> None:
    async with start_edge() as edge, raw(edge) as connection:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        for _ in range(2):
            await connection.say(head + b"a\r\n" + SET[:10] + b"\r\n")
            await connection.say(b"%x\r\n" % (len(SET) - 10) + SET[10:] + b"\r\n0\r\n\r\n")
            assert (await connection.reply())[0] == 200
        assert len(edge.store.writes) == 2


async def test_a_misframed_body_is_400(start_edge: Any) -> None:
    async with start_edge() as edge:
        async with raw(edge) as connection:
            await connection.say(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            await connection.say(b"zz\r\nnonsense\r\n")
            status, _, body = await connection.reply()
            assert (status, json.loads(body)["code"]) == (400, "BAD_REQUEST")
            await connection.closed()
        assert not edge.store.writes


async def test_a_body_that_does_not_come_is_408(start_edge: Any) -> None:
    async with start_edge(limits=Limits(body_timeout_s=0.05)) as edge, raw(edge) as connection:
        await connection.say(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
        status, headers, body = await connection.reply()
        document = json.loads(body)
        assert (status, document["code"], document["outcome"]) == (408, "REQUEST_TIMEOUT", "not_applied")
        assert headers["connection"] == "close"
        assert edge.server._admission.in_flight == 0


async def test_a_client_that_leaves_in_the_middle_of_its_body_frees_its_place(start_edge: Any) -> None:
    async with start_edge() as edge:
        async with raw(edge) as connection:
            await connection.say(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n{")
            await _until(lambda: edge.server._admission.in_flight == 1)
        await _until(lambda: edge.server._admission.in_flight == 0)
        assert edge.server._admission.body_bytes == 0
        assert not edge.store.writes


async def test_a_header_that_does_not_come_closes_the_connection(start_edge: Any) -> None:
    async with start_edge(limits=Limits(keepalive_timeout_s=0.05)) as edge:
        async with raw(edge) as connection:
            await connection.say(b"GET / HT")
            assert await connection.closed() == b""
        async with raw(edge) as connection:
            assert await connection.closed() == b""
        async with raw(edge) as connection:
            await connection.say(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await connection.reply())[0] == 200
            assert await connection.closed() == b""


async def test_a_client_that_does_not_read_is_dropped(start_edge: Any) -> None:
    async with start_edge(limits=Limits(write_timeout_s=0.05)) as edge:
        await edge.ask("PUT", "/v1/kv/a", "x" * 2**20)
        async with raw(edge) as connection:
            await connection.say(b"GET /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n" * 30)
            await _until(lambda: len(edge.store.reads) >= 1)
            await _until(lambda: len(edge.server._server.connections) <= 1)
        assert len(edge.store.reads) < 30


async def test_pipelined_requests_are_answered_in_order(start_edge: Any) -> None:
    async with start_edge() as edge, raw(edge) as connection:
        request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(SET), SET)
        await connection.say(request * 5)
        revisions = [json.loads((await connection.reply())[2])["revision"] for _ in range(5)]
        assert revisions == [11, 12, 13, 14, 15]


async def test_http_1_0_and_connection_close(start_edge: Any) -> None:
    async with start_edge() as edge:
        for head, kept in (
            (b"GET /livez HTTP/1.0\r\n\r\n", False),
            (b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", False),
            (b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True),
        ):
            async with raw(edge) as connection:
                await connection.say(head)
                status, headers, _ = await connection.reply()
                assert (status, headers["connection"]) == (200, "keep-alive" if kept else "close")
                if not kept:
                    assert await connection.closed() == b""


async def test_expect_100_continue(start_edge: Any) -> None:
    async with start_edge() as edge, raw(edge) as connection:
        await connection.say(
            b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(SET)
        )
        assert (await connection.reply())[0] == 100
        await connection.say(SET)
        assert (await connection.reply())[0] == 200


async def test_an_absolute_target(start_edge: Any) -> None:
    async with start_edge() as edge, raw(edge) as connection:
        await connection.say(b"GET http://elsewhere/livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await connection.reply())[0] == 200


async def _until(condition: Any) -> None:
    async with asyncio.timeout(GENEROUS_S):
        while not condition():  # noqa: ASYNC110 - what is waited for happens inside aiohttp
            await asyncio.sleep(0.005)
