"""memberlist's and Serf's messages: all values there and back, and what no member can have said refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkv.gossip.wire import messages, serf_messages
from dkv.gossip.wire.filters import NodeFilter, TagFilter, UnknownFilter, decode_filter, encode_filter
from dkv.gossip.wire.internal_queries import (
    KeyRequest,
    KeyResponse,
    Member,
    Status,
    decode_key_request,
    decode_key_response,
    decode_member,
    encode_key_request,
    encode_key_response,
    encode_member,
)
from dkv.gossip.wire.limits import META_ACCEPTED_BYTES_MAX, NAME_BYTES_MAX, BadPacket, TooLarge
from dkv.gossip.wire.packing import array, fields, integer, raw, text
from dkv.gossip.wire.particulars import OUR_VERSIONS, Address, Versions
from dkv.gossip.wire.serf_state import PastEvent, PastEvents, SerfState, decode_state, encode_state
from dkv.gossip.wire.tags import decode_tags, encode_tags

U8, U16, U32, U64 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32, 64))
NAMES = st.text(min_size=1, max_size=60).filter(str.isprintable)
ADDRESSES = st.builds(Address, (st.ip_addresses(v=4) | st.ip_addresses(v=6)).map(str), U16)
SOURCES = st.none() | st.builds(Address, st.ip_addresses(v=4).map(str), st.integers(1, 65_535))
VERSIONS = st.builds(Versions, U8, U8, U8, U8, U8, U8)
BYTES = st.binary(max_size=80)
BOOLS = st.booleans()

MESSAGES = st.one_of(
    st.builds(messages.Ping, sequence=U32, node=NAMES | st.just(""), source=SOURCES, source_node=NAMES),
    st.builds(messages.IndirectPing, sequence=U32, node=NAMES, target=ADDRESSES, nack=BOOLS, source=SOURCES),
    st.builds(messages.Ack, sequence=U32, payload=BYTES),
    st.builds(messages.Nack, sequence=U32),
    st.builds(messages.Suspect, incarnation=U32, node=NAMES, from_node=NAMES),
    st.builds(messages.Dead, incarnation=U32, node=NAMES, from_node=NAMES),
    st.builds(
        messages.Alive, incarnation=U32, node=NAMES, address=ADDRESSES, meta=BYTES, versions=VERSIONS | st.none()
    ),
    st.builds(messages.User, payload=BYTES),
    st.builds(messages.ErrorReply, error=NAMES),
)
FILTERS = st.one_of(
    st.builds(NodeFilter, st.lists(NAMES, max_size=20).map(tuple)),
    st.builds(TagFilter, NAMES, st.text()),
    st.builds(UnknownFilter, BYTES.map(lambda data: b"\x02" + data)),
)
SERF_MESSAGES = st.one_of(
    st.builds(serf_messages.JoinIntent, ltime=U64, node=NAMES),
    st.builds(serf_messages.LeaveIntent, ltime=U64, node=NAMES, prune=BOOLS),
    st.builds(serf_messages.UserEvent, ltime=U64, name=st.text(), payload=BYTES, coalesce=BOOLS),
    st.builds(
        serf_messages.Query,
        ltime=U64,
        id=U32,
        address=ADDRESSES,
        source_node=NAMES,
        name=st.text(),
        payload=BYTES,
        filters=st.lists(FILTERS, max_size=3).map(tuple),
        flags=U32,
        relay_factor=U8,
        timeout_ns=st.integers(0, 2**63 - 1),
    ),
    st.builds(serf_messages.QueryResponse, ltime=U64, id=U32, from_node=NAMES, flags=U32, payload=BYTES | st.none()),
    st.builds(serf_messages.Relay, address=ADDRESSES, node=NAMES, message=st.binary(min_size=1, max_size=80)),
)
PAST_EVENTS = st.builds(PastEvents, U64, st.lists(st.builds(PastEvent, st.text(), BYTES), max_size=3).map(tuple))
STATES = st.builds(
    SerfState,
    ltime=U64,
    event_ltime=U64,
    query_ltime=U64,
    status_ltimes=st.dictionaries(NAMES, U64),
    left_members=st.lists(NAMES).map(tuple),
    events=st.lists(PAST_EVENTS, max_size=4).map(tuple),
    left_out=st.just(0),
)
TAGS = st.dictionaries(NAMES, NAMES | st.just(""), max_size=3)
MEMBERS = st.builds(Member, node=NAMES, address=ADDRESSES, tags=TAGS, status=st.sampled_from(Status), versions=VERSIONS)


@settings(derandomize=True, max_examples=300)
@given(MESSAGES)
def test_messages(message: messages.Message) -> None:
    assert messages.decode(messages.encode(message)) == message


@settings(derandomize=True, max_examples=300)
@given(SERF_MESSAGES)
def test_serf_messages(message: serf_messages.SerfMessage) -> None:
    assert serf_messages.decode(serf_messages.encode(message)) == message


@settings(derandomize=True, max_examples=60)
@given(STATES)
def test_states(state: SerfState) -> None:
    assert decode_state(encode_state(state)) == state


@settings(derandomize=True, max_examples=60)
@given(MEMBERS | st.none(), BYTES)
def test_what_messages_carry(member: Member | None, key: bytes) -> None:
    assert decode_member(encode_member(member)) == member
    assert decode_key_request(encode_key_request(KeyRequest(key))) == KeyRequest(key)


def test_the_ring_of_events_as_agents_lay_it_out() -> None:
    """The newest first: its slot lies before the others'."""
    events = tuple(PastEvents(ltime, (PastEvent("e"),)) for ltime in (512, 3, 511))
    state = SerfState(ltime=1, event_ltime=513, query_ltime=1, status_ltimes={}, events=events)
    assert decode_state(encode_state(state, ring_slots=512)) == state


@settings(derandomize=True, max_examples=60)
@given(TAGS)
def test_tags(tags: dict[str, str]) -> None:
    assert decode_tags(encode_tags(tags)) == tags


def test_tags_of_others() -> None:
    assert decode_tags(b"") == {"role": ""}
    assert decode_tags(b"legacy") == {"role": "legacy"}
    assert decode_tags(b"\x1b[2J") == {"role": "\ufffd[2J"}
    assert decode_tags(b"\xff\x80") == {}
    assert decode_tags(b"\xff\x81\xa1a\xa2\xff\xfe") == {"a": "\ufffd\ufffd"}
    assert decode_tags(b"\xff\x81\xa1a\xa4\x1b[2J") == {"a": "\ufffd[2J"}
    for meta in (b"\xff", b"\xff\x81", b"\xff\x91\x01", b"\xff\x81\x01\xa1a", b"\xff\xdf\xff\xff\xff\xff"):
        with pytest.raises(BadPacket):
            decode_tags(meta)


def test_tags_that_are_too_large() -> None:
    with pytest.raises(TooLarge, match="the limit is 512"):
        encode_tags({"rest": "x" * 512})


WHOLE: dict[str, bytes] = {
    "Incarnation": integer(1),
    "Node": text("a"),
    "Addr": raw(b"\x7f\0\0\1"),
    "Port": integer(7946),
    "Meta": raw(b"\xff\x80"),
    "Vsn": raw(b"\1\5\2\2\5\5"),
}


def alive(**changed: bytes) -> messages.Message:
    return messages.decode(b"\x04" + fields({**WHOLE, **changed}))


def test_an_alive_of_other_writers() -> None:
    plain = messages.Alive(incarnation=1, node="a", address=Address("127.0.0.1", 7946), meta=b"\xff\x80")
    assert alive() == plain
    assert alive(Vsn=array([integer(number) for number in OUR_VERSIONS])) == plain
    assert alive(Node=b"\xd9\x01a", Meta=b"\xc4\x02\xff\x80", Port=b"\xd2\0\0\x1f\x0a", More=b"\x91\xc0") == plain
    assert messages.decode(messages.encode(plain) + b"\0trailing") == plain


@pytest.mark.parametrize("nothing", [b"\xc0", b"\xa0", b"\xc4\0", b"\x90"])
def test_an_alive_without_versions(nothing: bytes) -> None:
    message = alive(Vsn=nothing)
    assert isinstance(message, messages.Alive)
    assert message.versions is None


REFUSED = {
    "no name": {"Node": text("")},
    "nil for a name": {"Node": b"\xc0"},
    "a name that is no text": {"Node": raw(b"\xff\xfe")},
    "a name that cannot be printed": {"Node": text("a\nb")},
    "a name that is binary": {"Node": b"\xc4\x01a"},
    "a name that is too long": {"Node": text("n" * (NAME_BYTES_MAX + 1))},
    "no address": {"Addr": b"\xc0"},
    "an address of five bytes": {"Addr": raw(b"12345")},
    "a port that is too large": {"Port": integer(65_536)},
    "a negative port": {"Port": integer(-1)},
    "an incarnation of 33 bits": {"Incarnation": integer(2**32)},
    "an incarnation that is no whole number": {"Incarnation": b"\xca\x3f\x80\x00\x00"},
    "an incarnation in text": {"Incarnation": text("1")},
    "one version": {"Vsn": raw(b"\1")},
    "five versions": {"Vsn": raw(b"\1\5\2\2\5")},
    "seven versions": {"Vsn": raw(b"\1\5\2\2\5\5\5")},
    "versions beyond a byte": {"Vsn": array([integer(256)] * 6)},
    "too large a meta": {"Meta": raw(bytes(META_ACCEPTED_BYTES_MAX + 1))},
}


@pytest.mark.parametrize("changed", REFUSED.values(), ids=REFUSED)
def test_an_alive_that_cannot_be(changed: dict[str, bytes]) -> None:
    with pytest.raises(BadPacket):
        alive(**changed)


def test_a_source_of_one_half_is_none() -> None:
    for half in ({"SourceAddr": raw(b"\x7f\0\0\1")}, {"SourcePort": integer(1)}):
        ping = messages.decode(b"\x00" + fields({"SeqNo": integer(1), **half}))
        assert ping == messages.Ping(sequence=1)


def test_fields_that_are_missing_are_zero() -> None:
    assert messages.decode(b"\x00\x80") == messages.Ping(sequence=0)
    assert messages.decode(b"\x02\xc0") == messages.Ack(sequence=0)
    assert serf_messages.decode(b"\x00" + fields({"Node": text("a")})) == serf_messages.LeaveIntent(ltime=0, node="a")


def test_key_responses() -> None:
    for response in (
        KeyResponse(result=True, keys=("a", "b"), primary_key="a"),
        KeyResponse(result=False, message="no"),
    ):
        assert decode_key_response(encode_key_response(response)) == response


def test_entries_of_a_state_that_cannot_be_are_left_out() -> None:
    def mapping(*pairs: tuple[bytes, bytes]) -> bytes:
        return bytes((0x80 | len(pairs),)) + b"".join(key + value for key, value in pairs)

    event = {"Events": array([fields({"Name": text("e"), "Payload": raw(b"p")})]), "LTime": integer(3)}
    state = {
        "LTime": integer(7),
        "StatusLTimes": mapping((text("a"), integer(1)), (raw(b"\xff"), integer(2)), (text("b"), text("x"))),
        "LeftMembers": array([text("a"), raw(b"\xff"), text("")]),
        "Events": array([b"\xc0", fields(event), fields({**event, "LTime": text("x")}), integer(1)]),
    }
    got = decode_state(b"\x02" + fields(state))
    assert (got.ltime, got.status_ltimes, got.left_members) == (7, {"a": 1}, ("a",))
    assert got.events == (PastEvents(3, (PastEvent("e", b"p"),)),)
    assert got.left_out == 6


@pytest.mark.parametrize("data", [b"", b"\x03\x80", b"\x02", b"\x02\x81\xa5LTime\xa1x", b"\x02\x81\xa6Events\x01"])
def test_states_that_cannot_be(data: bytes) -> None:
    with pytest.raises(BadPacket):
        decode_state(data)


def test_filters_that_cannot_be() -> None:
    for data in (b"", b"\x00\x01", b"\x00\xdd\xff\xff\xff\xff", b"\x01\x91\x01"):
        with pytest.raises(BadPacket):
            decode_filter(data)
    assert decode_filter(encode_filter(UnknownFilter(b"\x07?"))) == UnknownFilter(b"\x07?")


PAYLOADS: dict[str, Any] = {
    "empty": b"",
    "unknown": b"\x0a\x80",
    "a push/pull": b"\x02\x80",
    "a key request": b"\x07\x80",
    "an intent of nobody": b"\x01\x80",
    "a query of nowhere": b"\x04\x80",
    "a relay of nothing": serf_messages.encode(
        serf_messages.Relay(address=Address("127.0.0.1", 1), node="a", message=b"")
    ),
    "a relay to nowhere": b"\x09\x80\x00\x80",
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_serf_messages_that_cannot_be(payload: bytes) -> None:
    with pytest.raises(BadPacket):
        serf_messages.decode(payload)
