"""What was seen before: user events and queries by their Lamport times, and queries of ours that collect answers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkv.gossip.memberlist.profiles import LAN, LOCAL
from dkv.gossip.serf import user_events
from dkv.gossip.serf.asking import OPEN_MAX, OpenQueries, Question, TooManyQueries, default_timeout_s, query_of
from dkv.gossip.serf.events import QueryAcked, QueryAnswered, QueryKey
from dkv.gossip.serf.lamport import LamportClock
from dkv.gossip.serf.queries import (
    PENDING_MAX,
    QUERIES_PER_TIME_MAX,
    Pending,
    PendingQueries,
    QueryRing,
    ResponseRefused,
    is_for,
)
from dkv.gossip.serf.user_events import EVENT_ACCEPTED_BYTES_MAX, SLOTS, EventRing, check_size
from dkv.gossip.wire.filters import Filter, NodeFilter, TagFilter, UnknownFilter
from dkv.gossip.wire.limits import TooLarge
from dkv.gossip.wire.particulars import Address
from dkv.gossip.wire.serf_messages import RESPONSE_ACK, QueryFlag, QueryResponse, UserEvent, decode, encode

HERE = Address("10.0.0.1", 7946)


def event(ltime: int, name: str = "deploy", payload: bytes = b"") -> UserEvent:
    return UserEvent(ltime=ltime, name=name, payload=payload)


def ring_at(time: int) -> EventRing:
    clock = LamportClock()
    clock.witness(time - 1)
    return EventRing(clock)


@pytest.mark.parametrize(("ltime", "taken"), [(1488, False), (1489, True), (2000, True), (3000, True)])
def test_the_window_of_events_as_the_agents(ltime: int, taken: bool) -> None:
    assert ring_at(2001).take(event(ltime)) is taken


def test_events_once() -> None:
    ring = ring_at(1)
    assert ring.take(event(4))
    assert not ring.take(event(4))
    assert ring.take(event(4, payload=b"other"))
    assert ring.take(event(4, name="other"))
    assert ring.take(event(5))
    assert [(past.ltime, len(past.events)) for past in ring.told()] == [(4, 3), (5, 1)]


def test_events_of_before() -> None:
    ring = ring_at(1)
    ring.skip_before(10)
    ring.skip_before(5)
    assert not ring.take(event(9))
    assert ring.take(event(10))


def test_a_flood_of_events_is_bounded_and_never_delivered_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_events, "RING_BYTES_MAX", 4000)
    ring, flood = ring_at(1), [event(1 + number % 40, f"e{number}", bytes(100)) for number in range(200)]
    delivered = [each for _ in range(3) for each in flood if ring.take(each)]
    assert len(delivered) == len(set(delivered))
    assert sum(len(each.payload) for past in ring.told() for each in past.events) <= 4000
    assert not ring_at(1).take(event(1, payload=bytes(EVENT_ACCEPTED_BYTES_MAX)))


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 2 * SLOTS), max_size=60))
def test_events_are_delivered_once_and_their_ring_stays_small(ltimes: list[int]) -> None:
    ring = ring_at(1)
    delivered = [ltime for ltime in ltimes if ring.take(event(ltime))]
    assert len(delivered) == len(set(delivered))
    clock = max([*ltimes, 0]) + 1
    assert all(past.ltime >= clock - SLOTS - 1 for past in ring.told())


def test_sizes_of_our_events() -> None:
    check_size(event(1, "x", bytes(400)))
    with pytest.raises(TooLarge, match="configured limit of 512 bytes before encoding"):
        check_size(event(1, "x", bytes(512)))
    with pytest.raises(TooLarge, match="after encoding"):
        check_size(event(1, "x", bytes(500)))


def test_queries_once() -> None:
    ring = QueryRing(clock := LamportClock())
    assert ring.take(QueryKey(7, 1))
    assert not ring.take(QueryKey(7, 1))
    assert ring.take(QueryKey(7, 2))
    assert ring.take(QueryKey(8, 1))
    assert clock.time == 9
    for number in range(2 * QUERIES_PER_TIME_MAX):
        ring.take(QueryKey(9, number))
    assert not ring.take(QueryKey(9, 2 * QUERIES_PER_TIME_MAX))
    clock.witness(2000)
    assert not ring.take(QueryKey(2001 - SLOTS - 1, 1))
    assert ring.take(QueryKey(2001 - SLOTS, 1))


@pytest.mark.parametrize(
    ("filters", "passes"),
    [
        ([], True),
        ([NodeFilter(("a", "b"))], True),
        ([NodeFilter(("b",))], False),
        ([TagFilter("role", "^w")], True),
        ([TagFilter("role", "^b")], False),
        ([TagFilter("missing", "")], True),
        ([TagFilter("missing", ".")], False),
        ([NodeFilter(("a",)), TagFilter("role", "db")], False),
        ([TagFilter("role", "(")], False),
        ([TagFilter("role", "(.*.*){100}")], False),
        ([UnknownFilter(b"\x09")], False),
        ([TagFilter("role", "(x?){20}")] * 10, False),
    ],
)
def test_filters(filters: list[Filter], passes: bool) -> None:
    assert is_for(filters, "a", {"role": "web"}) is passes


def pending(number: int = 1, deadline: float = 10.0) -> Pending:
    return Pending(key=QueryKey(1, number), address=HERE, source_node="b", relay_factor=0, deadline=deadline)


def test_one_answer_in_time() -> None:
    waiting = PendingQueries()
    waiting.add(pending())
    with pytest.raises(ResponseRefused, match="response exceeds limit of 1024 bytes"):
        waiting.settle(QueryKey(1, 1), "a", bytes(1024), 1.0)
    with pytest.raises(ResponseRefused, match="past the deadline"):
        waiting.settle(QueryKey(1, 1), "a", b"", 10.1)
    asked, answer = waiting.settle(QueryKey(1, 1), "a", b"x", 10.0)
    assert (asked.address, answer) == (HERE, QueryResponse(ltime=1, id=1, from_node="a", payload=b"x"))
    with pytest.raises(ResponseRefused, match="already sent"):
        waiting.settle(QueryKey(1, 1), "a", b"x", 1.0)


def test_unanswered_queries_go() -> None:
    waiting = PendingQueries()
    for number in range(PENDING_MAX + 5):
        waiting.add(pending(number, deadline=float(number)))
    assert len(waiting) == PENDING_MAX
    waiting.expire(105.0)
    assert len(waiting) == PENDING_MAX - 100


@pytest.mark.parametrize(
    ("profile", "members", "timeout_s"), [(LAN, 3, 3.2), (LAN, 9, 3.2), (LAN, 10, 6.4), (LOCAL, 9, 1.6)]
)
def test_default_timeouts(profile, members: int, timeout_s: float) -> None:
    assert default_timeout_s(profile, members) == pytest.approx(timeout_s)


def test_the_question_as_it_travels() -> None:
    question = Question(name="load", payload=b"pp", wants_acks=True, filters=(NodeFilter(("a",)),), relay_factor=2)
    query = query_of(question, QueryKey(3, 4), HERE, "us", 1.5)
    assert (query.flags, query.timeout_ns, query.source_node) == (QueryFlag.ACK, 1_500_000_000, "us")
    assert decode(encode(query)) == query
    with pytest.raises(TooLarge, match="query exceeds limit of 1024 bytes"):
        query_of(Question(name="x", payload=bytes(1024)), QueryKey(3, 4), HERE, "us", 1.0)


def test_collecting_answers() -> None:
    asked, key = OpenQueries(), QueryKey(3, 4)
    asked.open(key, 5.0)

    def response(node: str, flags: int = 0, id: int = 4) -> QueryResponse:
        payload = None if flags else b"x"
        return QueryResponse(ltime=3, id=id, from_node=node, flags=flags, payload=payload)

    assert asked.take(response("a", RESPONSE_ACK)) == QueryAcked(key, "a")
    assert asked.take(response("a")) == QueryAnswered(key, "a", b"x")
    assert asked.take(response("a")) is None
    assert asked.take(response("a", RESPONSE_ACK)) is None
    assert asked.take(response("b")) == QueryAnswered(key, "b", b"x")
    assert asked.take(response("b", id=5)) is None
    assert asked.next_deadline() == 5.0
    assert list(asked.close_due(4.9)) == []
    assert list(asked.close_due(5.0)) == [key]
    assert asked.take(response("c")) is None
    assert asked.next_deadline() is None


def test_too_many_questions() -> None:
    asked = OpenQueries()
    for number in range(OPEN_MAX):
        asked.open(QueryKey(1, number), 5.0)
    with pytest.raises(TooManyQueries):
        asked.open(QueryKey(1, OPEN_MAX), 5.0)
