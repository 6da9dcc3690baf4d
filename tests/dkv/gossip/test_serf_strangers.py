"""One member, and what strangers send it: news, nonsense, impossible times, states of push/pulls."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkv.gossip.kernel import Kernel
from dkv.gossip.memberlist import events
from dkv.gossip.memberlist.events import MemberFailed, StateReceived, UserMessage
from dkv.gossip.memberlist.members import described
from dkv.gossip.serf.asking import OPEN_MAX, Question
from dkv.gossip.serf.events import (
    NameConflictSettled,
    Note,
    QueryKey,
    QueryReceived,
    UserEventReceived,
)
from dkv.gossip.serf.lamport import LTIME_MAX
from dkv.gossip.serf.queries import ResponseRefused
from dkv.gossip.serf.snapshot_file import Clocks
from dkv.gossip.wire.filters import NodeFilter, TagFilter
from dkv.gossip.wire.internal_queries import InternalQuery, Status
from dkv.gossip.wire.particulars import Address
from dkv.gossip.wire.serf_messages import (
    JoinIntent,
    LeaveIntent,
    Query,
    QueryResponse,
    Relay,
    SerfMessage,
    UserEvent,
    decode,
    encode,
)
from dkv.gossip.wire.serf_state import SerfState, decode_state, encode_state
from tests.dkv.gossip.serf_cluster import Cluster, three


def alone() -> Kernel:
    return Cluster("a").members["a"]


def hear(kernel: Kernel, message, now: float = 1.0) -> list:
    """What comes of it."""
    while kernel.next_event(now) is not None:
        pass
    kernel.serf.receive(UserMessage(message if isinstance(message, bytes) else encode(message)), now)
    happened = []
    while (event := kernel.next_event(now)) is not None:
        happened.append(event)
    return happened


def gossip(kernel: Kernel) -> list[bytes]:
    """All that is to be told, once."""
    told = dict.fromkeys(payload for _ in range(9) for payload in kernel.serf.get_broadcasts(3, 60_000))
    return list(told)


def test_news_is_gossiped_on_as_it_came_and_only_once() -> None:
    kernel = alone()
    news = [
        JoinIntent(ltime=3, node="x"),
        LeaveIntent(ltime=4, node="x"),
        UserEvent(ltime=5, name="e"),
        Query(ltime=6, id=1, address=Address("10.0.0.9", 1), source_node="x", name="q", timeout_ns=10**9),
    ]
    for message in news:
        extended = encode(message) + b"trailing"
        hear(kernel, extended)
        assert gossip(kernel) == [extended]
        hear(kernel, extended)
        assert gossip(kernel) == []


def test_a_query_not_to_be_gossiped_and_one_too_old() -> None:
    kernel = alone()
    quiet = Query(ltime=6, id=1, address=Address("10.0.0.9", 1), source_node="x", name="q", flags=2, timeout_ns=1)
    assert any(isinstance(event, QueryReceived) for event in hear(kernel, quiet))
    assert gossip(kernel) == []


def test_leave_intents_about_us_are_refuted() -> None:
    kernel = alone()
    hear(kernel, LeaveIntent(ltime=7, node="a"))
    (refutation,) = map(decode, gossip(kernel))
    assert refutation == JoinIntent(ltime=8, node="a")
    hear(kernel, LeaveIntent(ltime=7, node="a"))
    assert gossip(kernel) == []


def test_impossible_times_and_nonsense() -> None:
    kernel = alone()
    before = kernel.serf.clocks()
    for message in (
        JoinIntent(ltime=LTIME_MAX, node="x"),
        UserEvent(ltime=2**64 - 1, name="e"),
        b"",
        b"\x09",
        b"\xff\xff",
    ):
        assert [type(event) for event in hear(kernel, message)] == [Note]
    kernel.serf.receive(StateReceived(b"\x02\xff", True), 1.0)
    impossible = SerfState(ltime=2**64 - 1, event_ltime=2**63, query_ltime=2**63, status_ltimes={"a": 2**64 - 1})
    kernel.serf.receive(StateReceived(encode_state(impossible), True), 1.0)
    assert kernel.serf.clocks() == before
    assert gossip(kernel) == []


def test_a_joiner_is_not_made_deaf() -> None:
    """By an impossible time of events, in the answer to its join."""
    kernel = alone()
    kernel.serf.begin_join(replay=False)
    state = SerfState(ltime=1, event_ltime=2**64 - 1, query_ltime=1, status_ltimes={})
    kernel.serf.receive(StateReceived(encode_state(state), True), 1.0)
    assert any(isinstance(each, UserEventReceived) for each in hear(kernel, UserEvent(ltime=5, name="e")))


def test_a_vote_waits_where_too_many_queries_are_open() -> None:
    kernel = alone()
    for _ in range(OPEN_MAX):
        kernel.serf.ask(Question(name="load"), 1.0)
    ourselves = kernel.swim.ourselves
    other = msgspec.structs.replace(ourselves, address=Address("10.6.6.6", 1))
    kernel.serf.receive(events.NameConflict(ourselves, other), 1.0)
    kernel.fire_timer(5.0)
    kernel.serf.receive(events.NameConflict(ourselves, other), 5.0)
    kernel.fire_timer(10.0)
    happened = []
    while (event := kernel.next_event(10.0)) is not None:
        happened.append(event)
    assert [type(event) for event in happened if isinstance(event, Note | NameConflictSettled)] == [
        Note,
        Note,
        NameConflictSettled,
    ]


def test_relays_carry_answers_only() -> None:
    kernel, there = alone(), Address("10.0.0.9", 9)
    answer, event = encode(QueryResponse(ltime=1, id=1, from_node="x")), encode(UserEvent(ltime=1, name="e"))
    for message, sent in ((answer, [there]), (event, [])):
        hear(kernel, Relay(address=there, node="y", message=message))
        assert [address for _, address in kernel.packets_to_send(1.0) if address == there] == sent


def test_what_is_said_of_the_clocks_is_one_less() -> None:
    kernel = alone()
    state = SerfState(ltime=10, event_ltime=20, query_ltime=30, status_ltimes={})
    kernel.serf.receive(StateReceived(encode_state(state), False), 1.0)
    told = decode_state(kernel.serf.local_state(False))
    assert (told.ltime, told.event_ltime, told.query_ltime) == (10, 20, 30)
    assert kernel.serf.clocks() == Clocks(9, 19, 29)


def test_merging_is_idempotent_and_commutes() -> None:
    """About members: those who left, by intents of times; whoever hears both sides in whatever order agrees."""
    left = SerfState(ltime=9, event_ltime=1, query_ltime=1, status_ltimes={"b": 5, "c": 4}, left_members=("b",))
    present = SerfState(ltime=7, event_ltime=1, query_ltime=1, status_ltimes={"b": 4, "c": 6})
    outcomes = []
    for order in ((left, present), (present, left), (left, present, left, left, present)):
        cluster = three()
        kernel = cluster.members["a"]
        kernel.serf.receive(MemberFailed(next(m for m in swim_members(kernel) if m.name == "b")), cluster.now)
        for state in order:
            kernel.serf.receive(StateReceived(encode_state(state), False), cluster.now)
        outcomes.append((cluster.statuses("a"), [kernel.serf.status_ltime(name) for name in "bc"]))
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert outcomes[0][0]["b"] is Status.LEFT


def swim_members(kernel: Kernel):
    return [described(node) for node in kernel.swim.members]


def test_a_leave_that_came_before_the_failure_counts() -> None:
    """``b``'s intent was heard, then a refutation lost; others have it as left by that very intent."""
    kernel = alone()
    told = events.Member(name="b", address=Address("10.0.0.9", 1), meta=b"", incarnation=1, versions=None)
    kernel.serf.receive(events.MemberJoined(told), 1.0)
    hear(kernel, JoinIntent(ltime=5, node="b"))
    kernel.serf.receive(MemberFailed(told), 1.0)
    left = SerfState(ltime=9, event_ltime=1, query_ltime=1, status_ltimes={"b": 5}, left_members=("b",))
    kernel.serf.receive(StateReceived(encode_state(left), False), 1.0)
    assert {member.node: member.status for member in kernel.serf.members()}["b"] is Status.LEFT


def test_what_fits_no_packet_is_delivered_but_not_gossiped() -> None:
    kernel = alone()
    assert any(isinstance(each, UserEventReceived) for each in hear(kernel, UserEvent(ltime=5, name="e" * 1400)))
    assert kernel.serf.stats()["event_queue"] == 0
    assert decode_state(kernel.serf.local_state(False)).events != ()


def test_left_members_times_do_not_grow_with_exchanges() -> None:
    cluster = three()
    cluster.members["c"].serf.leave(cluster.now)
    cluster.run(10)
    cluster.kill("c")
    cluster.run(10)
    before = cluster.members["a"].serf.status_ltime("c")
    cluster.run(300)
    assert cluster.members["a"].serf.status_ltime("c") == before


def test_a_restart_goes_on_where_it_was() -> None:
    cluster = three()
    cluster.members["a"].serf.user_event("old", b"", coalesce=False)
    cluster.run(5)
    clocks = cluster.members["b"].serf.clocks()
    assert clocks.events >= 1
    kernel = alone()
    again = type(kernel.serf)("b", Address("10.0.0.1", 1), rng=cluster.rng, now=0.0, recovered=clocks)
    again.receive(StateReceived(cluster.members["a"].serf.local_state(True), True), 0.0)
    assert again.next_event() is None, "an event of before"
    assert again.clocks() == clocks


def test_the_state_never_grows_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dkv.gossip.serf.serf.USER_STATE_BYTES_MAX", 100)
    kernel = alone()
    hear(kernel, UserEvent(ltime=5, name="e", payload=bytes(200)))
    assert len(kernel.serf.local_state(False)) <= 100


NAMES = st.sampled_from(["a", "b", "x", "ü y"])
LTIMES = st.integers(0, 12) | st.integers(0, 2**64 - 1)
ADDRESSES = st.builds(
    Address, st.sampled_from(["10.0.0.1", "10.0.0.9", "::1", "255.255.255.255"]), st.integers(0, 65535)
)
FILTERS = st.builds(NodeFilter, st.just(("a",))) | st.builds(
    TagFilter, NAMES, st.sampled_from(["", "(", "a*", "(a|b){9}"])
)
MESSAGES = st.one_of(
    st.builds(JoinIntent, ltime=LTIMES, node=NAMES),
    st.builds(LeaveIntent, ltime=LTIMES, node=NAMES, prune=st.booleans()),
    st.builds(UserEvent, ltime=LTIMES, name=NAMES, payload=st.binary(max_size=9)),
    st.builds(
        Query,
        ltime=LTIMES,
        id=st.integers(0, 3),
        address=ADDRESSES,
        source_node=NAMES,
        name=st.sampled_from(["q", *InternalQuery]),
        payload=st.binary(max_size=9),
        filters=st.lists(FILTERS, max_size=2).map(tuple),
        flags=st.integers(0, 3),
        relay_factor=st.integers(0, 255),
        timeout_ns=st.integers(0, 2**63 - 1),
    ),
    st.builds(QueryResponse, ltime=LTIMES, id=st.integers(0, 3), from_node=NAMES, payload=st.binary(max_size=9)),
    st.builds(Relay, address=ADDRESSES, node=NAMES, message=st.binary(min_size=1, max_size=9)),
)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(MESSAGES, max_size=12))
def test_whatever_strangers_say(messages: list[SerfMessage]) -> None:
    """No exception, no clock that goes back, a state that others understand, and we ourselves stay."""
    kernel, now = alone(), 1.0
    for message in messages:
        before, now = kernel.serf.clocks(), now + 3
        hear(kernel, message, now)
        after = kernel.serf.clocks()
        assert after.members >= before.members
        assert after.events >= before.events
        assert after.queries >= before.queries
        if kernel.next_timer() <= now:
            kernel.fire_timer(now)
        assert decode_state(kernel.serf.local_state(False)).left_out == 0
        assert kernel.serf.ourselves is not None
        assert kernel.serf.ourselves.status is Status.ALIVE
        assert all(decode(payload) for payload in gossip(kernel))


def test_answers_to_nothing_are_ignored() -> None:
    kernel = alone()
    assert hear(kernel, QueryResponse(ltime=1, id=1, from_node="x", payload=b"")) == []
    with pytest.raises(ResponseRefused):
        kernel.serf.respond(QueryKey(1, 1), b"", 1.0)


def test_clocks_at_their_end_stop_nobody() -> None:
    kernel, last = alone(), LTIME_MAX - 1
    state = SerfState(ltime=last, event_ltime=last, query_ltime=last, status_ltimes={"a": last}, left_members=("a",))
    kernel.serf.receive(StateReceived(encode_state(state), False), 1.0)
    for message in (
        LeaveIntent(ltime=last, node="a"),
        UserEvent(ltime=last, name="e"),
        Query(ltime=last, id=1, address=Address("10.0.0.9", 1), source_node="x", name="q", timeout_ns=1),
    ):
        hear(kernel, message)
    kernel.serf.user_event("ours", b"", coalesce=False)
    kernel.serf.ask(Question(name="ours"), 1.0)
    kernel.serf.force_leave("x", 1.0)
    kernel.serf.end_join(1, 1.0, replay=True)
    kernel.serf.leave(1.0)
    assert decode_state(kernel.serf.local_state(False)).left_out == 0
    assert max(decode(payload).ltime for payload in gossip(kernel)) > LTIME_MAX
