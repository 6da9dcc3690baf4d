"""Failure detection: pings, those of others, suspicions, and the dead."""

from __future__ import annotations

import pytest

from dkv.gossip.memberlist.events import (
    AckReceived,
    MemberFailed,
    MemberJoined,
)
from dkv.gossip.memberlist.profiles import LAN
from dkv.gossip.wire.messages import Ack, Dead, IndirectPing, Nack, Ping, Suspect
from dkv.gossip.wire.packets import decode_packet
from tests.dkv.gossip.swim_bench import STRANGER, A, B, Bench, C, D, alive, dead, suspect


def test_pings_are_answered_where_they_ask_for_it() -> None:
    bench = Bench()
    bench.hear(Ping(sequence=1, node="a"), source=STRANGER)
    bench.hear(Ping(sequence=2), source=STRANGER)
    bench.hear(Ping(sequence=3, node="a", source=C), source=STRANGER)
    bench.hear(Ping(sequence=4, node="somebody else"), source=STRANGER)
    acks = [(m.sequence, m.payload, address) for m, address in bench.sent() if isinstance(m, Ack)]
    assert acks == [(1, b"coordinate", STRANGER), (2, b"coordinate", STRANGER), (3, b"coordinate", C)]


def test_an_ack_ends_the_probe() -> None:
    bench = Bench("b")
    ping, address = bench.until(Ping)
    assert (ping.node, ping.source, ping.source_node, address) == ("b", A, "a", B)
    bench.now += 0.125
    bench.hear(Ack(sequence=ping.sequence, payload=b"where b is"))
    (event,) = bench.events()
    assert isinstance(event, AckReceived)
    assert (event.member.name, event.payload) == ("b", b"where b is")
    assert event.rtt_s == pytest.approx(0.125)
    assert not any(isinstance(message, Suspect) for message, _ in bench.run(0.9))


def test_without_one_others_are_asked_and_at_last_it_is_suspected_and_dead() -> None:
    bench = Bench("b", "c", "d")
    ping, target = bench.until(Ping)
    began = bench.now
    asked, helpers = bench.until(IndirectPing)
    assert asked == IndirectPing(
        sequence=ping.sequence, node=ping.node, target=target, nack=True, source=A, source_node="a"
    )
    assert helpers != target
    assert bench.now - began == pytest.approx(LAN.probe_timeout_s)
    (stream,) = bench.swim.streams_to_open(bench.now)
    assert (stream.address, stream.request) == (target, ping)
    accusation = bench.until(Suspect)[0]
    assert accusation == suspect(ping.node, "a")
    assert stream.deadline == pytest.approx(began + LAN.probe_interval_s)
    assert bench.swim.awareness.score == 2, "two were asked, and neither said a nack"
    bench.hear(suspect(ping.node, "x"), suspect(ping.node, "y"))
    assert bench.until(Dead, 8.0)[0] == dead(ping.node, "a")
    assert ping.node in {e.member.name for e in bench.events() if isinstance(e, MemberFailed)}


def test_nacks_tell_that_we_are_well() -> None:
    bench = Bench("b", "c", "d")
    ping, _ = bench.until(Ping)
    bench.until(IndirectPing)
    bench.hear(Nack(sequence=ping.sequence), Nack(sequence=ping.sequence), Nack(sequence=99))
    bench.until(Suspect)
    assert bench.swim.awareness.score == 0


@pytest.mark.parametrize("over_tcp", [True, False])
def test_a_late_ack_or_one_over_tcp_saves_the_target(over_tcp: bool) -> None:
    bench = Bench("b", "c")
    ping, _ = bench.until(Ping)
    bench.until(IndirectPing)
    (stream,) = bench.swim.streams_to_open(bench.now)
    if over_tcp:
        bench.swim.stream_done(stream.stream, Ack(sequence=ping.sequence), bench.now)
    else:
        bench.hear(Ack(sequence=ping.sequence, payload=b"relayed"))
    assert not any(isinstance(message, Suspect) for message, _ in bench.run(0.6))
    assert bench.events() == []


def test_a_wrong_answer_over_tcp_does_not() -> None:
    bench = Bench("b")
    ping, _ = bench.until(Ping)
    list(bench.run(0.55))
    (stream,) = bench.swim.streams_to_open(bench.now)
    bench.swim.stream_done(stream.stream, Ack(sequence=ping.sequence + 1), bench.now)
    bench.until(Suspect)


def test_a_suspect_is_told_so_with_the_ping() -> None:
    bench = Bench("b")
    bench.hear(suspect("b", "c"))
    while True:
        bench.now = bench.swim.next_timer()
        assert bench.now < 4.0, "no ping before the suspicion was over"
        bench.swim.fire_timer(bench.now)
        packets = [decode_packet(data).messages for data, _ in bench.swim.packets_to_send(bench.now)]
        if with_ping := [messages for messages in packets if isinstance(messages[0], Ping)]:
            break
    assert suspect("b", "a") in with_ping[0]


def test_an_indirect_ping_is_relayed_and_its_ack_goes_back() -> None:
    bench = Bench()
    bench.hear(IndirectPing(sequence=77, node="x", target=D, nack=True, source=C), source=STRANGER)
    ((ping, target),) = [(m, address) for m, address in bench.sent() if isinstance(m, Ping)]
    assert (ping.node, target) == ("x", D)
    bench.hear(Ack(sequence=ping.sequence, payload=b"x's"), source=D)
    assert [sent for sent in bench.sent() if isinstance(sent[0], Ack)] == [(Ack(sequence=77), C)]
    assert not any(isinstance(message, Nack) for message, _ in bench.run(2.0)), "a nack after an ack"


@pytest.mark.parametrize("nack", [True, False])
def test_without_an_ack_it_says_so_if_it_was_asked_to(nack: bool) -> None:
    bench = Bench()
    bench.hear(IndirectPing(sequence=77, node="x", target=D, nack=nack), source=C)
    bench.sent()
    later = [sent for sent in bench.run(2.0) if isinstance(sent[0], Nack)]
    assert later == ([(Nack(sequence=77), C)] if nack else [])


def test_relays_are_bounded() -> None:
    bench = Bench()
    for _ in range(40):
        bench.hear(*(IndirectPing(sequence=n, node="x", target=D, nack=True) for n in range(50)), source=C)
    assert len(bench.said(Ping)) == 1024
    assert sum(isinstance(message, Nack) for message, _ in bench.run(1.0)) == 1024


def test_the_dead_are_told_for_a_while_and_then_forgotten() -> None:
    bench = Bench("b")
    bench.hear(dead("b", "c"))
    told = [m for m, address in bench.run(10.0) if isinstance(m, Dead) and address == B]
    assert told
    assert "b" in bench.swim.members
    list(bench.run(LAN.gossip_to_the_dead_s))
    assert "b" not in bench.swim.members
    bench.hear(alive("b", 1, address=D))
    assert isinstance(bench.events()[-1], MemberJoined)


def test_after_a_long_probe_the_next_begins_at_once() -> None:
    bench = Bench("b", "c", "d")
    bench.swim.awareness.change(+1)
    first, _ = bench.until(Ping)
    began = bench.now
    second, _ = bench.until(Ping)
    assert second.node != first.node
    assert bench.now - began == pytest.approx(2 * LAN.probe_interval_s)
