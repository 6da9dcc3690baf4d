"""Two framings, one contract: whatever is said to the lane and to aiohttp alone, the answers are the same bytes."""

from __future__ import annotations

import asyncio
import random
import re
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from dkv.api.handling import OnFollower
from dkv.api.lane import BODY_BYTES_MAX
from dkv.api.limits import Limits
from dkv.errors import LeaderHint, NotLeader
from tests.dkv.api.conftest import FakeStore

# Both lanes stand side by side here: no need to run each test with either.
pytestmark = [pytest.mark.asyncio, pytest.mark.parametrize("start_edge", [True], indirect=True, ids=["both"])]

GENEROUS_S = 60.0
LAST = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
_OURS = re.compile(rb"[0-9a-f]{8}-[0-9a-f]+")
_DATE = re.compile(rb"Date: [^\r]+")


def request(method: str, target: str, body: bytes = b"", *lines: str, version: str = "1.1") -> bytes:
    length = [f"Content-Length: {len(body)}"] if body else []
    head = "\r\n".join([f"{method} {target} HTTP/{version}", "Host: x", *length, *lines, "", ""])
    return head.encode("latin-1") + body


def command(rng: random.Random) -> bytes:
    key, value = rng.choice("abc"), "x" * rng.choice((0, 1, 50, 5000))
    bodies = (
        f'{{"cmd":"set","key":"{key}","val":"{value}"}}',
        f'{{"cmd":"get","key":"{key}"}}',
        f'{{"cmd":"get","key":"{key}","level":"none"}}',
        f'{{"cmd":"delete","key":"{key}"}}',
        f'{{"cmd":"set","key":"{key}","val":"v","cas":{rng.randrange(20)}}}',
        f'[{{"cmd":"set","key":"{key}","val":"1"}},{{"cmd":"get","key":"{key}"}}]',
        f'[{{"cmd":"get","key":"{key}"}},{{"cmd":"get","key":"z"}}]',
        '{"cmd":"set","key":"","val":"x"}',
        '{"cmd":"fly","key":"a"}',
        '{"cmd":"set","key":"a","val":1}',
        '{"cmd":"set","key":"a","val":"1","val":"2"}',
        "[]",
        "{",
        "",
        "\xff",
    )
    weights = [5] * 7 + [1] * 8
    return rng.choices(bodies, weights)[0].encode("latin-1")


def query(rng: random.Random) -> str:
    return rng.choices(
        ("", "?level=none", "?level=weak", "?raw", "?cas=3", "?level=odd", "?odd=1", "?forward", "?forward=2", "?"),
        (20, 2, 2, 3, 2, 1, 1, 1, 1, 1),
    )[0]


LINES = (
    "X-Request-Id: mine-1",
    "X-Request-Id: no good",
    "X-DKV-Timeout: 2s",
    "X-DKV-Timeout: soon",
    "X-DKV-Min-Index: 3",
    "X-DKV-Min-Index: -3",
    "Idempotency-Key: k1",
    "Content-Type: text/plain",
    "Connection: keep-alive",
    "Accept: */*",
    "X-DKV-Forwarded-By: n9",
)


def hot(rng: random.Random) -> bytes:
    lines = rng.sample(LINES, rng.choice((0, 0, 0, 1, 2)))
    if rng.random() < 0.5:
        return request("POST", f"/{query(rng)}", command(rng), *lines)
    key = rng.choice(("a", "b", "a%2Fb", "%ff", "", "a/b", "nothing"))
    method = rng.choice(("GET", "PUT", "DELETE"))
    body = rng.choice((b'"v"', b'{"val":"w"}', b"plain", b"")) if method == "PUT" else b""
    return request(method, f"/v1/kv/{key}{query(rng)}", body, *lines)


def odd(rng: random.Random) -> bytes:
    return rng.choice(
        (
            request("GET", "/status"),
            request("GET", "/"),
            request("GET", "/nowhere"),
            request("HEAD", "/v1/kv/a"),
            request("PATCH", "/v1/kv/a"),
            request("GET", "http://elsewhere/v1/kv/a"),
            request("POST", "/", b'{"cmd":"get","key":"a"}', "X-Request-Id: one", "X-Request-Id: two"),
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n17\r\n"
            b'{"cmd":"get","key":"a"}\r\n0\r\n\r\n',
            request("PUT", "/v1/kv/a", b'"' + b"y" * BODY_BYTES_MAX + b'"'),
            request("GET", "/v1/kv/a", b"with a body"),
        )
    )


def final(rng: random.Random) -> bytes:
    """After these the connection ends."""
    return rng.choice(
        (
            LAST,
            request("GET", "/v1/kv/a", b"", "Connection: close"),
            request("GET", "/v1/kv/a", version="1.0"),
            request("POST", "/", b'{"cmd":"get","key":"a"}', version="1.0"),
            request("GET", "/v1/kv/a", b"", "Connection: keep-alive", version="1.0") + LAST,
            b"GET /v1/kv/\xc3\xa4 HTTP/1.1\r\n\r\n",
            b"GET /v1/kv/a HTTP/1.1\r\nHost : x\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n{}{}",
            b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n{",
            b"\x16\x03\x01\x02\r\n\r\n",
            b"GET /v1/kv/a\r\n\r\n",
        )
    )


@dataclass
class Conversation:
    """Requests that may be sent ahead of their replies, as packets, and what is said once those have come: aiohttp
    forgets what came in one packet with garbage, which the lane does not."""

    requests: list[bytes]
    packets: list[bytes]
    last: bytes


def conversation(rng: random.Random) -> Conversation:
    """Packets end anywhere in a head, or with a message: aiohttp alone refuses some requests before their body has
    come, and then cannot go on with the connection."""
    requests = [odd(rng) if rng.random() < 0.07 else hot(rng) for _ in range(rng.randrange(12))]
    packets = [b""]
    for asked in requests:
        head_bytes = asked.index(b"\r\n\r\n")
        cuts = sorted({0, *(rng.randrange(1, head_bytes) for _ in range(rng.choice((0, 0, 1, 5))))})
        first, *others = [asked[a:b] for a, b in zip(cuts, [*cuts[1:], len(asked)], strict=True)]
        packets[-1:] = [packets[-1], first] if rng.random() < 0.3 else [packets[-1] + first]
        packets += others
    return Conversation(requests, packets, final(rng))


def with_ids_of_one_length(*edges: Any) -> None:
    """Ours are counted, and how many were taken is nobody's business."""
    for edge in edges:
        edge.server._handling._request_ids = count(0x10_0000)


async def answers(edge: Any, said: Conversation, pauses: random.Random) -> bytes:
    """Everything that comes until the other side ends the connection, but for what must differ."""
    heard: list[bytes] = []
    async with asyncio.timeout(GENEROUS_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        try:
            for packet in said.packets:
                if not writer.transport.is_closing():
                    writer.write(packet)
                await asyncio.sleep(pauses.choice((0, 0, 0.002)))  # packets of their own, sometimes
            for asked in said.requests:
                reply = await _reply(reader, with_body=not asked.startswith(b"HEAD"))
                heard.append(reply)
            if not writer.transport.is_closing():
                writer.write(said.last)
            heard.append(await reader.read(-1))
        except asyncio.IncompleteReadError as error:
            heard.append(error.partial)
        except ConnectionError:
            heard.append(b"reset")
        finally:
            writer.transport.abort()
    return _DATE.sub(b"Date: then", _OURS.sub(b"ours", b"".join(heard)))


async def _reply(reader: asyncio.StreamReader, *, with_body: bool) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    assert length is not None, head
    return head + (await reader.readexactly(int(length[1])) if with_body else b"")


@pytest.mark.parametrize("seed", range(8))
async def test_the_same_bytes(start_edge: Any, seed: int) -> None:
    rng = random.Random(seed)
    stores = [FakeStore(), FakeStore()]
    async with (
        start_edge(stores[0], fast_lane=True) as lane,
        start_edge(stores[1], fast_lane=False) as full,
    ):
        with_ids_of_one_length(lane, full)
        for turn in range(40):
            said = conversation(rng)
            pauses = rng.randrange(2**32)
            fast = await answers(lane, said, random.Random(pauses))
            slow = await answers(full, said, random.Random(pauses))
            assert fast == slow, f"seed {seed}, conversation {turn}: {said}"
            assert stores[0].writes == stores[1].writes
        assert lane.server._admission.in_flight == full.server._admission.in_flight == 0


@pytest.mark.parametrize("on_follower", list(OnFollower))
async def test_the_same_bytes_at_a_follower(start_edge: Any, on_follower: OnFollower) -> None:
    rng = random.Random(5)
    async with start_edge(FakeStore("n2")) as leader:
        hint = LeaderHint("n2", leader.rest)
        stores = [FakeStore(fail=NotLeader("n2 is.", leader=hint), leader=hint) for _ in range(2)]
        async with (
            start_edge(stores[0], on_follower=on_follower, fast_lane=True) as lane,
            start_edge(stores[1], on_follower=on_follower, fast_lane=False) as full,
        ):
            with_ids_of_one_length(leader, lane, full)
            for _ in range(40):
                said = conversation(rng)
                pauses = rng.randrange(2**32)
                before = leader.store.machine, leader.store.index
                leader.store.machine, leader.store.index = FakeStore().machine, 10
                fast = await answers(lane, said, random.Random(pauses))
                leader.store.machine, leader.store.index = FakeStore().machine, 10
                slow = await answers(full, said, random.Random(pauses))
                leader.store.machine, leader.store.index = before
                assert fast == slow, said


@pytest.mark.parametrize("size_bytes", [30, 5_000, BODY_BYTES_MAX - 20, BODY_BYTES_MAX, 300_000])
async def test_the_same_bytes_however_a_body_comes(start_edge: Any, size_bytes: int) -> None:
    rng = random.Random(size_bytes)
    body = b'{"cmd":"set","key":"a","val":"%b"}' % (b"v" * size_bytes)
    async with start_edge(fast_lane=True) as lane, start_edge(fast_lane=False) as full:
        with_ids_of_one_length(lane, full)
        for _ in range(20):
            asked = request("POST", "/", body)
            cuts = sorted({0, *(rng.randrange(1, len(asked)) for _ in range(rng.choice((1, 3, 20))))})
            packets = [asked[a:b] for a, b in zip(cuts, [*cuts[1:], len(asked)], strict=True)]
            said = Conversation([asked], packets, LAST)
            pauses = rng.randrange(2**32)
            fast = await answers(lane, said, random.Random(pauses))
            assert fast == await answers(full, said, random.Random(pauses))
            assert fast.startswith(b"HTTP/1.1 200 OK")


async def test_hot_connections_stay_in_the_lane_and_others_leave_it(start_edge: Any) -> None:
    async with start_edge() as edge:
        assert (await edge.ask("POST", "/", {"cmd": "set", "key": "a", "val": "1"})).status == 200
        assert (await edge.ask("GET", "/v1/kv/a", X_DKV_Timeout="2s")).status == 200
        assert (await edge.ask("GET", "/v1/kv/none")).status == 404
        assert len(edge.server._lanes.open) == 1
        assert (await edge.ask("GET", "/status")).status == 200
        assert not edge.server._lanes.open


async def test_who_reads_nothing_is_served_no_more(start_edge: Any) -> None:
    """Replies wait in the transport, requests in the buffer, the rest in the sender's kernel: each with its bound."""
    store = FakeStore()
    async with start_edge(store, limits=Limits(write_timeout_s=0.2, drain_timeout_s=0.2)) as edge:
        await edge.ask("PUT", "/v1/kv/a", "x" * 100_000)
        _, writer = await asyncio.open_connection("127.0.0.1", edge.port, limit=2**10)
        writer.transport.pause_reading()
        writer.write(request("GET", "/v1/kv/a") * 5000)
        async with asyncio.timeout(GENEROUS_S):
            while len(edge.server._lanes.open) > 1:  # noqa: ASYNC110 - what is waited for happens in a transport
                await asyncio.sleep(0.01)
        assert len(store.reads) < 4000
        writer.transport.abort()
