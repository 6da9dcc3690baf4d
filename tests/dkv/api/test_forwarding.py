"""Requests that a follower passes on: once, one hop, within the deadline, with an honest outcome."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dkv.api.server import OnFollower
from dkv.errors import LeaderHint, NotLeader

pytestmark = pytest.mark.asyncio


def follow(edge: Any, rest: str) -> None:
    """Make a node say that n9 at ``rest`` leads."""
    edge.store.fail = NotLeader("This node follows.", leader=LeaderHint("n9", rest))


@asynccontextmanager
async def stranger(script: Any) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that reads one request per connection and does as ``script(writer)`` says; what it read."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"content-length: (\d+)", head.lower())
                await reader.readexactly(int(length[1]) if length else 0)
                seen.append(head)
                if not await script(writer, len(seen)):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", seen


async def test_forward_answers_as_the_leader_does(start_edge: Any) -> None:
    async with start_edge() as leader, start_edge() as follower:
        leader.store.name = "n9"
        follow(follower, leader.rest)
        answer = await follower.ask("PUT", "/v1/kv/a%2Fb?forward=1&cas=0", "1", Idempotency_Key="k", X_Request_Id="r1")
        missing = await follower.ask("GET", "/v1/kv/x?level=weak&forward")
        batch = await follower.ask("POST", "/?forward=1", [{"cmd": "set", "key": "c", "val": "1"}])
        large = await follower.ask("PUT", "/v1/kv/l?forward=1", "x" * 2**20)
        (command,) = leader.store.writes[0]
    assert (answer.status, answer.body["revision"]) == (200, 11)
    assert (command.key, command.cas, command.id) == ("a/b", 0, "k")
    assert answer.headers["X-DKV-Node"] == "n9"
    assert answer.headers["X-Request-Id"] == "r1"
    assert (missing.status, missing.body["code"]) == (404, "KEY_NOT_FOUND")
    assert batch.status == 200
    assert large.status == 200


async def test_a_node_can_be_told_to_forward_always(start_edge: Any) -> None:
    async with start_edge() as leader, start_edge(on_follower=OnFollower.FORWARD) as follower:
        follow(follower, leader.rest)
        follower.operations.fail = follower.store.fail
        assert (await follower.ask("PUT", "/v1/kv/a", "1")).status == 200
        assert (await follower.ask("PUT", "/v1/kv/a?forward=0", "1")).status == 307
        assert (await follower.ask("POST", "/leave")).status == 307
        assert leader.operations.calls == []


async def test_at_most_one_hop(start_edge: Any) -> None:
    async with start_edge() as third, start_edge(on_follower=OnFollower.FORWARD) as second, start_edge() as first:
        follow(second, third.rest)
        follow(first, second.rest)
        answer = await first.ask("PUT", "/v1/kv/a?forward=1", "1")
        assert (answer.status, answer.body["code"]) == (307, "NOT_LEADER")
        assert answer.headers["Location"] == f"http://{third.rest}/v1/kv/a?forward=1"
        assert not third.store.writes


async def test_a_leader_that_cannot_be_reached_means_not_applied(start_edge: Any, unused_tcp_port: int) -> None:
    async with start_edge() as follower:
        follow(follower, f"127.0.0.1:{unused_tcp_port}")
        answer = await follower.ask("PUT", "/v1/kv/a?forward=1", "1")
    assert (answer.status, answer.body["code"], answer.body["outcome"]) == (503, "NO_LEADER", "not_applied")
    assert answer.body["retryable"] is True


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_connection_that_is_cut_after_sending_means_unknown_and_is_not_repeated(
    start_edge: Any, method: str
) -> None:
    async def first_answers_then_cuts(writer: asyncio.StreamWriter, count: int) -> bool:
        if count == 1:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
            await writer.drain()
        return count == 1

    async with stranger(first_answers_then_cuts) as (rest, seen), start_edge() as follower:
        follow(follower, rest)
        body = "1" if method == "PUT" else None
        assert (await follower.ask(method, "/v1/kv/a?forward=1", body)).status == 200
        answer = await follower.ask(method, "/v1/kv/a?forward=1", body)
        assert (answer.status, answer.body["code"], answer.body["outcome"]) == (503, "LEADERSHIP_LOST", "unknown")
        assert len(seen) == 2


async def test_a_reply_that_breaks_off_means_unknown(start_edge: Any) -> None:
    async def half(writer: asyncio.StreamWriter, count: int) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n{")
        await writer.drain()
        return False

    async with stranger(half) as (rest, _), start_edge() as follower:
        follow(follower, rest)
        answer = await follower.ask("PUT", "/v1/kv/a?forward=1", "1")
    assert (answer.status, answer.body["outcome"]) == (503, "unknown")


async def test_a_leader_that_is_silent_means_unknown_at_the_deadline(start_edge: Any) -> None:
    async def silent(writer: asyncio.StreamWriter, count: int) -> bool:
        return True

    async with stranger(silent) as (rest, seen), start_edge() as follower:
        follow(follower, rest)
        answer = await follower.ask("PUT", "/v1/kv/a?forward=1", "1", X_DKV_Timeout="300ms")
        assert (answer.status, answer.body["code"], answer.body["outcome"]) == (504, "TIMEOUT", "unknown")
        timeout = next(line for line in seen[0].split(b"\r\n") if line.lower().startswith(b"x-dkv-timeout"))
        assert 0.0 < float(timeout.split(b": ")[1]) < 0.3
