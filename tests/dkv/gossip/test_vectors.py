"""Packets of real agents: what they say is what we read, and what we write of it is, byte for byte, what they wrote.

Where the bytes are not determined: the Python member's packets (its fields stand in an order of its own), and the user
messages that agents passed on for it as they came.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dkv.gossip.wire import lzw, messages, serf_messages
from dkv.gossip.wire.encryption import NONCE_BYTES, keyring_as_json, keyring_from_json
from dkv.gossip.wire.internal_queries import (
    decode_key_request,
    decode_key_response,
    decode_member,
    encode_key_request,
    encode_key_response,
    encode_member,
)
from dkv.gossip.wire.messages import Ack, Alive, Message, User
from dkv.gossip.wire.packets import decode_packet, encode_packet
from dkv.gossip.wire.push_pull import PushPull
from dkv.gossip.wire.serf_messages import Query, QueryResponse, Relay
from dkv.gossip.wire.serf_state import decode_state, encode_state
from dkv.gossip.wire.streams import StreamReader, decode_stream, encode_stream
from dkv.gossip.wire.tags import decode_tags, encode_tags
from tests.dkv.gossip.telling import told
from tests.dkv.gossip.vectors import Vector, named, vectors

UDP, TCP = vectors("udp"), vectors("tcp")
CODEC = vectors("codec")


def by_name(vector: Vector) -> str:
    return vector.name


def inside(decoded: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages in a vector's tree of wrappings."""
    if decoded["type"] == "compound":
        return [message for part in decoded["parts"] for message in inside(part)]
    return inside(decoded["inner"]) if decoded["type"] in WRAPPINGS else [decoded]


WRAPPINGS = ("crc", "compress", "encrypted", "encrypt-stream", "label")


def layers(decoded: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Wrapping → its entry in the vector's tree, from the outside."""
    found = {}
    while decoded["type"] in WRAPPINGS:
        found[decoded["type"]] = decoded
        decoded = decoded["inner"]
    return found


def said(decoded: dict[str, Any]) -> dict[str, Any]:
    """A vector's message without what follows from our way of telling it."""
    decoded = dict(decoded)
    if decoded["type"] == "user-stream":
        decoded["type"] = "user"
        del decoded["header"]
    if decoded["type"] == "ack":
        body = {name: value for name, value in decoded["body"].items() if name != "payload_decoded"}
        decoded["body"] = {"Payload": None, **body}
    if decoded["type"] == "push-pull" and decoded["user_state"]:
        body = {name: value for name, value in decoded["user_state"]["body"].items() if name != "Events_slots"}
        decoded["user_state"] = {"serf": "push-pull", "body": body}
    return decoded


@pytest.mark.parametrize("vector", UDP, ids=by_name)
def test_what_datagrams_say(vector: Vector) -> None:
    packet = decode_packet(vector.data, vector.envelope)
    assert packet.rejected == ()
    assert [told(message) for message in packet.messages] == [said(each) for each in inside(vector.decoded)]


@pytest.mark.parametrize("vector", TCP, ids=by_name)
def test_what_streams_say(vector: Vector) -> None:
    message = decode_stream(vector.data, vector.envelope, dialling=vector.dialling)
    (expected,) = inside(vector.decoded)
    assert told(message) == said(expected)


@pytest.mark.parametrize("vector", TCP, ids=by_name)
def test_a_stream_is_complete_at_its_last_byte_however_it_is_cut(vector: Vector) -> None:
    whole = decode_stream(vector.data, vector.envelope, dialling=vector.dialling)
    reader = StreamReader(vector.envelope, dialling=vector.dialling)
    for byte in vector.data[:-1]:
        assert reader.feed(bytes((byte,))) is None
    assert reader.feed(vector.data[-1:]) == whole


@pytest.mark.parametrize("vector", [each for each in UDP if each.by_an_agent], ids=by_name)
def test_datagrams_as_agents_write_them(vector: Vector) -> None:
    wrapped = layers(vector.decoded)
    packet = decode_packet(vector.data, vector.envelope)
    written = encode_packet(
        [rewritten(message, vector) for message in packet.messages],
        vector.envelope,
        nonce=bytes.fromhex(wrapped["encrypted"]["nonce"]) if "encrypted" in wrapped else b"",
        checksum="crc" in wrapped,
        compressed="compress" in wrapped,
    )
    assert written.hex() == vector.data.hex()


def rewritten(message: Message, vector: Vector) -> bytes:
    """Through all layers down to the fields."""
    if isinstance(message, Alive) and message.meta[:1] == b"\xff":
        assert encode_tags(decode_tags(message.meta)) == message.meta
    if isinstance(message, User) and not vector.passed_on:
        message = User(payload=written_again(message.payload))
    return messages.encode(message)


def written_again(payload: bytes) -> bytes:
    """A Serf message, and what members carry inside it."""
    message = serf_messages.decode(payload)
    match message:
        case Relay():
            message = msgspec.structs.replace(message, message=written_again(message.message))
        case Query(payload=inner) if inner[:1] == b"\x07":
            request = encode_key_request(decode_key_request(inner))
            message = msgspec.structs.replace(message, payload=request)
        case QueryResponse(payload=inner) if inner and inner[0] == 6:
            message = msgspec.structs.replace(message, payload=encode_member(decode_member(inner)))
        case QueryResponse(payload=inner) if inner and inner[0] == 8:
            response = encode_key_response(decode_key_response(inner))
            message = msgspec.structs.replace(message, payload=response)
    return serf_messages.encode(message)


@pytest.mark.parametrize("vector", [each for each in TCP if each.by_an_agent], ids=by_name)
def test_streams_as_agents_write_them(vector: Vector) -> None:
    wrapped = layers(vector.decoded)
    message = decode_stream(vector.data, vector.envelope, dialling=vector.dialling)
    if isinstance(message, PushPull) and message.user_state:
        (exchange,) = inside(vector.decoded)
        slots = exchange["user_state"]["body"]["Events_slots"]
        state = encode_state(decode_state(message.user_state), ring_slots=slots)
        assert state.hex() == message.user_state.hex()
    written = encode_stream(
        message,
        vector.envelope,
        dialling=not vector.dialling,
        nonce=vector.data[6 : 6 + NONCE_BYTES] if "encrypt-stream" in wrapped else b"",
        compressed="compress" in wrapped,
    )
    assert written.hex() == vector.data.hex()


@pytest.mark.parametrize("vector", [each for each in UDP if not each.by_an_agent], ids=by_name)
def test_what_we_write_of_the_python_members_datagrams_says_the_same(vector: Vector) -> None:
    packet = decode_packet(vector.data, vector.envelope)
    written = encode_packet(
        [messages.encode(message) for message in packet.messages], vector.envelope, nonce=bytes(NONCE_BYTES)
    )
    assert decode_packet(written, vector.envelope) == packet


@pytest.mark.parametrize("vector", [each for each in TCP if not each.by_an_agent], ids=by_name)
def test_what_we_write_of_the_python_members_streams_says_the_same(vector: Vector) -> None:
    message = decode_stream(vector.data, vector.envelope, dialling=vector.dialling)
    written = encode_stream(message, vector.envelope, dialling=not vector.dialling, nonce=bytes(NONCE_BYTES))
    assert decode_stream(written, vector.envelope, dialling=vector.dialling) == message


@pytest.mark.parametrize("vector", CODEC, ids=by_name)
def test_compression(vector: Vector) -> None:
    plain = bytes.fromhex(vector.decoded["plain_hex"])
    assert lzw.decompress(vector.data, len(plain)) == plain
    assert lzw.compress(plain) == vector.data


def test_the_keyring_file() -> None:
    vector = named("keyring-file")
    assert keyring_as_json(keyring_from_json(vector.data.decode())) == vector.decoded["text"]


def test_an_ack_over_tcp_says_nothing_about_coordinates() -> None:
    vector = named("tcp-lzw/ack-response-nopayload")
    assert decode_stream(vector.data, dialling=True) == Ack(sequence=77)
