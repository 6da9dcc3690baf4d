"""The agent among its own kind: sockets, files, restarts, faults. No other program is needed."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path

import msgspec
import pytest

from dkv.clock import MonotonicClock
from dkv.errors import StartupError
from dkv.faults.clock import FaultyClock
from dkv.faults.links import LinkFaults
from dkv.gossip.agent.listening import STREAMS_MAX
from dkv.gossip.agent.reception import LARGE_BYTES
from dkv.gossip.agent.sockets import bind
from dkv.gossip.rpc.session import RECORDS_BYTES_MAX
from dkv.gossip.wire.encryption import Keyring
from dkv.gossip.wire.internal_queries import Status
from dkv.gossip.wire.messages import MessageType
from dkv.gossip.wire.particulars import Address
from dkv.gossip.wire.push_pull import NodeState, PushPull, State
from dkv.gossip.wire.streams import encode_stream
from tests.dkv.gossip.agents import LOOPBACK, QUICK, Ours, until, world

ALIVE, LEFT, FAILED = Status.ALIVE, Status.LEFT, Status.FAILED


def test_udp_and_tcp_share_a_port_that_the_kernel_chose() -> None:
    sockets = bind(LOOPBACK)
    assert sockets.udp.getsockname() == sockets.tcp.getsockname() == tuple(sockets.address)
    with pytest.raises(StartupError, match=f"cannot listen on 127.0.0.1:{sockets.address.port} for gossip"):
        bind(sockets.address)
    sockets.close()


@pytest.mark.asyncio
async def test_a_member_that_cannot_start_leaves_nothing_behind(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as group:
        sockets = bind(LOOPBACK)
        with pytest.raises(StartupError, match="for gossip"):
            await Ours("n1", tmp_path / "a", group, address=sockets.address).agent.start()
        sockets.close()
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "keyring.json").write_text('["too short"]')
        with pytest.raises(StartupError, match=r"keyring\.json"):
            await Ours("n1", tmp_path / "b", group, address=sockets.address).agent.start()
        with pytest.raises(StartupError, match="tags"):
            await Ours("n1", tmp_path / "c", group, address=sockets.address, tags={"a": "x" * 600}).agent.start()
        again = Ours("n1", tmp_path / "d", group, address=sockets.address)
        await again.agent.start()
        await again.agent.stop()
        await again.agent.stop()


@pytest.mark.asyncio
async def test_members_find_each_other_change_their_tags_and_leave(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        one = await made.ours("n1", profile=QUICK)
        two = await made.ours("n2", profile=QUICK, join=(one.agent.address,))
        three = await made.ours("n3", profile=QUICK, join=(Address("localhost", two.agent.address.port),))
        for each in (one, two, three):
            await until(lambda each=each: each.sees(n1=ALIVE, n2=ALIVE, n3=ALIVE), f"{each.name}: {each.view()}")
        assert one.tags("n3") == {"role": "dkv", "id": "n3.0123abcd"}
        changes = one.changes
        three.agent.set_tags({"role": "dkv", "more": "1"})
        three.agent.set_tags({"role": "dkv", "cluster": "c"})
        await until(lambda: one.tags("n3") == {"role": "dkv", "cluster": "c"}, "the new tags")
        assert one.changes > changes
        since = {member.name: member.since for member in one.agent.members()}
        await three.agent.leave(30.0)
        await until(lambda: one.sees(n1=ALIVE, n2=ALIVE, n3=LEFT), "n3 left")
        assert FAILED not in one.statuses["n3"]
        now = {member.name: member.since for member in one.agent.members()}
        assert now["n3"] > since["n3"]
        assert now["n2"] == since["n2"]
        assert not three.departed
        figures = one.agent.figures()
        assert figures.members == {"alive": 2, "leaving": 0, "left": 1, "failed": 0}
        assert figures.packets_sent > 0 < figures.bytes_received


@pytest.mark.asyncio
async def test_who_is_restarted_rejoins_alone_and_who_left_does_not(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        one = await made.ours("n1", profile=QUICK)
        two = await made.ours("n2", profile=QUICK, join=(one.agent.address,))
        await until(lambda: one.sees(n1=ALIVE, n2=ALIVE) and two.sees(n1=ALIVE, n2=ALIVE), "both")
        await one.agent.stop()
        await two.agent.stop()
        one = await made.ours("n1", profile=QUICK, address=one.agent.address)
        two = await made.ours("n2", profile=QUICK, address=two.agent.address)
        await until(lambda: one.sees(n1=ALIVE, n2=ALIVE) and two.sees(n1=ALIVE, n2=ALIVE), "both again")
        await two.agent.leave(30.0)
        await two.agent.stop()
        assert (tmp_path / "n2" / "serf.snapshot").read_text().endswith("leave\n")
        await until(lambda: one.sees(n1=ALIVE, n2=LEFT), "n2 left")
        await one.agent.stop()  # else it would call a member that comes again
        two = await made.ours("n2", profile=QUICK, address=two.agent.address)
        await until(lambda: "n1" not in (tmp_path / "n2" / "serf.snapshot").read_text(), "the file is written anew")
        assert two.sees(n2=ALIVE)
        assert two.agent.figures().send_failures == 0


@pytest.mark.asyncio
async def test_two_sides_that_restart_while_they_are_cut_off_find_each_other_again(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        faults = LinkFaults(random.Random(1))
        one = await made.ours("n1", profile=QUICK, faults=faults)
        two = await made.ours("n2", profile=QUICK, join=(one.agent.address,))
        await until(lambda: one.sees(n1=ALIVE, n2=ALIVE) and two.sees(n1=ALIVE, n2=ALIVE), "both")
        faults.set({"n2": {"send": {"cut": True}, "receive": {"cut": True}}})
        await until(lambda: one.sees(n1=ALIVE, n2=FAILED) and two.sees(n1=FAILED, n2=ALIVE), "the cut")
        await one.agent.stop()
        await two.agent.stop()
        one = await made.ours("n1", profile=QUICK, address=one.agent.address)
        two = await made.ours("n2", profile=QUICK, address=two.agent.address)
        await until(lambda: one.sees(n1=ALIVE, n2=ALIVE) and two.sees(n1=ALIVE, n2=ALIVE), "both again")


@pytest.mark.asyncio
async def test_a_seed_that_comes_late_is_found(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        late = bind(LOOPBACK)
        early = await made.ours("n1", profile=QUICK, join=(late.address,))
        late.close()
        assert early.sees(n1=ALIVE)
        await made.ours("n2", profile=QUICK, address=late.address)
        await until(lambda: early.sees(n1=ALIVE, n2=ALIVE), "the seed")


@pytest.mark.asyncio
async def test_a_cut_link_is_silence_and_heals(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        faults = LinkFaults(random.Random(1))
        one = await made.ours("n1", profile=QUICK, faults=faults)
        two = await made.ours("n2", profile=QUICK, join=(one.agent.address,))
        await until(lambda: one.sees(n1=ALIVE, n2=ALIVE) and two.sees(n1=ALIVE, n2=ALIVE), "both")
        faults.set({"n2": {"send": {"cut": True}, "receive": {"cut": True}}})
        await until(lambda: one.sees(n1=ALIVE, n2=FAILED) and two.sees(n1=FAILED, n2=ALIVE), "the cut")
        faults.set({"n2": {"send": {"delay_s": 0.01}, "receive": {"jitter_s": 0.01, "loss": 0.1, "duplicate": 0.5}}})
        await until(lambda: one.sees(n1=ALIVE, n2=ALIVE) and two.sees(n1=ALIVE, n2=ALIVE), "the bad link")
        await one.agent.stop()
        faults.close()


@pytest.mark.asyncio
async def test_a_clock_that_jumps_ends_nobody(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        clock = FaultyClock(MonotonicClock())
        one = await made.ours("n1", profile=QUICK, clock=clock)
        two = await made.ours("n2", profile=QUICK, join=(one.agent.address,))
        await until(lambda: one.sees(n1=ALIVE, n2=ALIVE) and two.sees(n1=ALIVE, n2=ALIVE), "both")
        for jump_s, rate in ((3600.0, 1.0), (0.0, 100.0), (0.0, 0.01), (-2.0, 1.0)):
            clock.drift(jump_s, rate)
            sent = one.agent.figures().packets_sent
            await until(lambda sent=sent: one.agent.figures().packets_sent > sent + 2, f"packets at {jump_s, rate}")
        await until(lambda: one.sees(n1=ALIVE, n2=ALIVE) and two.sees(n1=ALIVE, n2=ALIVE), "both still, or again")


@pytest.mark.asyncio
async def test_strangers_are_counted_and_change_nothing(tmp_path: Path) -> None:
    keys = Keyring(bytes(16)), Keyring(bytes(range(32)))
    async with world(tmp_path) as made:
        one = await made.ours("n1", profile=QUICK, keyring=keys[0])
        there = (one.agent.address,)
        strangers = [
            await made.ours("plain", profile=QUICK, join=there),
            await made.ours("key", profile=QUICK, keyring=keys[1], join=there),
            await made.ours("label", profile=QUICK, keyring=keys[0], label=b"other", join=there),
        ]
        await until(lambda: {"encryption", "label"} <= set(one.agent.figures().refused), "the strangers")
        assert one.sees(n1=ALIVE)
        assert all(stranger.view() == {stranger.name: ALIVE} for stranger in strangers)


@pytest.mark.asyncio
async def test_a_keyring_on_disk_outweighs_the_one_that_is_given(tmp_path: Path) -> None:
    new = Keyring(bytes(range(16)))
    async with world(tmp_path) as made:
        one = await made.ours("n1", profile=QUICK, keyring=new)
        (tmp_path / "n2").mkdir()
        (tmp_path / "n2" / "keyring.json").write_text(json.dumps(["AAECAwQFBgcICQoLDA0ODw=="]))
        two = await made.ours("n2", profile=QUICK, keyring=Keyring(bytes(16)), join=(one.agent.address,))
        await until(lambda: one.sees(n1=ALIVE, n2=ALIVE) and two.sees(n1=ALIVE, n2=ALIVE), "both")


@pytest.mark.asyncio
async def test_of_two_members_of_one_name_the_later_is_silent(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        one = await made.ours("n1", profile=QUICK)
        two = await made.ours("n2", profile=QUICK, join=(one.agent.address,))
        three = await made.ours("n3", profile=QUICK, join=(one.agent.address,))
        for each in (one, two, three):
            await until(lambda each=each: each.sees(n1=ALIVE, n2=ALIVE, n3=ALIVE), "all")
        twin = await made.ours("n2", directory=tmp_path / "twin", profile=QUICK, join=(one.agent.address,))
        await until(lambda: twin.name_lost, "the conflict is settled")
        assert not two.name_lost
        await twin.agent.leave(30.0)  # nobody listens to it any more
        addresses = {member.name: member.address for member in one.agent.members()}
        assert addresses["n2"] == two.agent.address
        await until(lambda: one.sees(n1=ALIVE, n2=ALIVE, n3=ALIVE), "all still")


@pytest.mark.asyncio
async def test_strangers_that_say_nothing_keep_nobody_out(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        one = await made.ours("n1", profile=QUICK)
        silent = [await asyncio.open_connection(*one.agent.address) for _ in range(2 * STREAMS_MAX)]
        two = await made.ours("n2", profile=QUICK, join=(one.agent.address,))
        await until(lambda: one.sees(n1=ALIVE, n2=ALIVE) and two.sees(n1=ALIVE, n2=ALIVE), "both")
        assert one.agent.figures().refused["busy"] > STREAMS_MAX
        for _, writer in silent:
            writer.transport.abort()


@pytest.mark.asyncio
async def test_a_state_of_thousands_is_taken(tmp_path: Path) -> None:
    """Larger than what is read on the event loop, and than a connection's first share of memory."""
    many = [
        NodeState(incarnation=1, node=f"far-{i}", address=Address("127.0.0.1", 1 + i), state=State.LEFT)
        for i in range(2000)
    ]
    data = encode_stream(PushPull(join=False, nodes=tuple(many), user_state=b""), dialling=True)
    assert len(data) > LARGE_BYTES
    async with world(tmp_path) as made:
        one = await made.ours("n1", profile=QUICK)
        two = await made.ours("n2", profile=QUICK, join=(one.agent.address,))
        await until(lambda: one.sees(n1=ALIVE, n2=ALIVE) and two.sees(n1=ALIVE, n2=ALIVE), "both")
        for _ in range(3):
            reader, writer = await asyncio.open_connection(*one.agent.address)
            writer.write(data)
            answer = await reader.readexactly(1)
            assert answer[0] == MessageType.PUSH_PULL
            writer.transport.abort()
        assert one.agent.figures().refused == {}
        assert one.statuses["n2"] == two.statuses["n1"] == [ALIVE]


@pytest.mark.asyncio
async def test_a_monitor_that_does_not_read_is_not_waited_for(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        one = await made.ours("n1", profile=QUICK)
        reader, writer = await asyncio.open_connection(*one.rpc)
        for request in (
            {"Command": "handshake", "Seq": 0},
            {"Version": 1},
            {"Command": "stream", "Seq": 1},
            {"Type": "user"},
        ):
            writer.write(msgspec.msgpack.encode(request))
        await reader.readexactly(1)
        reader._transport.pause_reading()
        kernel = one.agent._kernel
        assert kernel is not None
        for number in range(4000):
            kernel.serf.user_event(f"event-{number}", bytes(450), coalesce=False)
            if number % 100 == 0:
                one.agent._driver.pump()
        (connection,) = one.agent._rpc._connections
        assert len(connection.session._output) <= RECORDS_BYTES_MAX + 1024
        assert connection._writer.transport.get_write_buffer_size() <= RECORDS_BYTES_MAX + 1024
        await until(lambda: one.agent.figures().rpc_sessions == 1, "it is served still")
        writer.transport.abort()
        await until(lambda: one.agent.figures().rpc_sessions == 0, "it is gone")
