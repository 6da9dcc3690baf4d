"""Exchanges over TCP: one request, at most one answer, each one message; its framing, and a reader that counts.

    plain       type u8 | body                                  no length anywhere
    compressed  09 | struct(Algo, Buf)                          of the plain form
    encrypted   0a | length u32 | sealed                        of one of the two above

The side that dials puts the label in front of its request; answers have none. Nobody closes its half after sending,
so that the reader must know by itself when a message is complete: it steps through the bytes as they come, each only
once, and reads a struct when all of it is there.
"""

from __future__ import annotations

import struct
from collections.abc import Generator
from typing import Final, TypeVar

from dkv.gossip.wire import messages, packing, push_pull
from dkv.gossip.wire.encryption import SEALED_OVERHEAD_BYTES
from dkv.gossip.wire.limits import (
    COMPRESSED_BYTES_MAX,
    STREAM_BYTES_MAX,
    STRUCT_BYTES_MAX,
    BadPacket,
    NotOurKey,
    TooLarge,
    TooMuch,
    WrongLabel,
)
from dkv.gossip.wire.messages import Ack, ErrorReply, MessageType, Ping, User
from dkv.gossip.wire.packets import PLAIN, Envelope, compress, decompress, label_header
from dkv.gossip.wire.push_pull import NodeState, PushPull
from dkv.gossip.wire.unpacking import Fields, fields_of, skim

StreamMessage = Ping | Ack | PushPull | User | ErrorReply
"""What may come over TCP. ``ErrorReply`` only as an answer, ``User`` (no agent sends it) only as a request."""

NOT_ENCRYPTED: Final = "Encryption is configured but remote state is not encrypted"
NOT_DECRYPTABLE: Final = "Remote state is encrypted and encryption is not configured"
"""Reasons in the agents' own words: good ``ErrorReply`` texts."""

_FRAME = struct.Struct(">BI")
_ARRIVALS_BYTES_MAX = STREAM_BYTES_MAX + 512
"""With a label (257 bytes), the frame and the encryption's overhead."""

T = TypeVar("T")
Reading = Generator[None, None, T]
"""A reading that yields whenever it needs more bytes, and returns what it read."""


def encode_stream(
    message: StreamMessage,
    envelope: Envelope = PLAIN,
    *,
    dialling: bool,
    nonce: bytes = b"",
    compressed: bool = False,
) -> bytes:
    """Message → what to write. Raises ``TooLarge``.

    ``dialling``: it is a request. ``nonce``: 12 fresh bytes, with a keyring.
    """
    data = _encode(message)
    if len(data) > STREAM_BYTES_MAX:
        raise TooLarge(f"a message of {len(data)} bytes over TCP, the limit is {STREAM_BYTES_MAX}")
    if compressed:
        data = compress(data)
    if envelope.keyring is not None:
        frame = _FRAME.pack(MessageType.ENCRYPT, len(data) + SEALED_OVERHEAD_BYTES)
        data = frame + envelope.keyring.seal(data, nonce=nonce, associated=frame + envelope.label)
    return label_header(envelope.label) + data if dialling else data


def decode_stream(data: bytes, envelope: Envelope = PLAIN, *, dialling: bool) -> StreamMessage:
    """Everything that came → message; what follows it is ignored. Raises ``BadPacket``, also if it is incomplete."""
    message = StreamReader(envelope, dialling=dialling).feed(data)
    if message is None:
        raise BadPacket("a message that ends too early")
    return message


class StreamReader:
    """Reads one message. ``dialling``: we made the connection, so that what comes is the answer."""

    def __init__(self, envelope: Envelope = PLAIN, *, dialling: bool) -> None:
        self._arrivals = _Arrivals()
        self._reading = (_read_sealed if dialling else _read_request)(self._arrivals, envelope)
        self._over = False

    def feed(self, data: bytes) -> StreamMessage | None:
        """Bytes as they come → the message once it is complete, None before. Raises ``BadPacket``.

        After either the connection is only good for the answer.
        """
        assert not self._over, "this message is read, or refused"
        self._arrivals.data += data
        self._over = True
        try:
            next(self._reading)
        except StopIteration as done:
            message: StreamMessage = done.value
            return message
        self._over = False
        return None


def _encode(message: StreamMessage) -> bytes:
    if isinstance(message, PushPull):
        return push_pull.encode(message)
    if isinstance(message, User):  # here, and only here, it says how long it is
        header = packing.fields({"UserMsgLen": packing.integer(len(message.payload))})
        return bytes((MessageType.USER,)) + header + message.payload
    return messages.encode(message)


class _Arrivals:
    """The bytes of one message, and how far they are read. Its verbs yield while there are not enough of them."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)
        self._offset = 0

    def take(self, size: int) -> Reading[bytes]:
        """The next bytes."""
        while len(self.data) - self._offset < size:
            yield from self._more()
        self._offset += size
        return bytes(self.data[self._offset - size : self._offset])

    def first(self) -> Reading[int]:
        """The next byte, which stays."""
        while len(self.data) == self._offset:
            yield from self._more()
        return self.data[self._offset]

    def fields(self, bytes_max: int = STRUCT_BYTES_MAX) -> Reading[Fields]:
        """The next struct, of at most so many bytes."""
        begin, (end, pending) = self._offset, skim(self.data, self._offset, 1)
        while pending and len(self.data) - begin <= bytes_max:
            yield from self._more()
            end, pending = skim(self.data, end, pending)
        if pending or end - begin > bytes_max:
            raise TooMuch(f"a part of more than {bytes_max} bytes")
        self._offset = end
        return fields_of(bytes(self.data[begin:end]))

    def _more(self) -> Reading[None]:
        if len(self.data) >= _ARRIVALS_BYTES_MAX:
            raise TooMuch(f"a message of more than {STREAM_BYTES_MAX} bytes")
        yield


def _read_request(arrivals: _Arrivals, envelope: Envelope) -> Reading[StreamMessage]:
    """What the dialling side sends: its label first, if the cluster has one."""
    labelled = (yield from arrivals.first()) == MessageType.LABEL
    if labelled != bool(envelope.label):
        raise WrongLabel("a label, ours is not set" if labelled else "no label, ours is set")
    header = label_header(envelope.label)
    if (yield from arrivals.take(len(header))) != header:
        raise WrongLabel("the label of another cluster")
    return (yield from _read_sealed(arrivals, envelope))


def _read_sealed(arrivals: _Arrivals, envelope: Envelope) -> Reading[StreamMessage]:
    """Everything but the label: encrypted if and only if the cluster is."""
    encrypted = (yield from arrivals.first()) == MessageType.ENCRYPT
    if envelope.keyring is None:
        if encrypted:
            raise NotOurKey(NOT_DECRYPTABLE)
        return (yield from _read_plain(arrivals))
    if not encrypted:
        raise NotOurKey(NOT_ENCRYPTED)
    frame = yield from arrivals.take(_FRAME.size)
    _, size = _FRAME.unpack(frame)
    if size > STREAM_BYTES_MAX + SEALED_OVERHEAD_BYTES:
        raise TooMuch(f"an encrypted message of {size} bytes")
    sealed = yield from arrivals.take(size)
    plain = envelope.keyring.open(sealed, associated=frame + envelope.label)
    return _whole(_read_plain(_Arrivals(plain)))


def _read_plain(arrivals: _Arrivals) -> Reading[StreamMessage]:
    """A message, perhaps compressed (once)."""
    if (yield from arrivals.first()) != MessageType.COMPRESS:
        return (yield from _read_message(arrivals))
    yield from arrivals.take(1)
    compressed = yield from arrivals.fields(COMPRESSED_BYTES_MAX)
    return _whole(_read_message(_Arrivals(decompress(compressed, STREAM_BYTES_MAX))))


def _read_message(arrivals: _Arrivals) -> Reading[StreamMessage]:
    kind = (yield from arrivals.take(1))[0]
    if kind == MessageType.PUSH_PULL:
        return (yield from _read_push_pull(arrivals))
    if kind == MessageType.USER:
        header = yield from arrivals.fields()
        return User(payload=(yield from arrivals.take(header["UserMsgLen"].integer(STREAM_BYTES_MAX))))
    if kind not in (MessageType.PING, MessageType.ACK, MessageType.ERROR):
        raise BadPacket(f"a message of the type {kind} over TCP")
    message = messages.read(kind, (yield from arrivals.fields()))
    assert isinstance(message, Ping | Ack | ErrorReply), f"the type {kind} gave a {type(message).__name__}"
    return message


def _read_push_pull(arrivals: _Arrivals) -> Reading[PushPull]:
    header = push_pull.read_header((yield from arrivals.fields()))
    nodes: list[NodeState] = []
    for _ in range(header.nodes):
        node = push_pull.read_node((yield from arrivals.fields()))
        if node is not None:
            nodes.append(node)
    user_state = yield from arrivals.take(header.user_state_bytes)
    return PushPull(join=header.join, nodes=tuple(nodes), user_state=user_state, left_out=header.nodes - len(nodes))


def _whole(reading: Reading[StreamMessage]) -> StreamMessage:
    """The message in bytes of which no more will come."""
    try:
        next(reading)
    except StopIteration as done:
        message: StreamMessage = done.value
        return message
    raise BadPacket("a message that ends too early")
