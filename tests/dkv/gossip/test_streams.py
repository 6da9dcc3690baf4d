"""TCP: one message however it is cut, refused as early as it can be, never more in memory than its limit."""

from __future__ import annotations

import struct
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkv.gossip.wire import packing
from dkv.gossip.wire.encryption import NONCE_BYTES, Keyring
from dkv.gossip.wire.limits import (
    COMPRESSED_BYTES_MAX,
    NODES_MAX,
    STREAM_BYTES_MAX,
    USER_STATE_BYTES_MAX,
    BadPacket,
    TooLarge,
)
from dkv.gossip.wire.lzw import compress
from dkv.gossip.wire.messages import Ack, ErrorReply, MessageType, Ping, User
from dkv.gossip.wire.packets import PLAIN, Envelope
from dkv.gossip.wire.particulars import Address
from dkv.gossip.wire.push_pull import NodeState, PushPull, State
from dkv.gossip.wire.streams import (
    NOT_DECRYPTABLE,
    NOT_ENCRYPTED,
    StreamMessage,
    StreamReader,
    decode_stream,
    encode_stream,
)

KEY, NONCE = b"k" * 16, bytes(NONCE_BYTES)
ENVELOPES = {
    "plain": PLAIN,
    "encrypted": Envelope(b"", Keyring(KEY)),
    "labelled": Envelope(b"dc1"),
    "both": Envelope(b"dc1", Keyring(KEY)),
}
NODES = tuple(
    NodeState(incarnation=number, node=f"n{number}", address=Address("10.0.0.1", 7946), state=State(number % 4))
    for number in range(30)
)
MESSAGES: dict[str, StreamMessage] = {
    "push/pull": PushPull(join=True, nodes=NODES, user_state=b"\x02\x80" * 90),
    "push/pull of nothing": PushPull(join=False, nodes=()),
    "ping": Ping(sequence=1, node="a"),
    "ack": Ack(sequence=1),
    "user": User(payload=b"\0" * 1000),
    "error": ErrorReply(error="no"),
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
@pytest.mark.parametrize("envelope", ENVELOPES.values(), ids=ENVELOPES)
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dialling", [False, True])
def test_there_and_back(message: StreamMessage, envelope: Envelope, compressed: bool, dialling: bool) -> None:
    data = encode_stream(message, envelope, dialling=dialling, nonce=NONCE, compressed=compressed)
    assert decode_stream(data + b"more", envelope, dialling=not dialling) == message
    for size in range(0, len(data), 1 + len(data) // 50):
        with pytest.raises(BadPacket, match="too early"):
            decode_stream(data[:size], envelope, dialling=not dialling)


@settings(derandomize=True, max_examples=100)
@given(st.sampled_from(sorted(MESSAGES)), st.sampled_from(sorted(ENVELOPES)), st.booleans(), st.data())
def test_however_it_is_cut(name: str, envelope_name: str, compressed: bool, data: st.DataObject) -> None:
    message, envelope = MESSAGES[name], ENVELOPES[envelope_name]
    stream = encode_stream(message, envelope, dialling=True, nonce=NONCE, compressed=compressed)
    reader = StreamReader(envelope, dialling=False)
    done = 0
    while done < len(stream):
        size = data.draw(st.integers(1, len(stream) - done))
        got = reader.feed(stream[done : done + size])
        done += size
        assert got == (message if done == len(stream) else None)


def test_only_the_dialling_side_sends_its_label() -> None:
    envelope = ENVELOPES["labelled"]
    assert encode_stream(Ack(sequence=1), envelope, dialling=True).startswith(b"\xf4\x03dc1")
    answer = encode_stream(Ack(sequence=1), envelope, dialling=False)
    assert answer == encode_stream(Ack(sequence=1), dialling=False)
    with pytest.raises(BadPacket, match="label"):
        decode_stream(answer, envelope, dialling=False)


STRANGERS = {
    "plain, we are encrypted": ("plain", "encrypted", NOT_ENCRYPTED),
    "encrypted, we are plain": ("encrypted", "plain", NOT_DECRYPTABLE),
    "a label, we have none": ("labelled", "plain", "label"),
    "no label, we have one": ("plain", "labelled", "label"),
    "our key without the label": ("encrypted", "both", "label"),
}


@pytest.mark.parametrize(("sender", "receiver", "reason"), STRANGERS.values(), ids=STRANGERS)
def test_strangers(sender: str, receiver: str, reason: str) -> None:
    data = encode_stream(MESSAGES["push/pull"], ENVELOPES[sender], dialling=True, nonce=NONCE)
    with pytest.raises(BadPacket, match=reason):
        decode_stream(data, ENVELOPES[receiver], dialling=False)


def test_another_key_or_label_does_not_open() -> None:
    data = encode_stream(MESSAGES["ping"], ENVELOPES["both"], dialling=True, nonce=NONCE)
    for envelope in (Envelope(b"dc1", Keyring(b"o" * 16)), Envelope(b"dc2", Keyring(KEY))):
        with pytest.raises(BadPacket):
            decode_stream(data, envelope, dialling=False)
    with pytest.raises(BadPacket, match="no key of ours"):
        decode_stream(data.replace(b"dc1", b"dc2"), Envelope(b"dc2", Keyring(KEY)), dialling=False)


def test_a_rotated_key_still_opens() -> None:
    data = encode_stream(MESSAGES["ping"], ENVELOPES["encrypted"], dialling=True, nonce=NONCE)
    assert decode_stream(data, Envelope(b"", Keyring(b"o" * 32, KEY)), dialling=False) == MESSAGES["ping"]


def test_the_length_of_a_frame_is_authenticated() -> None:
    data = encode_stream(MESSAGES["ping"], ENVELOPES["encrypted"], dialling=True, nonce=NONCE) + b"x"
    (length,) = struct.unpack_from(">I", data, 1)
    with pytest.raises(BadPacket, match="no key of ours"):
        decode_stream(data[:1] + struct.pack(">I", length + 1) + data[5:], ENVELOPES["encrypted"], dialling=False)


def header(nodes: int, user_state_bytes: int) -> bytes:
    sizes = {"Nodes": packing.integer(nodes), "UserStateLen": packing.integer(user_state_bytes)}
    return b"\x06" + packing.fields(sizes)


LIES = {
    "too many members": header(2**31, 0),
    "too large a state": header(0, 2**31),
    "a negative state": b"\x06\x81\xacUserStateLen\xff",
    "too large a message": b"\x08\x81\xaaUserMsgLen\xce\x7f\xff\xff\xff",
    "no msgpack": b"\x06\xc1",
    "a type that is not for TCP": b"\x04\x80",
    "an unknown type": b"\x63",
}


@pytest.mark.parametrize("data", LIES.values(), ids=LIES)
def test_lies_are_refused_before_anything_follows(data: bytes) -> None:
    with pytest.raises(BadPacket):
        StreamReader(dialling=False).feed(data)


def test_a_frame_that_is_too_large_is_refused_at_its_length() -> None:
    with pytest.raises(BadPacket, match="encrypted message of"):
        StreamReader(ENVELOPES["encrypted"], dialling=False).feed(b"\x0a\x7f\xff\xff\xff")


def test_a_compression_inside_a_compression() -> None:
    inner = encode_stream(MESSAGES["ping"], dialling=False, compressed=True)
    values = {"Algo": packing.integer(0), "Buf": packing.raw(compress(inner))}
    with pytest.raises(BadPacket, match="type 9"):
        decode_stream(b"\x09" + packing.fields(values), dialling=False)


ENDLESS = {
    "a text that never ends": b"\x06\x81\xa1x\xdb\xff\xff\xff\xff" + b"\0" * 2 * STREAM_BYTES_MAX,
    "a compressed text that never ends": b"\x09\x81\xa3Buf\xdb\xff\xff\xff\xff" + b"\0" * 2 * COMPRESSED_BYTES_MAX,
    "a struct of unknown fields": b"\x06\x81\xa1x\xdd\x00\x30\x00\x00" + b"\xc0" * 0x30_0000,
    "more compressed than is read": b"\x09" + packing.fields({"Buf": packing.raw(b"\0" * 2 * COMPRESSED_BYTES_MAX)}),
    "a bomb": b"\x09" + packing.fields({"Buf": packing.raw(compress(bytes(2 * STREAM_BYTES_MAX)))}),
}


def feed_all(reader: StreamReader, data: bytes) -> None:
    for begin in range(0, len(data), 256 * 1024):
        assert reader.feed(data[begin : begin + 256 * 1024]) is None


@pytest.mark.parametrize("data", ENDLESS.values(), ids=ENDLESS)
def test_endless_messages_end_at_the_limit(data: bytes) -> None:
    reader = StreamReader(dialling=False)
    tracemalloc.start()
    try:
        with pytest.raises(BadPacket):
            feed_all(reader, data)
        assert tracemalloc.get_traced_memory()[1] < 8 * STREAM_BYTES_MAX
    finally:
        tracemalloc.stop()


def test_members_that_cannot_be_are_left_out() -> None:
    good, nameless, cut_versions, unknown_state = NODES[0], b"\x80", {"Vsn": packing.raw(b"\1\5")}, {"State": b"\x09"}
    whole = {"Name": packing.text("x"), "Addr": packing.raw(b"\x7f\0\0\1"), "Port": packing.integer(1)}
    entries = [nameless, packing.fields({**whole, **cut_versions}), packing.fields({**whole, **unknown_state})]
    one = encode_stream(PushPull(join=False, nodes=(good,)), dialling=False)
    data = header(4, 2) + b"".join(entries) + one[one.index(b"\x87") :] + b"ab"
    exchange = decode_stream(data, dialling=True)
    assert exchange == PushPull(join=False, nodes=(good,), user_state=b"ab", left_out=3)


def test_a_reader_is_for_one_message() -> None:
    reader = StreamReader(dialling=True)
    assert reader.feed(encode_stream(Ack(sequence=1), dialling=False)) == Ack(sequence=1)
    with pytest.raises(AssertionError):
        reader.feed(b"more")


def test_what_is_too_large_is_not_sent() -> None:
    with pytest.raises(TooLarge, match="the limit is"):
        encode_stream(User(payload=bytes(STREAM_BYTES_MAX)), dialling=True)
    with pytest.raises(TooLarge, match="user state"):
        encode_stream(PushPull(join=False, nodes=(), user_state=bytes(USER_STATE_BYTES_MAX + 1)), dialling=True)
    with pytest.raises(TooLarge, match="members"):
        encode_stream(PushPull(join=False, nodes=NODES[:1] * (NODES_MAX + 1)), dialling=True)


def test_types() -> None:
    assert {data[0] for data in (encode_stream(each, dialling=False) for each in MESSAGES.values())} == {
        MessageType.PUSH_PULL,
        MessageType.PING,
        MessageType.ACK,
        MessageType.USER,
        MessageType.ERROR,
    }
