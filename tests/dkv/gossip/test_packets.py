"""Datagrams: what wraps what, what one broken part costs, and what a hostile one may cost."""

from __future__ import annotations

import struct
import tracemalloc
from zlib import crc32

import pytest

from dkv.gossip.wire import messages
from dkv.gossip.wire.encryption import NONCE_BYTES, Keyring
from dkv.gossip.wire.limits import (
    DATAGRAM_BYTES_MAX,
    MESSAGES_MAX,
    PACKET_BYTES_MAX,
    PARTS_MAX,
    UNWRAPPED_BYTES_MAX,
    WRAPS_MAX,
    BadPacket,
)
from dkv.gossip.wire.messages import Ack, Message, MessageType, Nack, User
from dkv.gossip.wire.packets import (
    PART_OVERHEAD_BYTES,
    Envelope,
    Packet,
    compound,
    compress,
    decode_packet,
    encode_packet,
)

KEY, OTHER_KEY = b"k" * 16, b"o" * 32
NONCE = bytes(NONCE_BYTES)
SAID = (Ack(sequence=7), Nack(sequence=2**32 - 1), User(payload=b"anything"))
PARTS = [messages.encode(message) for message in SAID]


def loose_compound(parts: list[bytes]) -> bytes:
    """As a hostile member writes it: any number of parts, empty ones too."""
    return bytes((7, len(parts))) + struct.pack(f">{len(parts)}H", *map(len, parts)) + b"".join(parts)


def with_checksum(data: bytes) -> bytes:
    return struct.pack(">BI", 12, crc32(data)) + data


@pytest.mark.parametrize("keyring", [None, Keyring(KEY)], ids=["plain", "encrypted"])
@pytest.mark.parametrize("label", [b"", b"dc1", b"l" * 255])
@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_there_and_back(keyring: Keyring | None, label: bytes, checksum: bool, compressed: bool) -> None:
    envelope = Envelope(label, keyring)
    for count in (1, 2, 3):
        data = encode_packet(PARTS[:count], envelope, nonce=NONCE, checksum=checksum, compressed=compressed)
        assert decode_packet(data, envelope) == Packet(SAID[:count])


@pytest.mark.parametrize("envelope", [Envelope(), Envelope(b"dc1"), Envelope(b"dc1", Keyring(KEY))])
def test_what_has_room_fits(envelope: Envelope) -> None:
    part = messages.encode(User(payload=b"x" * 30))
    count = envelope.room_bytes() // (len(part) + PART_OVERHEAD_BYTES)
    last = envelope.room_bytes() - count * (len(part) + PART_OVERHEAD_BYTES) - PART_OVERHEAD_BYTES
    parts = [part] * count + [b"\x08" * last]
    assert len(encode_packet(parts, envelope, nonce=NONCE)) == PACKET_BYTES_MAX


STRANGERS = {
    "another label": (Envelope(b"dc1"), Envelope(b"dc2")),
    "a longer label": (Envelope(b"dc1"), Envelope(b"dc")),
    "a label, we have none": (Envelope(b"dc1"), Envelope()),
    "no label, we have one": (Envelope(), Envelope(b"dc1")),
    "plain, we are encrypted": (Envelope(), Envelope(b"", Keyring(KEY))),
    "encrypted, we are plain": (Envelope(b"", Keyring(KEY)), Envelope()),
    "another key": (Envelope(b"", Keyring(OTHER_KEY)), Envelope(b"", Keyring(KEY))),
    "our key under another label": (Envelope(b"dc1", Keyring(KEY)), Envelope(b"dc2", Keyring(KEY))),
    "our key without the label": (Envelope(b"", Keyring(KEY)), Envelope(b"dc1", Keyring(KEY))),
}


@pytest.mark.parametrize(("sender", "receiver"), STRANGERS.values(), ids=STRANGERS)
def test_strangers(sender: Envelope, receiver: Envelope) -> None:
    data = encode_packet(PARTS, sender, nonce=NONCE)
    assert decode_packet(data, sender).messages == SAID
    with pytest.raises(BadPacket):
        decode_packet(data, receiver)


def test_a_label_in_the_clear_does_not_lend_itself_to_another_packet() -> None:
    """The label is under the authentication: exchanging it outside is noticed."""
    ours = Envelope(b"dc1", Keyring(KEY))
    data = encode_packet(PARTS, Envelope(b"dc2", Keyring(KEY)), nonce=NONCE)
    with pytest.raises(BadPacket, match="another label"):
        decode_packet(data.replace(b"dc2", b"dc1", 1), ours)


def test_a_rotated_key_still_opens() -> None:
    before, after = Envelope(b"", Keyring(KEY)), Envelope(b"", Keyring(OTHER_KEY, KEY))
    assert decode_packet(encode_packet(PARTS, before, nonce=NONCE), after).messages == SAID


def test_the_checksum_is_right_under_the_encryption_and_nowhere_else() -> None:
    inner = with_checksum(PARTS[0])
    assert decode_packet(inner) == Packet(SAID[:1])
    for data in (loose_compound([inner]), compress(inner), with_checksum(inner)):
        with pytest.raises(BadPacket, match="type 12"):
            decode_packet(data)
    with pytest.raises(BadPacket, match="wrong checksum"):
        decode_packet(inner[:-1])


NEWER = bytes((200,)) + b"a newer member's"


@pytest.mark.parametrize("broken", [NEWER, b"", b"\x02", b"\x04\x80", b"\x09\x80", b"\x07", b"\x07\x05", b"\x06\x80"])
def test_a_part_that_is_not_understood_costs_only_itself(broken: bytes) -> None:
    packet = decode_packet(loose_compound([PARTS[0], broken, *PARTS[1:]]))
    assert packet.messages == SAID
    assert len(packet.rejected) == 1
    with pytest.raises(BadPacket):
        decode_packet(broken)


def test_a_compound_that_is_cut_keeps_its_complete_parts() -> None:
    data = compound(PARTS)
    lengths = 2 + 2 * len(PARTS)
    for size in range(len(data)):
        complete = [sum(map(len, PARTS[: count + 1])) + lengths <= size for count in range(len(PARTS))].count(True)
        if complete:
            assert decode_packet(data[:size]) == Packet(SAID[:complete])
        else:
            with pytest.raises(BadPacket):
                decode_packet(data[:size])


def nested(depth: int, *, wrap: str) -> bytes:
    data = PARTS[0]
    for level in range(depth):
        data = compress(data) if wrap == "compress" or (wrap == "both" and level % 2) else loose_compound([data])
    return data


@pytest.mark.parametrize("wrap", ["compound", "compress", "both"])
def test_nesting_has_an_end(wrap: str) -> None:
    assert decode_packet(nested(WRAPS_MAX, wrap=wrap)) == Packet(SAID[:1])
    for depth in (WRAPS_MAX + 1, 12):
        with pytest.raises(BadPacket, match="inside one another"):
            decode_packet(nested(depth, wrap=wrap))


def test_a_datagram_of_nothing_but_messages() -> None:
    many = loose_compound([PARTS[1]] * 255)
    packet = decode_packet(loose_compound([many, many, many]))
    assert len(packet.messages) == MESSAGES_MAX
    assert packet.rejected
    with pytest.raises(BadPacket):
        decode_packet(loose_compound([loose_compound([b""] * 255)] * 200))


def peak_bytes(data: bytes) -> int:
    tracemalloc.start()
    try:
        decode_packet(data)
    except BadPacket:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


BOMBS = {
    "compressed zeroes": compress(bytes(3_000_000)),
    "many of them": loose_compound([compress(bytes(100_000))] * 90),
    "compressed twice": compress(compress(bytes(60_000)) + bytes(3_000_000)),
    "a struct of four thousand million fields": b"\x00\xdf\xff\xff\xff\xff" + b"\xa0\xc0" * 30_000,
    "lists in lists": b"\x02\x81\xa1x" + b"\xdc\xff\xff" * 20_000,
    "lists of one in lists of one": b"\x02\x81\xa1x" + b"\x91" * 60_000 + b"\xc0",
    "a text of four gigabytes": b"\x02\x81\xa5SeqNo\xdb\xff\xff\xff\xff",
    "compressed lists of nothing": compress(b"\x02\x81\xa1x\xdd\x00\x00\xff\x00" + b"\x90" * 60_000),
}


@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS)
def test_bombs_cost_what_they_are_not_what_they_claim(data: bytes) -> None:
    assert len(data) <= DATAGRAM_BYTES_MAX
    # The bytes allowed, a table of LZW strings of theirs, and slack for Python's own objects.
    assert peak_bytes(data) < 64 * UNWRAPPED_BYTES_MAX


def test_decompression_has_one_budget_for_the_whole_datagram() -> None:
    third = compress(b"\x08" * (UNWRAPPED_BYTES_MAX // 3))
    packet = decode_packet(loose_compound([third] * 5))
    assert len(packet.messages) == 3
    assert len(packet.rejected) == 2


def test_an_unknown_compression() -> None:
    with pytest.raises(BadPacket, match="unknown compression"):
        decode_packet(compress(PARTS[0]).replace(b"Algo\x00", b"Algo\x01"))


def test_more_than_a_datagram() -> None:
    with pytest.raises(BadPacket, match="datagram of"):
        decode_packet(b"\x08" * (DATAGRAM_BYTES_MAX + 1))


@pytest.mark.parametrize("data", [b"", b"\xf4", b"\xf4\x00", b"\x07\x00", b"\x0c", b"\x0c\0\0\0", b"\x0a\0\0\0\0"])
def test_next_to_nothing(data: bytes) -> None:
    with pytest.raises(BadPacket):
        decode_packet(data)


@pytest.mark.parametrize("parts", [[], [b"\x08"] * (PARTS_MAX + 1), [b"\x08", b""]])
def test_what_old_agents_die_of_is_never_sent(parts: list[bytes]) -> None:
    with pytest.raises(AssertionError):
        compound(parts)


def test_compression_is_for_what_it_makes_smaller() -> None:
    assert encode_packet(PARTS[:1], compressed=True) == PARTS[0]
    assert encode_packet([b"\x08" + b"a" * 500], compressed=True)[0] == MessageType.COMPRESS


def test_all_types_of_message_go_through() -> None:
    said: list[Message] = [User(payload=b""), messages.ErrorReply(error="no")]
    assert decode_packet(encode_packet([messages.encode(each) for each in said])).messages == tuple(said)
