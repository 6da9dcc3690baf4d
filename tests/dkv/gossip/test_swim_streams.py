"""Exchanges over TCP, and what packets look like."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkv.gossip.memberlist.events import (
    JoinFinished,
    MemberJoined,
    StateReceived,
    UserMessage,
)
from dkv.gossip.memberlist.profiles import LAN
from dkv.gossip.wire.encryption import Keyring
from dkv.gossip.wire.messages import (
    Ack,
    Alive,
    Dead,
    ErrorReply,
    IndirectPing,
    Message,
    Nack,
    Ping,
    Suspect,
    User,
    encode,
)
from dkv.gossip.wire.packets import Envelope, decode_packet, encode_packet
from dkv.gossip.wire.particulars import U32_MAX, Address
from dkv.gossip.wire.push_pull import PushPull, State
from tests.dkv.gossip.swim_bench import STRANGER, A, B, Bench, C, alive, dead, entry

# --- streams ----------------------------------------------------------------------------------------------------------


def test_joining() -> None:
    bench = Bench()
    bench.swim.join(STRANGER, 0.0)
    (stream,) = bench.swim.streams_to_open(0.0)
    assert isinstance(stream.request, PushPull)
    assert (stream.request.join, stream.request.user_state, stream.deadline) == (True, b"serf's", LAN.stream_timeout_s)
    nodes = (entry("b", State.ALIVE), entry("c", State.DEAD), entry("d", State.LEFT))
    bench.swim.stream_done(stream.stream, PushPull(join=True, nodes=nodes, user_state=b"theirs"), 0.0)
    kinds = [event for event in bench.events() if not isinstance(event, MemberJoined)]
    assert kinds == [StateReceived(b"theirs", True), JoinFinished(STRANGER)]
    assert [node.node for node in bench.swim.members] == ["a", "b"]


@pytest.mark.parametrize("how", ["refused", "answered with an error", "no answer"])
def test_joins_that_fail_say_why_and_only_once(how: str) -> None:
    bench = Bench()
    bench.swim.join(STRANGER, 0.0)
    (stream,) = bench.swim.streams_to_open(0.0)
    if how == "refused":
        bench.swim.stream_failed(stream.stream, "connection refused", 1.0)
    elif how == "answered with an error":
        bench.swim.stream_done(stream.stream, ErrorReply(error="we are encrypted"), 1.0)
    list(bench.run(LAN.stream_timeout_s))
    bench.swim.stream_failed(stream.stream, "too late", bench.now)
    (event,) = bench.events()
    reasons = {"refused": "connection refused", "answered with an error": "we are encrypted"}
    assert event == JoinFinished(STRANGER, reasons.get(how, "no answer in time"))


def test_a_state_gives_the_dead_a_chance() -> None:
    bench = Bench("b", "c")
    theirs = PushPull(join=False, nodes=(entry("b", State.DEAD), entry("c", State.SUSPECT)))
    answer = bench.swim.receive_stream(theirs, B, 0.0)
    assert isinstance(answer, PushPull)
    assert {node.state for node in answer.nodes} == {State.ALIVE}, "the answer is from before the merge"
    assert {bench.swim.members[name].state for name in "bc"} == {State.SUSPECT}
    assert bench.events() == []


def test_pings_and_user_messages_over_tcp() -> None:
    bench = Bench()
    assert bench.swim.receive_stream(Ping(sequence=4, node="a"), B, 0.0) == Ack(sequence=4)
    assert bench.swim.receive_stream(Ping(sequence=4, node="b"), B, 0.0) is None
    assert bench.swim.receive_stream(User(payload=b"\x03"), B, 0.0) is None
    assert bench.events() == [UserMessage(b"\x03")]


def test_states_are_exchanged_now_and_then() -> None:
    bench = Bench("b")
    opened = []
    while bench.now < 70.0:
        list(bench.run(0.1))
        bench.hear(alive("b", int(bench.now) + 2))
        requests = bench.swim.streams_to_open(bench.now)
        opened += [(s.address, s.request.join) for s in requests if isinstance(s.request, PushPull)]
    assert set(opened) == {(B, False)}
    assert 1 <= len(opened) <= 2


# --- bytes ------------------------------------------------------------------------------------------------------------


def test_gossip_of_the_layer_above_goes_with_ours_within_a_packet() -> None:
    bench = Bench("b")
    bench.extra = [b"\x03" + bytes(600)]
    packets: list[tuple[bytes, Address]] = []
    while not packets:
        bench.now = bench.swim.next_timer()
        bench.swim.fire_timer(bench.now)
        packets = bench.swim.packets_to_send(bench.now)
    messages = decode_packet(packets[0][0]).messages
    assert {type(message) for message in messages} >= {User, Alive}
    assert len(packets[0][0]) <= 1405


def test_with_a_keyring_everything_is_encrypted_and_the_rest_refused() -> None:
    envelope = Envelope(b"cluster", Keyring(bytes(16)))
    bench = Bench("b", envelope=envelope)
    bench.until(Ping)
    bench.swim.receive_packet(encode_packet([encode(dead("b", "c"))]), B, bench.now)
    assert bench.swim.counters.packets_refused == 1
    assert bench.swim.counters.last_refusal
    assert bench.events() == []
    bench.swim.envelope = bench.envelope = Envelope(b"cluster", Keyring(bytes(16)).install(bytes(32)).use(bytes(32)))
    bench.hear(Ping(sequence=1))
    assert bench.said(Ack), "after a rotation the old packets' key still opens, the new one seals"


def test_a_full_table_turns_newcomers_away() -> None:
    bench = Bench("b")
    for number in range(1000):
        many = [Alive(incarnation=1, node=f"{number}-{n}", address=C, meta=bytes(1400)) for n in range(20)]
        bench.hear(*many)
        bench.events()
        if bench.swim.turned_away:
            break
    assert bench.swim.turned_away
    before = len(bench.swim.members)
    bench.hear(alive("b", 2, meta=bytes(1400)))
    assert (len(bench.swim.members), bench.swim.members["b"].meta) == (before, b"")


NAMES = st.sampled_from(["a", "b", "c"])
NUMBERS = st.integers(0, 4) | st.just(U32_MAX)
MESSAGES = st.one_of(
    st.builds(
        Alive, incarnation=NUMBERS, node=NAMES, address=st.sampled_from([A, B, C]), meta=st.sampled_from([b"", b"m"])
    ),
    st.builds(Suspect, incarnation=NUMBERS, node=NAMES, from_node=NAMES),
    st.builds(Dead, incarnation=NUMBERS, node=NAMES, from_node=NAMES),
    st.builds(Ack, sequence=NUMBERS),
    st.builds(Nack, sequence=NUMBERS),
    st.builds(Ping, sequence=NUMBERS, node=NAMES),
    st.builds(IndirectPing, sequence=NUMBERS, node=NAMES, target=st.sampled_from([B, C]), nack=st.booleans()),
)


@given(st.lists(st.tuples(MESSAGES, st.floats(0, 3)), max_size=40), st.booleans())
def test_whatever_is_said_it_stays_itself(script: list[tuple[Message, float]], leaves: bool) -> None:
    """It is alive under a rising incarnation until it leaves, and suspects only members that it has."""
    bench, incarnation = Bench(), 1
    for number, (message, pause_s) in enumerate(script):
        if leaves and number == 20:
            bench.swim.leave(bench.now)
        bench.hear(message)
        for _ in bench.run(pause_s):
            pass
        ourselves = bench.swim.members["a"]
        assert ourselves.state is (State.LEFT if leaves and number >= 20 else State.ALIVE)
        assert ourselves.incarnation >= incarnation
        incarnation = ourselves.incarnation
        suspects = [node for node in bench.swim.members if node.state is State.SUSPECT]
        assert len(suspects) == bench.swim.suspected
