"""Bytes of ZooKeeper's protocol, and its servers' configuration."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bench import zookeeper_wire as wire
from harness.bench.zookeeper_node import configuration

DIALECT = wire.ZooKeeperDialect()


def framed(packet: bytes) -> bytes:
    return struct.pack(">i", len(packet)) + packet


def reply(error: int, transaction: int = 7, body: bytes = b"") -> bytes:
    return framed(struct.pack(">iqi", wire.XID, transaction, error) + body)


def test_bytes_as_the_servers_know_them() -> None:
    assert wire.connect(30_000).hex() == (
        "0000002d" + "00000000" + "0000000000000000" + "00007530" + "0000000000000000" + "00000010" + "00" * 16 + "00"
    )
    get = bytes.fromhex("0000000f" + "00000001" + "00000004" + "00000002") + b"/k" + b"\0"
    assert DIALECT.get("k", "none").body == get
    assert DIALECT.get("k", "linearizable").body[-len(get) :] == get


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (DIALECT.get("k1", "none").body, 1),
        (DIALECT.get("k1", "linearizable").body, 2),
        (DIALECT.set("k1", "v").body, 1),
        (DIALECT.batch([("k1", "v"), ("k2", "w")]).body, 1),
        (wire.creations([("k1", "v"), ("k2", "w")]).body, 1),
    ],
)
def test_a_request_knows_how_many_replies_it_brings(body: bytes, count: int) -> None:
    assert wire.packets(body) == count


def test_keys_that_nobody_made_are_created_when_they_are_set() -> None:
    kinds = [struct.unpack_from(">i", DIALECT.set(key, "v").body, 8)[0] for key in ("k0000001", "new1")]
    assert kinds == [5, 1]


@given(st.lists(st.tuples(st.integers(-120, 0), st.binary(max_size=40)), max_size=20), st.lists(st.integers(1, 50)))
def test_replies_are_found_however_the_bytes_come(told: list[tuple[int, bytes]], cuts: list[int]) -> None:
    data = framed(b"\0" * 36) + b"".join(reply(error, number, body) for number, (error, body) in enumerate(told))
    replies, found, place = wire.Replies(), list[tuple[int, int]](), 0
    for cut in [*cuts, len(data)]:
        found += replies.feed(data[place : place + cut])
        place += cut
    assert found == [(0, 0), *((error, number) for number, (error, _) in enumerate(told))]


def test_who_speaks_something_else_is_noticed() -> None:
    with pytest.raises(ValueError, match="this is no ZooKeeper"):
        list(wire.Replies().feed(b"HTTP/1.1 400 Bad Request\r\n\r\n"))


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("Zookeeper version: 3.8.0\nZxid: 0x300000012\nMode: leader\nNode count: 5\n", (True, 3)),
        ("Zxid: 0x100000000\nMode: follower\n", (False, 1)),
        ("This ZooKeeper instance is not currently serving requests\n", None),
        ("", None),
    ],
)
def test_modes(told: str, found: tuple[bool, int] | None) -> None:
    assert wire.mode(told) == found


def test_a_server_is_told_of_all(tmp_path: Path) -> None:
    text = configuration("127.0.0.1:30002", "n1=127.0.0.1:50001:20001,n2=127.0.0.1:50002:20002", tmp_path)
    assert "clientPort=30002\n" in text
    assert "server.2=127.0.0.1:50002:20002\n" in text
    assert f"dataDir={tmp_path}\n" in text
