"""etcd's client against members that answer, refuse, break off or say nothing."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from harness.systems.base import Mismatch, NotApplied, Unknown, Version
from harness.systems.etcd import EtcdClient

TIMEOUT_S = 10.0
SHORT_S = 0.3
Answer = tuple[int, dict[str, Any]] | None | str
"""(status, document); None: breaks off; "silent": never."""

TIMED_OUT = (503, {"error": "etcdserver: request timed out", "code": 14})
NO_LEADER = (503, {"error": "etcdserver: no leader", "code": 14})
WRITTEN = (200, {"header": {"revision": "7"}})
FOUND = (200, {"kvs": [{"key": "YQ==", "mod_revision": "7", "value": "Yg=="}]})


async def told(answers: list[list[Answer]], act: Callable[[EtcdClient], Awaitable[Any]], timeout_s: float) -> Any:
    """What ``act`` returns or raises of a client whose n-th member gives ``answers[n]``, the last one again and again;
    no answers: nobody listens. And how many requests came in."""
    requests = 0
    over = asyncio.Event()

    async def serve(mine: list[Answer], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            size_bytes = next(
                int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
            )
            await reader.readexactly(size_bytes)
            requests += 1
            answer = mine.pop(0) if len(mine) > 1 else mine[0]
            if answer == "silent":
                await over.wait()
            elif isinstance(answer, tuple):
                body = json.dumps(answer[1]).encode()
                writer.write(
                    b"HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % (answer[0], len(body))
                )
                writer.write(body)
                await writer.drain()
        finally:
            writer.close()

    members, servers = [], []
    for number, mine in enumerate(answers, start=1):
        server = await asyncio.start_server(lambda r, w, mine=mine: serve(mine, r, w), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        members.append((f"n{number}", f"127.0.0.1:{port}"))
        servers.append(server)
        if not mine:
            server.close()
            await server.wait_closed()
    client = EtcdClient(members, timeout_s, random.Random(0))
    client._turn = len(members) - 1  # the next one is n1
    try:
        result: Any = await act(client)
    except (NotApplied, Unknown) as error:
        result = error
    finally:
        over.set()
        await client.close()
        for server in servers:
            server.close()
    return result, client.node, requests


def write(client: EtcdClient) -> Awaitable[Version]:
    return client.write("a", "b")


def read(client: EtcdClient) -> Awaitable[Version]:
    return client.read("a")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answers", "act", "expected"),
    [
        ([[WRITTEN]], write, (Version("b", 7), "n1", 1)),
        ([[], [WRITTEN]], write, (Version("b", 7), "n2", 1)),
        ([[NO_LEADER], [WRITTEN]], write, (Version("b", 7), "n2", 2)),
        ([[NO_LEADER, WRITTEN]], write, (Version("b", 7), "n1", 2)),
        ([[FOUND]], read, (Version("b", 7), "n1", 1)),
        ([[TIMED_OUT], [FOUND]], read, (Version("b", 7), "n2", 2)),
        ([[None], [FOUND]], read, (Version("b", 7), "n2", 2)),
    ],
)
async def test_it_goes_on_where_that_is_safe(answers: list[list[Answer]], act: Any, expected: Any) -> None:
    assert await told(answers, act, TIMEOUT_S) == expected


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answers", "act", "timeout_s", "kind", "code"),
    [
        ([[TIMED_OUT], [WRITTEN]], write, TIMEOUT_S, Unknown, "etcdserver: request timed out"),
        ([[None], [WRITTEN]], write, TIMEOUT_S, Unknown, "CONNECTION_LOST"),
        ([["silent"], [WRITTEN]], write, SHORT_S, Unknown, "TIMEOUT"),
        (
            [[(200, {"header": {}})]],
            lambda client: client.cas("a", Version("x", 3), "b"),
            TIMEOUT_S,
            Mismatch,
            "CAS_MISMATCH",
        ),
        ([[NO_LEADER]], write, SHORT_S, NotApplied, "etcdserver: no leader"),
        ([[]], write, SHORT_S, NotApplied, "UNREACHABLE"),
        ([["silent"]], read, SHORT_S, NotApplied, "TIMEOUT"),
    ],
)
async def test_it_says_what_it_knows(
    answers: list[list[Answer]], act: Any, timeout_s: float, kind: type[Exception], code: str
) -> None:
    result, node, _ = await told(answers, act, timeout_s)
    assert type(result) is kind
    assert (result.code, result.node) == (code, node)


@pytest.mark.asyncio
async def test_a_write_of_unknown_fate_is_sent_once() -> None:
    assert (await told([[TIMED_OUT], [WRITTEN]], write, TIMEOUT_S))[2] == 1
