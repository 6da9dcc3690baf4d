"""What memberlist members say to each other, and the bytes of each message: a type byte and a msgpack struct.

Names are memberlist's, with three liberties: ``sequence`` is its SeqNo, an ``Address`` its pair of address and port,
``Versions`` its Vsn. Decoding refuses what no member sends (a name that is no text, a Vsn of a few bytes, which kills
old agents), so that a message that exists can be stored, compared, logged and gossiped on.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Final

import msgspec

from dkv.gossip.wire import packing
from dkv.gossip.wire.limits import BadPacket
from dkv.gossip.wire.packing import boolean, integer, raw, raw_or_nil, text
from dkv.gossip.wire.particulars import (
    OUR_VERSIONS,
    U16_MAX,
    U32_MAX,
    Address,
    Versions,
    pack_host,
    pack_versions,
    read_address,
    read_meta,
    read_name,
    read_name_or_nothing,
    read_versions,
)
from dkv.gossip.wire.unpacking import Fields, fields_of


class MessageType(IntEnum):
    """The first byte of every message, and of what wraps messages."""

    PING = 0
    INDIRECT_PING = 1
    ACK = 2
    SUSPECT = 3
    ALIVE = 4
    DEAD = 5
    PUSH_PULL = 6
    COMPOUND = 7
    USER = 8
    COMPRESS = 9
    ENCRYPT = 10
    NACK = 11
    CRC = 12
    ERROR = 13
    LABEL = 244


class Ping(msgspec.Struct, frozen=True, kw_only=True):
    """Are you there? Ignored unless ``node`` is the receiver's name or empty. ``source``: where the ack shall go."""

    sequence: int
    node: str = ""
    source: Address | None = None
    source_node: str = ""


class IndirectPing(msgspec.Struct, frozen=True, kw_only=True):
    """Ping ``target`` for me; ``nack``: tell me if it does not answer in time."""

    sequence: int
    node: str
    target: Address
    nack: bool
    source: Address | None = None
    source_node: str = ""


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """I am, or the one that you asked me to ping. ``payload``: the network coordinate of a member that has one."""

    sequence: int
    payload: bytes = b""


class Nack(msgspec.Struct, frozen=True, kw_only=True):
    """The one that you asked me to ping did not answer me either."""

    sequence: int


class Suspect(msgspec.Struct, frozen=True, kw_only=True):
    """``from_node`` says that ``node`` does not answer."""

    incarnation: int
    node: str
    from_node: str


class Alive(msgspec.Struct, frozen=True, kw_only=True):
    """``node`` is a member. ``meta``: its tags, encoded. ``versions``: None if it did not say."""

    incarnation: int
    node: str
    address: Address
    meta: bytes = b""
    versions: Versions | None = OUR_VERSIONS


class Dead(msgspec.Struct, frozen=True, kw_only=True):
    """``from_node`` says that ``node`` is dead; that it left, if it says so of itself."""

    incarnation: int
    node: str
    from_node: str


class User(msgspec.Struct, frozen=True, kw_only=True):
    """What is not memberlist's: Serf's messages, gossiped on as they came."""

    payload: bytes


class ErrorReply(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a request over TCP that could not be read."""

    error: str


Message = Ping | IndirectPing | Ack | Nack | Suspect | Alive | Dead | User | ErrorReply
"""Everything that is a message of its own. A push/pull exists over TCP only: see ``dkv.gossip.push_pull``."""


def encode(message: Message) -> bytes:
    """Message → its bytes, the type's first."""
    match message:
        case User():
            return bytes((MessageType.USER,)) + message.payload
        case Ping():
            kind, values = MessageType.PING, _write_ping(message)
        case IndirectPing():
            kind, values = MessageType.INDIRECT_PING, _write_indirect_ping(message)
        case Ack():
            kind, values = MessageType.ACK, _write_ack(message)
        case Nack():
            kind, values = MessageType.NACK, {"SeqNo": integer(message.sequence)}
        case Suspect():
            kind, values = MessageType.SUSPECT, _write_accusation(message)
        case Alive():
            kind, values = MessageType.ALIVE, _write_alive(message)
        case Dead():
            kind, values = MessageType.DEAD, _write_accusation(message)
        case ErrorReply():
            kind, values = MessageType.ERROR, {"Error": text(message.error)}
    return bytes((kind,)) + packing.fields(values)


def decode(data: bytes) -> Message:
    """The bytes of one message → message; what follows it is ignored, as agents do. Raises ``BadPacket``."""
    if not data:
        raise BadPacket("an empty message")
    if data[0] == MessageType.USER:
        return User(payload=data[1:])
    if data[0] not in _READERS:
        raise BadPacket(f"a message of the type {data[0]}, which is unknown or has no place here")
    return read(data[0], fields_of(data, 1))


def read(kind: int, fields: Fields) -> Message:
    """The struct of a message of that type → message. Raises ``BadPacket``."""
    return _READERS[kind](fields)


# --- one reader and one writer for each -------------------------------------------------------------------------------


def _read_ping(fields: Fields) -> Ping:
    return Ping(
        sequence=fields["SeqNo"].integer(U32_MAX),
        node=read_name_or_nothing(fields["Node"]),
        source=_read_source(fields),
        source_node=read_name_or_nothing(fields["SourceNode"]),
    )


def _read_indirect_ping(fields: Fields) -> IndirectPing:
    return IndirectPing(
        sequence=fields["SeqNo"].integer(U32_MAX),
        node=read_name_or_nothing(fields["Node"]),
        target=read_address(fields["Target"], fields["Port"]),
        nack=fields["Nack"].boolean(),
        source=_read_source(fields),
        source_node=read_name_or_nothing(fields["SourceNode"]),
    )


def _read_ack(fields: Fields) -> Ack:
    return Ack(sequence=fields["SeqNo"].integer(U32_MAX), payload=fields["Payload"].raw())


def _read_nack(fields: Fields) -> Nack:
    return Nack(sequence=fields["SeqNo"].integer(U32_MAX))


def _read_suspect(fields: Fields) -> Suspect:
    return Suspect(
        incarnation=fields["Incarnation"].integer(U32_MAX),
        node=read_name(fields["Node"]),
        from_node=read_name_or_nothing(fields["From"]),
    )


def _read_alive(fields: Fields) -> Alive:
    return Alive(
        incarnation=fields["Incarnation"].integer(U32_MAX),
        node=read_name(fields["Node"]),
        address=read_address(fields["Addr"], fields["Port"]),
        meta=read_meta(fields["Meta"]),
        versions=read_versions(fields["Vsn"]),
    )


def _read_dead(fields: Fields) -> Dead:
    return Dead(
        incarnation=fields["Incarnation"].integer(U32_MAX),
        node=read_name(fields["Node"]),
        from_node=read_name_or_nothing(fields["From"]),
    )


def _read_error(fields: Fields) -> ErrorReply:
    return ErrorReply(error=fields["Error"].shown_text())


def _read_source(fields: Fields) -> Address | None:
    """Only both parts together are worth anything: agents answer to the datagram's source otherwise."""
    if not fields["SourceAddr"].raw() or not fields["SourcePort"].integer(U16_MAX):
        return None
    return read_address(fields["SourceAddr"], fields["SourcePort"])


_READERS: Final[dict[int, Callable[[Fields], Message]]] = {
    MessageType.PING: _read_ping,
    MessageType.INDIRECT_PING: _read_indirect_ping,
    MessageType.ACK: _read_ack,
    MessageType.SUSPECT: _read_suspect,
    MessageType.ALIVE: _read_alive,
    MessageType.DEAD: _read_dead,
    MessageType.NACK: _read_nack,
    MessageType.ERROR: _read_error,
}


def _write_ping(message: Ping) -> dict[str, bytes]:
    return {"SeqNo": integer(message.sequence), "Node": text(message.node), **_source_fields(message)}


def _write_indirect_ping(message: IndirectPing) -> dict[str, bytes]:
    return {
        "SeqNo": integer(message.sequence),
        "Node": text(message.node),
        "Target": pack_host(message.target),
        "Port": integer(message.target.port),
        "Nack": boolean(message.nack),
        **_source_fields(message),
    }


def _write_ack(message: Ack) -> dict[str, bytes]:
    return {"SeqNo": integer(message.sequence), "Payload": raw_or_nil(message.payload)}


def _write_alive(message: Alive) -> dict[str, bytes]:
    return {
        "Incarnation": integer(message.incarnation),
        "Node": text(message.node),
        "Addr": pack_host(message.address),
        "Port": integer(message.address.port),
        "Meta": raw(message.meta),
        "Vsn": pack_versions(message.versions),
    }


def _write_accusation(message: Suspect | Dead) -> dict[str, bytes]:
    return {
        "Incarnation": integer(message.incarnation),
        "Node": text(message.node),
        "From": text(message.from_node),
    }


def _source_fields(message: Ping | IndirectPing) -> dict[str, bytes]:
    """The only fields that are left out when they are empty."""
    values: dict[str, bytes] = {}
    if message.source is not None:
        values["SourceAddr"] = pack_host(message.source)
        values["SourcePort"] = integer(message.source.port)
    if message.source_node:
        values["SourceNode"] = text(message.source_node)
    return values
