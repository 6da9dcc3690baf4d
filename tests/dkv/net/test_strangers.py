"""Who is no member, or behaves like none, gets nothing and holds up nobody."""

import pickle
import random

import pytest

from dkv.net.frames import encode
from dkv.net.options import Options

N1, N2, N3 = "n1.00000001", "n2.00000002", "n3.00000003"


def numbered(count, start=0):
    return [(1, b"%d" % number) for number in range(start, start + count)]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("other_cluster", "other_secret", "told"),
    [("c2", b"secret", "WRONG_CLUSTER"), ("c1", b"else", "secrets differ"), ("c1", None, "secrets differ")],
)
async def test_another_cluster_stays_outside_and_both_know_why(net, other_cluster, other_secret, told) -> None:
    one, other = await net.node(N1), await net.node(N2, other_cluster, other_secret)
    one.peers.set_addresses({N2: other.peers.address})
    await net.until(lambda: other.peers.refused_connections)
    await net.until(lambda: one.peers.status()[N2].last_error)
    assert told in one.peers.status()[N2].last_error
    assert one.peers.status()[N2].state != "up"
    assert one.events == other.events == []


@pytest.mark.asyncio
async def test_a_node_at_somebody_elses_address_is_not_mistaken(net) -> None:
    one, other = await net.node(N1), await net.node(N2)
    one.peers.set_addresses({N1: one.peers.address, N3: other.peers.address, "n4": one.peers.address})
    await net.until(lambda: one.peers.status()[N3].last_error and one.peers.status()["n4"].last_error)
    assert one.peers.status()[N3].last_error == "another node answers at this address"
    assert one.peers.status()["n4"].last_error == "refused by the other side: ITSELF"
    assert N1 not in one.peers.status()
    assert one.events == other.events == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\n\r\n", pickle.dumps({"term": 10**9}), b"\0" * 24_000_000, random.Random(1).randbytes(2000)],
    ids=["http", "pickle", "24 MB of zeros", "noise"],
)
async def test_strangers_get_nothing_and_hold_up_nobody(net, caller, garbage) -> None:
    one, other = await net.node(N1), await net.node(N2)
    net.introduce(one, other)
    await net.all_up(one, other)
    stranger = await caller.connect(other)
    stranger.writer.write(garbage)
    one.peers.send(N2, numbered(100))
    assert await stranger.read_to_end() == b""
    await net.until(lambda: other.peers.refused_connections == 1 and len(other.frames) == 100)
    await stranger.close()
    assert one.events == [("up", N2)]
    assert other.events == [("up", N1)]


@pytest.mark.asyncio
async def test_a_member_that_sends_garbage_loses_its_link_only(net, caller) -> None:
    one, other = await net.node(N1), await net.node(N2)
    net.introduce(one, other)
    await net.all_up(one, other)
    member = await caller.connect(other)
    await member.shake_hands(N3, other)
    member.writer.write(encode([(1, b"fine")]) + b"\0" * 1000)
    assert await member.read_to_end() == b""
    await member.close()
    one.peers.send(N2, numbered(1))
    await net.until(lambda: other.bodies_from(N1) == [b"0"])
    assert N3 not in other.peers.status()


@pytest.mark.asyncio
async def test_a_silent_stranger_is_turned_out(net, caller) -> None:
    node = await net.node(N1, options=Options(handshake_deadline_s=0.05))
    stranger = await caller.connect(node)
    stranger.writer.write(b"\xd6dkv")
    assert await stranger.read_to_end() == b""
    await stranger.close()
    await net.until(lambda: node.peers.refused_connections == 1)


@pytest.mark.asyncio
async def test_strangers_cannot_lock_members_out(net, caller) -> None:
    node = await net.node(N1, options=Options(pending_max=4, handshake_deadline_s=3600))
    strangers = [await caller.connect(node) for _ in range(4)]
    member = await caller.connect(node)
    await member.shake_hands(N2, node)
    member.writer.write(encode(numbered(1)))
    await net.until(lambda: node.bodies_from(N2) == [b"0"])
    assert await strangers[0].read_to_end() == b""
    assert len(node.peers._door._unproven) <= 4
    for connection in [*strangers, member]:
        await connection.close()


@pytest.mark.asyncio
async def test_the_number_of_members_is_bounded(net, caller) -> None:
    node = await net.node(N1, options=Options(inbound_max=1))
    first, second = await caller.connect(node), await caller.connect(node)
    await first.shake_hands(N2, node)
    with pytest.raises(ConnectionError):
        await second.shake_hands(N3, node)
    await net.until(lambda: node.peers.refused_connections == 1)
    assert list(node.peers.status()) == [N2]
    for connection in (first, second):
        await connection.close()


@pytest.mark.asyncio
async def test_the_newest_connection_of_an_identity_wins(net, caller) -> None:
    node = await net.node(N1)
    old, new = await caller.connect(node), await caller.connect(node)
    await old.shake_hands(N2, node)
    await new.shake_hands(N2, node)
    assert await old.read_to_end() == b""
    new.writer.write(encode(numbered(1)))
    await net.until(lambda: node.bodies_from(N2) == [b"0"])
    assert node.events == [], "the peer did not die"
    await new.close()
    await net.until(lambda: node.events == [("inbound lost", N2)])
    await old.close()
