"""Whatever arrives, a decoder gives values or refuses; and what it gives can be written and read again."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkv.gossip.wire import messages, serf_messages
from dkv.gossip.wire.encryption import NONCE_BYTES
from dkv.gossip.wire.filters import decode_filter, encode_filter
from dkv.gossip.wire.internal_queries import (
    KeyResponse,
    Member,
    decode_key_request,
    decode_key_response,
    decode_member,
    encode_key_request,
    encode_key_response,
    encode_member,
)
from dkv.gossip.wire.limits import BadPacket
from dkv.gossip.wire.messages import Address, Message, User
from dkv.gossip.wire.packets import decode_packet, encode_packet
from dkv.gossip.wire.push_pull import PushPull
from dkv.gossip.wire.serf_state import decode_state, encode_state
from dkv.gossip.wire.streams import decode_stream, encode_stream
from dkv.gossip.wire.tags import decode_tags
from tests.dkv.gossip.vectors import Vector, vectors

UDP, TCP = vectors("udp"), vectors("tcp")
FLIPS_PER_VECTOR = 120


def by_name(vector: Vector) -> str:
    return vector.name


def try_datagram(data: bytes, vector: Vector) -> bool:
    """Whether it was understood."""
    try:
        packet = decode_packet(data, vector.envelope)
    except BadPacket:
        return False
    assert packet.messages
    for message in packet.messages:
        try_message(message)
    return True


def try_message(message: Message) -> None:
    """As the layers above do."""
    assert messages.decode(messages.encode(message)) == message
    if isinstance(message, User):
        try_payload(message.payload)
    elif isinstance(message, messages.Alive):
        tried(decode_tags, None, message.meta)


def try_payload(payload: bytes) -> None:
    try:
        message = serf_messages.decode(payload)
    except BadPacket:
        return
    assert serf_messages.decode(serf_messages.encode(message)) == message
    match message:
        case serf_messages.Relay(message=inner):
            tried(serf_messages.decode, serf_messages.encode, inner)
        case serf_messages.QueryResponse(payload=answer) if answer:
            tried(decode_member, encode_member, answer)
            tried(decode_key_response, encode_key_response, answer)


def tried(decode: Callable[[bytes], Any], encode: Callable[[Any], bytes] | None, data: bytes) -> Any:
    """A value, or None for a refusal."""
    try:
        value = decode(data)
    except BadPacket:
        return None
    if encode is not None:
        assert decode(encode(value)) == value
    return value


def try_stream(data: bytes, vector: Vector) -> bool:
    try:
        message = decode_stream(data, vector.envelope, dialling=vector.dialling)
    except BadPacket:
        return False
    written = encode_stream(message, vector.envelope, dialling=not vector.dialling, nonce=bytes(NONCE_BYTES))
    again = decode_stream(written, vector.envelope, dialling=vector.dialling)
    if isinstance(message, PushPull):
        assert isinstance(again, PushPull)
        assert again.nodes == message.nodes
        try_state(message.user_state)
    else:
        assert again == message
    return True


def try_state(user_state: bytes) -> None:
    try:
        state = decode_state(user_state)
    except BadPacket:
        return
    again = decode_state(encode_state(state))
    assert (again.status_ltimes, again.events) == (state.status_ltimes, state.events)


def prefixes(data: bytes) -> list[bytes]:
    return [data[:size] for size in range(len(data))]


def flips(data: bytes) -> list[bytes]:
    """The data with one bit changed: every bit if there are few, else a seeded sample."""
    bits = range(8 * len(data))
    sample = bits if len(bits) <= FLIPS_PER_VECTOR else random.Random(len(data)).sample(bits, FLIPS_PER_VECTOR)
    return [data[: bit // 8] + bytes((data[bit // 8] ^ 1 << bit % 8,)) + data[bit // 8 + 1 :] for bit in sample]


@pytest.mark.parametrize("vector", UDP, ids=by_name)
def test_every_prefix_of_a_datagram(vector: Vector) -> None:
    understood = sum(try_datagram(prefix, vector) for prefix in prefixes(vector.data))
    if vector.envelope.keyring or "crc" in vector.name:
        # Below five bytes the type of a checksum is no checksum, but then it is nothing else either.
        assert understood == 0


@pytest.mark.parametrize("vector", TCP, ids=by_name)
def test_every_prefix_of_a_stream(vector: Vector) -> None:
    assert not any(try_stream(prefix, vector) for prefix in prefixes(vector.data))


@pytest.mark.parametrize("vector", UDP, ids=by_name)
def test_datagrams_with_a_wrong_bit(vector: Vector) -> None:
    understood = [try_datagram(flipped, vector) for flipped in flips(vector.data)]
    if vector.envelope.keyring:
        assert not any(understood)


@pytest.mark.parametrize("vector", TCP, ids=by_name)
def test_streams_with_a_wrong_bit(vector: Vector) -> None:
    understood = [try_stream(flipped, vector) for flipped in flips(vector.data)]
    if vector.envelope.keyring:
        assert not any(understood)


@pytest.mark.parametrize("vector", UDP, ids=by_name)
def test_wrong_bits_under_the_wrapping(vector: Vector) -> None:
    """What encryption and checksums keep from the decoders inside, unless the sender itself is hostile."""
    for message in decode_packet(vector.data, vector.envelope).messages:
        for data in [*flips(messages.encode(message)), *prefixes(messages.encode(message))]:
            decoded = tried(messages.decode, messages.encode, data)
            if decoded is not None:
                try_message(decoded)


TYPES = st.sampled_from([*range(16), 244, 255])
PIECES = st.sampled_from(
    [b"SeqNo", b"Node", b"Addr", b"Port", b"Meta", b"Vsn", b"Nodes", b"UserStateLen", b"Buf", b"Algo", b"LTime"]
).map(lambda name: bytes((0xA0 | len(name),)) + name)
NOISE = st.lists(
    PIECES | st.binary(max_size=6) | st.sampled_from([b"\xdf\xff\xff\xff\xff", b"\xdd\xff\xff\xff\xff", b"\x8f"]),
    max_size=12,
).map(b"".join)


@settings(derandomize=True, max_examples=400)
@given(TYPES, NOISE)
def test_noise(kind: int, noise: bytes) -> None:
    data = bytes((kind,)) + noise
    for vector in (UDP[0], next(each for each in UDP if each.envelope.keyring)):
        try_datagram(data, vector)
    for vector in (TCP[0], next(each for each in TCP if each.envelope.keyring)):
        try_stream(data, vector)
    try_payload(data)
    try_state(data)
    tried(decode_tags, None, data)
    tried(decode_filter, encode_filter, data)
    tried(decode_key_request, encode_key_request, data)


INSIDE = [
    encode_member(Member(node="b", address=Address("10.0.0.1", 7946), tags={"role": "db"})),
    encode_key_response(KeyResponse(result=True, keys=("AAECAwQFBgcICQoLDA0ODw==",), primary_key="x")),
    encode_packet([messages.encode(messages.Nack(sequence=2**32 - 1))], compressed=True),
]


@pytest.mark.parametrize("data", INSIDE)
def test_what_queries_carry_cut_and_flipped(data: bytes) -> None:
    for damaged in [*prefixes(data), *flips(data)]:
        tried(decode_member, encode_member, damaged)
        tried(decode_key_response, encode_key_response, damaged)
        tried(decode_key_request, encode_key_request, damaged)
