"""Links between nodes on real loopback sockets."""

import asyncio
import random
import socket
import ssl
import struct
from pathlib import Path

import pytest
import uvloop

from dkv.clock import MonotonicClock
from dkv.errors import StartupError
from dkv.net.door import bind
from dkv.net.links import Outbound
from dkv.net.options import Options
from dkv.net.peers import Peers
from dkv.net.sender import split_address

N1, N2, N3 = "n1.00000001", "n2.00000002", "n3.00000003"


def numbered(count, start=0):
    return [(1, b"%d" % number) for number in range(start, start + count)]


@pytest.mark.asyncio
async def test_three_nodes_exchange_ordered_frames(net) -> None:
    nodes = [await net.node(me) for me in (N1, N2, N3)]
    net.introduce(*nodes)
    await net.all_up(*nodes)
    for start in range(0, 300, 3):
        for one in nodes:
            for other in nodes:
                if other is not one:
                    one.peers.send(other.me, numbered(3, start))
    await net.until(lambda: all(len(node.frames) == 600 for node in nodes))
    expected = [body for _, body in numbered(300)]
    assert all(one.bodies_from(other.me) == expected for one in nodes for other in nodes if one is not other)
    assert all(node.events.count(("up", other.me)) == 1 for node in nodes for other in nodes if node is not other)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_both_loops_carry_large_and_small_frames_and_close_cleanly(run) -> None:
    bodies = [b"", b"x" * 6000, b"y" * 4_000_000, b"z"]

    async def scenario() -> list[bytes]:
        got, all_came, up = [], asyncio.Event(), asyncio.Event()

        def on_frame(node: str, group: int, body: bytes) -> None:
            got.append(body)
            if len(got) == len(bodies):
                all_came.set()

        def peers(me: str) -> Peers:
            return Peers(
                me, "c1", None,
                on_frame=on_frame, on_up=lambda _: up.set(), on_down=lambda _, *, reset: None,
                on_inbound_lost=lambda _: None, clock=MonotonicClock(), rng=random.Random(0),
            )  # fmt: skip

        one, other = peers(N1), peers(N2)
        await one.start()
        await other.start()
        one.set_addresses({N2: other.address})
        async with asyncio.timeout(30):
            await up.wait()
            one.send(N2, [(7, body) for body in bodies])
            await all_came.wait()
        await one.close()
        await other.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return got

    assert run(scenario()) == bodies


@pytest.mark.asyncio
async def test_queued_frames_leave_when_a_node_closes(net) -> None:
    one, other = await net.node(N1), await net.node(N2)
    net.introduce(one, other)
    await net.all_up(one, other)
    one.peers.send(N2, [(1, bytes(1_000_000))] * 8)
    await one.peers.close()
    await net.until(lambda: len(other.frames) == 8)
    assert ("inbound lost", N1) in other.events


@pytest.mark.asyncio
async def test_a_restarted_node_is_found_again(net) -> None:
    one, other = await net.node(N1), await net.node(N2)
    net.introduce(one, other)
    await net.all_up(one, other)
    await other.peers.close()
    await net.until(lambda: {("down", N2, True), ("inbound lost", N2)} <= {*one.events})
    again = await net.node(N2, bind_port=other.host_port[1])
    again.peers.set_addresses({N1: one.peers.address})
    await net.all_up(one, again)
    one.peers.send(N2, numbered(3))
    await net.until(lambda: len(again.frames) == 3)
    assert [event[0] for event in one.events if event[0] != "inbound lost"] == ["up", "down", "up"]
    assert other.events == [("up", N1)], "a closed node is not called back"


@pytest.mark.asyncio
async def test_a_reset_connection_is_told_as_such(net) -> None:
    one, other = await net.node(N1), await net.node(N2)
    net.introduce(one, other)
    await net.all_up(one, other)
    await net.until(lambda: N1 in other.peers._door.inbound)
    link = other.peers._door.inbound[N1]
    linger_not = struct.pack("ii", 1, 0)
    link._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_not)
    link.abort("test")
    await net.until(lambda: one.events == [("up", N2), ("down", N2, True), ("up", N2)])


@pytest.mark.asyncio
async def test_an_overflowing_queue_breaks_the_link_and_it_comes_back(net) -> None:
    one = await net.node(N1, options=Options(send_queue_bytes_max=1_000_000))
    other = await net.node(N2)
    one.peers.set_addresses({N2: other.peers.address})
    await net.until(lambda: one.events and N1 in other.peers._door.inbound)
    other.peers._door.inbound[N1]._transport.pause_reading()
    for number in range(200):
        one.peers.send(N2, [(1, b"%d " % number + bytes(250_000))])
    assert one.events == [("up", N2)], "no call-back from within send"
    assert one.peers.status()[N2].queued_bytes <= 1_000_000
    dropped = one.peers.status()[N2].frames_dropped
    assert dropped > 0
    await net.until(lambda: one.events == [("up", N2), ("down", N2, False), ("up", N2)])
    one.peers.send(N2, numbered(1))
    await net.until(lambda: other.bodies_from(N1)[-1:] == [b"0"])
    before = [int(body.split()[0]) for body in other.bodies_from(N1)[:-1]]
    assert before == list(range(len(before))), "what a link carried is a prefix of what was sent"


@pytest.mark.asyncio
async def test_a_link_on_which_nobody_listens_is_redialled(net) -> None:
    options = Options(ping_interval_s=0.02, silent_pings_max=3)
    one, other = await net.node(N1, options=options), await net.node(N2)
    one.peers.set_addresses({N2: other.peers.address})
    await net.until(lambda: N1 in other.peers._door.inbound)
    other.peers._door.inbound[N1]._transport.pause_reading()
    await net.until(lambda: one.events[:3] == [("up", N2), ("down", N2, False), ("up", N2)])


@pytest.mark.asyncio
async def test_status_tells_the_traffic_and_the_distance(net) -> None:
    one = await net.node(N1, options=Options(ping_interval_s=0.01))
    other = await net.node(N2)
    net.introduce(one, other)
    await net.all_up(one, other)
    count = 0
    while one.peers.status()[N2].rtt_s is None:
        count += 1
        one.peers.send(N2, numbered(1))
        await net.until(lambda expected=count: len(other.frames) == expected)
    status, seen = one.peers.status()[N2], other.peers.status()[N1]
    assert (status.state, status.address, status.last_error) == ("up", other.peers.address, None)
    assert (status.frames_out, seen.frames_in, seen.inbound) == (count, count, True)
    assert status.connected_since is not None
    assert 0 < seen.bytes_in <= status.bytes_out
    assert 0 < status.rtt_s < 30


@pytest.mark.asyncio
async def test_a_node_that_moved_is_followed(net) -> None:
    one, old, new = await net.node(N1), await net.node(N2), await net.node(N2)
    one.peers.set_addresses({N2: old.peers.address})
    await net.until(lambda: one.events == [("up", N2)])
    one.peers.set_addresses({N2: new.peers.address})
    assert one.events == [("up", N2)], "no call-back from within set_addresses"
    await net.until(lambda: one.events == [("up", N2), ("down", N2, False), ("up", N2)])
    one.peers.send(N2, numbered(1))
    await net.until(lambda: new.frames)
    assert old.frames == []


@pytest.mark.asyncio
async def test_links_to_a_node_that_left_are_closed_and_it_may_come_back(net) -> None:
    one, other = await net.node(N1), await net.node(N2)
    net.introduce(one, other)
    await net.all_up(one, other)
    await net.until(lambda: N2 in one.peers._door.inbound)
    one.peers.set_addresses({})
    one.peers.set_addresses({N2: other.peers.address})
    await net.until(lambda: one.events[:3] == [("up", N2), ("down", N2, False), ("up", N2)])
    one.peers.set_addresses({})
    await net.until(lambda: one.events[3:] == [("down", N2, False)])
    one.peers.send(N2, numbered(1))
    assert other.frames == []


@pytest.mark.asyncio
async def test_a_peer_that_connects_is_dialled_at_once(net) -> None:
    hours = Options(backoff_min_s=3600, backoff_max_s=3600)
    listener = bind("127.0.0.1", 0)
    one = await net.node(N1, options=hours)
    one.peers.set_addresses({N2: f"127.0.0.1:{listener.getsockname()[1]}"})
    await net.until(lambda: one.peers.status()[N2].last_error)
    again = await net.node(N2, listener=listener)
    again.peers.set_addresses({N1: one.peers.address})
    await net.all_up(one, again)
    assert one.events == [("up", N2)]


@pytest.mark.asyncio
async def test_an_address_that_is_none_is_reported_and_harms_nobody(net) -> None:
    one, other = await net.node(N1), await net.node(N2)
    one.peers.set_addresses({N2: other.peers.address, N3: "nonsense"})
    await net.until(lambda: one.events == [("up", N2)] and one.peers.status()[N3].last_error)
    assert one.peers.status()[N3].last_error == "not an address of the form host:port: 'nonsense'"
    one.peers.send(N3, numbered(2))
    one.peers.send("n9", numbered(2))
    assert one.peers.status()[N3].frames_dropped == 2


@pytest.fixture
def tls() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    pem = Path(__file__).with_name("loopback.pem")
    accepting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    accepting.load_cert_chain(pem)
    return ssl.create_default_context(cafile=pem), accepting


@pytest.mark.asyncio
async def test_tls_underneath(net, tls) -> None:
    one, other = await net.node(N1, tls=tls), await net.node(N2, tls=tls)
    net.introduce(one, other)
    await net.all_up(one, other)
    one.peers.send(N2, [(1, bytes(3_000_000)), (1, b"end")])
    await net.until(lambda: other.bodies_from(N1)[-1:] == [b"end"])
    await other.peers.close()
    await net.until(lambda: {("down", N2, True), ("inbound lost", N2)} <= {*one.events})


@pytest.mark.asyncio
async def test_tls_on_one_side_only(net, tls) -> None:
    one, other = await net.node(N1, tls=tls), await net.node(N2)
    one.peers.set_addresses({N2: other.peers.address})
    await net.until(lambda: other.peers.refused_connections and one.peers.status()[N2].last_error)
    assert one.events == []


@pytest.mark.asyncio
async def test_closing_in_the_middle_of_everything(net) -> None:
    """A dial that is refused, one that nobody answers, one that is up; closing twice; closing what never started."""
    silent, refusing = bind("127.0.0.1", 0), bind("127.0.0.1", 0)
    silent.listen()
    one, other = await net.node(N1), await net.node(N2)
    addresses = [sock.getsockname()[1] for sock in (silent, refusing)]
    one.peers.set_addresses(
        {"a": f"127.0.0.1:{addresses[0]}", "b": f"127.0.0.1:{addresses[1]}", N2: other.peers.address}
    )
    await net.until(lambda: one.events == [("up", N2)])
    await one.peers.close()
    await one.peers.close()
    one.peers.set_addresses({N3: other.peers.address})
    one.peers.send(N2, numbered(1))
    assert one.peers._tasks == {}
    assert one.events == [("up", N2)]
    silent.close()
    refusing.close()


@pytest.mark.asyncio
async def test_an_address_that_is_taken_is_a_clear_error(net) -> None:
    node = await net.node(N1)
    with pytest.raises(StartupError, match="cannot listen on"):
        bind(*node.host_port)
    with pytest.raises(StartupError, match="cannot use"):
        bind("127.0.0.1", 99999)


@pytest.mark.asyncio
async def test_a_listener_bound_beforehand_is_used(net) -> None:
    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    other = await net.node(N2)
    one = await net.node(N1, listener=listener)
    assert one.peers.address == f"127.0.0.1:{port}"
    net.introduce(one, other)
    await net.all_up(one, other)


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1:5", ("127.0.0.1", 5)), ("[::1]:65535", ("::1", 65535)), ("a.b-c:80", ("a.b-c", 80))],
)
def test_addresses(address, expected) -> None:
    assert split_address(address) == expected


@pytest.mark.parametrize("address", ["", "host", "host:", ":5", "host:0", "host:65536", "host:-1", "host:１"])
def test_what_is_no_address(address) -> None:
    with pytest.raises(ValueError, match="host:port"):
        split_address(address)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_dial_that_is_cancelled_just_as_it_succeeds_leaves_nothing_behind(run, monkeypatch) -> None:
    """uvloop closes such a connection without ``connection_lost``; nobody may wait for that."""

    async def scenario() -> list[str]:
        notes: list[str] = []
        one, other = (
            Peers(
                me, "c1", None,
                on_frame=lambda *_: None, on_up=notes.append, on_down=lambda node, *, reset: notes.append(node),
                on_inbound_lost=lambda _: None, clock=MonotonicClock(), rng=random.Random(0),
            )
            for me in (N1, N2)
        )  # fmt: skip
        await one.start()
        await other.start()
        made = Outbound.connection_made

        def made_and_cancelled(link: Outbound, transport: asyncio.BaseTransport) -> None:
            made(link, transport)
            monkeypatch.setattr(Outbound, "connection_made", made)
            one.set_addresses({})

        monkeypatch.setattr(Outbound, "connection_made", made_and_cancelled)
        async with asyncio.timeout(30):
            one.set_addresses({N2: other.address})
            [task] = one._tasks.values()
            await asyncio.wait([task])
            await one.close()
            await other.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return notes

    assert run(scenario()) == []
