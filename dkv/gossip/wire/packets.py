"""Datagrams: messages wrapped as memberlist wraps them, and back.

    datagram = [label] [encryption] [checksum] [compression] [compound] message+

The label is outside, a checksum only directly under the encryption; compounds and compressions may contain each other,
within a budget of bytes, messages and depth for the whole datagram. One part that is not understood (a newer member's)
does not cost the others: an ack may be among them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from zlib import crc32

from dkv.gossip.wire import lzw, packing
from dkv.gossip.wire.encryption import SEALED_OVERHEAD_BYTES, Keyring
from dkv.gossip.wire.limits import (
    DATAGRAM_BYTES_MAX,
    MESSAGES_MAX,
    PACKET_BYTES_MAX,
    PARTS_MAX,
    UNWRAPPED_BYTES_MAX,
    WRAPS_MAX,
    BadPacket,
    TooMuch,
    WrongLabel,
)
from dkv.gossip.wire.messages import Message, MessageType, decode
from dkv.gossip.wire.particulars import U16_MAX
from dkv.gossip.wire.unpacking import Fields, fields_of

PART_OVERHEAD_BYTES: Final = 2
"""What each message costs in a compound besides itself."""

_COMPOUND_HEADER_BYTES = 2
_CRC = struct.Struct(">BI")
_LABEL_BYTES_MAX = 255


@dataclass(frozen=True, slots=True)
class Envelope:
    """What all members of a cluster share. With a ``keyring`` everything is encrypted, and nothing else is read.

    ``label``: tells clusters apart that share ports (memberlist >= 0.3; Serf agents have none).
    """

    label: bytes = b""
    keyring: Keyring | None = None

    def __post_init__(self) -> None:
        assert len(self.label) <= _LABEL_BYTES_MAX, f"a label of {len(self.label)} bytes"

    def room_bytes(self) -> int:
        """For the parts of a compound, each with its ``PART_OVERHEAD_BYTES``, so that it fits a packet."""
        label_bytes = 2 + len(self.label) if self.label else 0
        return PACKET_BYTES_MAX - _COMPOUND_HEADER_BYTES - label_bytes - (SEALED_OVERHEAD_BYTES if self.keyring else 0)


PLAIN: Final = Envelope()


class Packet(NamedTuple):
    """What a datagram said. ``rejected``: the reasons for the parts that were not understood."""

    messages: tuple[Message, ...]
    rejected: tuple[str, ...] = ()


def encode_packet(
    parts: Sequence[bytes],
    envelope: Envelope = PLAIN,
    *,
    nonce: bytes = b"",
    checksum: bool = False,
    compressed: bool = False,
) -> bytes:
    """Encoded messages (1 to 127) → a datagram.

    ``nonce``: 12 fresh bytes, with a keyring. ``checksum``: only for a receiver whose protocol maximum is 5 or more.
    ``compressed``: if that makes it smaller.
    """
    data = parts[0] if len(parts) == 1 else compound(parts)
    if compressed:
        data = min(data, compress(data), key=len)
    if checksum:
        data = _CRC.pack(MessageType.CRC, crc32(data)) + data
    if envelope.keyring is not None:
        data = envelope.keyring.seal(data, nonce=nonce, associated=envelope.label)
    return label_header(envelope.label) + data


def decode_packet(data: bytes, envelope: Envelope = PLAIN) -> Packet:
    """A datagram → its messages, in order. Raises ``BadPacket`` if it has none that can be understood."""
    if len(data) > DATAGRAM_BYTES_MAX:
        raise TooMuch(f"a datagram of {len(data)} bytes")
    data = strip_label(data, envelope.label)
    if envelope.keyring is not None:
        data = envelope.keyring.open(data, associated=envelope.label)
    unwrapping = _Unwrapping()
    unwrapping.take(_checked(data), 0)
    if not unwrapping.messages:
        raise BadPacket(unwrapping.rejected[0] if unwrapping.rejected else "a compound of nothing")
    return Packet(tuple(unwrapping.messages), tuple(unwrapping.rejected))


def compound(parts: Sequence[bytes]) -> bytes:
    """Several messages as one. An empty part kills old agents, and one too many confuses them."""
    assert 1 <= len(parts) <= PARTS_MAX, f"a compound of {len(parts)} parts"
    assert all(0 < len(part) <= U16_MAX for part in parts), "an empty part in a compound, or one larger than a packet"
    head = bytes((MessageType.COMPOUND, len(parts)))
    return b"".join((head, struct.pack(f">{len(parts)}H", *map(len, parts)), *parts))


def compress(data: bytes) -> bytes:
    """One message, or a compound, as the message that holds it compressed; seldom worth it below 100 bytes."""
    values = {"Algo": packing.integer(0), "Buf": packing.raw(lzw.compress(data))}
    return bytes((MessageType.COMPRESS,)) + packing.fields(values)


def decompress(fields: Fields, bytes_max: int) -> bytes:
    """The struct of a compressed message → what it holds. Raises ``BadPacket``."""
    if fields["Algo"].integer(0xFF) != 0:
        raise BadPacket("an unknown compression")
    return lzw.decompress(fields["Buf"].raw(), bytes_max)


def label_header(label: bytes) -> bytes:
    """What goes in front of everything; nothing for no label."""
    return bytes((MessageType.LABEL, len(label))) + label if label else b""


def strip_label(data: bytes, label: bytes) -> bytes:
    """What follows the header of exactly this label. Raises ``BadPacket`` for another one, or none."""
    if data[:1] == bytes((MessageType.LABEL,)):
        size = data[1] if len(data) > 1 else 0
        if not size or data[2 : 2 + size] != label:
            raise WrongLabel("the label of another cluster")
        return data[2 + size :]
    if label:
        raise WrongLabel("no label, ours is set")
    return data


def _checked(data: bytes) -> bytes:
    """What a checksum is in front of, if there is one."""
    if data[:1] != bytes((MessageType.CRC,)) or len(data) < _CRC.size:
        return data
    _, checksum = _CRC.unpack_from(data)
    if crc32(data[_CRC.size :]) != checksum:
        raise BadPacket("a wrong checksum")
    return data[_CRC.size :]


class _Unwrapping:
    """The work on one datagram: what was found, and what may still be spent."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.rejected: list[str] = []
        self._bytes_left = UNWRAPPED_BYTES_MAX

    def take(self, data: bytes, depth: int) -> None:
        """A message, or what wraps some. A wrong one is noted, and costs only itself."""
        if len(self.messages) + len(self.rejected) >= MESSAGES_MAX:
            raise TooMuch(f"more than {MESSAGES_MAX} messages in a datagram")
        try:
            self._open(data, depth)
        except BadPacket as bad:
            self.rejected.append(str(bad))

    def _open(self, data: bytes, depth: int) -> None:
        kind = data[0] if data else None
        if kind not in (MessageType.COMPOUND, MessageType.COMPRESS):
            self.messages.append(decode(data))
            return
        if depth == WRAPS_MAX:
            raise BadPacket(f"more than {WRAPS_MAX} compounds and compressions inside one another")
        if kind == MessageType.COMPOUND:
            for part in _parts(data):
                self.take(part, depth + 1)
        else:
            inner = decompress(fields_of(data, 1), self._bytes_left)
            self._bytes_left -= len(inner)
            self.take(inner, depth + 1)


def _parts(data: bytes) -> list[bytes]:
    """Of a compound; those that are cut off are missing."""
    count = data[1] if len(data) > 1 else 0
    begin = 2 + 2 * count
    if len(data) < begin:
        raise BadPacket("a compound that ends within its lengths")
    parts = []
    for (size,) in struct.iter_unpack(">H", data[2:begin]):
        if begin + size > len(data):
            break
        parts.append(data[begin : begin + size])
        begin += size
    return parts
