"""What Serf members say to each other inside memberlist's user messages: a type byte and a msgpack struct.

Members send these on as they came: keep the payload, do not encode a decoded message again. ``ltime`` is a Lamport
time, of the clock for members, events or queries.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum, IntFlag
from typing import Final

import msgspec

from dkv.gossip.wire import packing
from dkv.gossip.wire.filters import Filter, decode_filter, encode_filter
from dkv.gossip.wire.limits import FILTERS_MAX, BadPacket
from dkv.gossip.wire.packing import boolean, integer, raw, raw_or_nil, text
from dkv.gossip.wire.particulars import (
    I64_MAX,
    U8_MAX,
    U32_MAX,
    U64_MAX,
    Address,
    pack_host,
    read_address,
    read_name,
    read_name_or_nothing,
)
from dkv.gossip.wire.unpacking import Fields, fields_of


class SerfType(IntEnum):
    """The first byte of every Serf message."""

    LEAVE = 0
    JOIN = 1
    PUSH_PULL = 2
    USER_EVENT = 3
    QUERY = 4
    QUERY_RESPONSE = 5
    CONFLICT_RESPONSE = 6
    KEY_REQUEST = 7
    KEY_RESPONSE = 8
    RELAY = 9


class QueryFlag(IntFlag):
    """Of a query."""

    ACK = 1
    """Say at once that you got it."""
    NO_BROADCAST = 2
    """Do not gossip it on."""


RESPONSE_ACK: Final = 1
"""The flag of a query response that only says: I got it."""


class JoinIntent(msgspec.Struct, frozen=True, kw_only=True):
    """``node`` is a member from ``ltime`` on."""

    ltime: int
    node: str


class LeaveIntent(msgspec.Struct, frozen=True, kw_only=True):
    """``node`` is going, or an operator says that it is gone. ``prune``: forget it altogether."""

    ltime: int
    node: str
    prune: bool = False


class UserEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that operators tell everybody. ``coalesce``: only the newest of a name is worth delivering."""

    ltime: int
    name: str
    payload: bytes = b""
    coalesce: bool = False


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A question to the members that pass all ``filters``; the answers go to ``address`` until the time is out.

    ``relay_factor``: through how many others an answer shall be sent besides.
    """

    ltime: int
    id: int
    address: Address
    source_node: str
    name: str
    payload: bytes = b""
    filters: tuple[Filter, ...] = ()
    flags: int = 0
    relay_factor: int = 0
    timeout_ns: int


class QueryResponse(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, or with the flag ``RESPONSE_ACK`` the promise of one; ``payload`` None: nil, as in every ack."""

    ltime: int
    id: int
    from_node: str
    flags: int = 0
    payload: bytes | None = None


class Relay(msgspec.Struct, frozen=True, kw_only=True):
    """Pass ``message`` (a Serf message, encoded) on to ``node`` at ``address``."""

    address: Address
    node: str
    message: bytes
    zone: str = ""


SerfMessage = JoinIntent | LeaveIntent | UserEvent | Query | QueryResponse | Relay


def encode(message: SerfMessage) -> bytes:
    """Message → the payload of a ``messages.User``."""
    rest = b""
    match message:
        case JoinIntent():
            kind, values = SerfType.JOIN, {"LTime": integer(message.ltime), "Node": text(message.node)}
        case LeaveIntent():
            kind, values = SerfType.LEAVE, _write_leave(message)
        case UserEvent():
            kind, values = SerfType.USER_EVENT, _write_event(message)
        case Query():
            kind, values = SerfType.QUERY, _write_query(message)
        case QueryResponse():
            kind, values = SerfType.QUERY_RESPONSE, _write_response(message)
        case Relay():
            kind, values, rest = SerfType.RELAY, _write_relay(message), message.message
    return bytes((kind,)) + packing.fields(values) + rest


def decode(payload: bytes) -> SerfMessage:
    """The payload of a ``messages.User`` → message. Raises ``BadPacket``."""
    if not payload:
        raise BadPacket("an empty Serf message")
    kind = payload[0]
    if kind != SerfType.RELAY and kind not in _READERS:
        raise BadPacket(f"a Serf message of the type {kind}, which is unknown or has no place here")
    fields = fields_of(payload, 1)
    return _read_relay(fields, payload[fields.end :]) if kind == SerfType.RELAY else _READERS[kind](fields)


# --- one reader and one writer for each -------------------------------------------------------------------------------


def _read_join(fields: Fields) -> JoinIntent:
    return JoinIntent(ltime=fields["LTime"].integer(U64_MAX), node=read_name(fields["Node"]))


def _read_leave(fields: Fields) -> LeaveIntent:
    return LeaveIntent(
        ltime=fields["LTime"].integer(U64_MAX),
        node=read_name(fields["Node"]),
        prune=fields["Prune"].boolean(),
    )


def _write_leave(message: LeaveIntent) -> dict[str, bytes]:
    return {"LTime": integer(message.ltime), "Node": text(message.node), "Prune": boolean(message.prune)}


def _read_event(fields: Fields) -> UserEvent:
    return UserEvent(
        ltime=fields["LTime"].integer(U64_MAX),
        name=fields["Name"].text(),
        payload=fields["Payload"].raw(),
        coalesce=fields["CC"].boolean(),
    )


def _write_event(message: UserEvent) -> dict[str, bytes]:
    return {
        "LTime": integer(message.ltime),
        "Name": text(message.name),
        "Payload": raw(message.payload),
        "CC": boolean(message.coalesce),
    }


def _read_query(fields: Fields) -> Query:
    return Query(
        ltime=fields["LTime"].integer(U64_MAX),
        id=fields["ID"].integer(U32_MAX),
        address=read_address(fields["Addr"], fields["Port"]),
        source_node=read_name_or_nothing(fields["SourceNode"]),
        name=fields["Name"].text(),
        payload=fields["Payload"].raw(),
        filters=tuple(decode_filter(value.raw()) for value in fields["Filters"].array(FILTERS_MAX)),
        flags=fields["Flags"].integer(U32_MAX),
        relay_factor=fields["RelayFactor"].integer(U8_MAX),
        timeout_ns=fields["Timeout"].integer(I64_MAX),
    )


def _write_query(message: Query) -> dict[str, bytes]:
    filters = [raw(encode_filter(each)) for each in message.filters]
    return {
        "LTime": integer(message.ltime),
        "ID": integer(message.id),
        "Addr": pack_host(message.address),
        "Port": integer(message.address.port),
        "SourceNode": text(message.source_node),
        "Name": text(message.name),
        "Payload": raw_or_nil(message.payload),
        "Filters": packing.array(filters) if filters else packing.NIL,
        "Flags": integer(message.flags),
        "RelayFactor": integer(message.relay_factor),
        "Timeout": integer(message.timeout_ns),
    }


def _read_response(fields: Fields) -> QueryResponse:
    return QueryResponse(
        ltime=fields["LTime"].integer(U64_MAX),
        id=fields["ID"].integer(U32_MAX),
        from_node=read_name(fields["From"]),
        flags=fields["Flags"].integer(U32_MAX),
        payload=fields["Payload"].raw_or_none(),
    )


def _write_response(message: QueryResponse) -> dict[str, bytes]:
    return {
        "LTime": integer(message.ltime),
        "ID": integer(message.id),
        "From": text(message.from_node),
        "Flags": integer(message.flags),
        "Payload": packing.NIL if message.payload is None else raw(message.payload),
    }


def _read_relay(header: Fields, message: bytes) -> Relay:
    destination = header["DestAddr"].fields()
    if not message:
        raise BadPacket("a relay of nothing")
    return Relay(
        address=read_address(destination["IP"], destination["Port"]),
        node=read_name_or_nothing(header["DestName"]),
        message=message,
        zone=read_name_or_nothing(destination["Zone"]),
    )


def _write_relay(message: Relay) -> dict[str, bytes]:
    destination = {
        "IP": pack_host(message.address),
        "Port": integer(message.address.port),
        "Zone": text(message.zone),
    }
    return {"DestAddr": packing.fields(destination), "DestName": text(message.node)}


_READERS: Final[dict[int, Callable[[Fields], SerfMessage]]] = {
    SerfType.LEAVE: _read_leave,
    SerfType.JOIN: _read_join,
    SerfType.USER_EVENT: _read_event,
    SerfType.QUERY: _read_query,
    SerfType.QUERY_RESPONSE: _read_response,
}
