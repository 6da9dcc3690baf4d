"""What members ask each other behind the users' backs (queries named ``_serf_*``): payloads, answers, their bytes."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum

import msgspec

from dkv.gossip.wire import packing
from dkv.gossip.wire.limits import KEYS_TOLD_MAX, TAGS_MAX, BadPacket
from dkv.gossip.wire.packing import boolean, integer, text
from dkv.gossip.wire.particulars import (
    OUR_VERSIONS,
    U8_MAX,
    Address,
    Versions,
    pack_host,
    read_address,
    read_name,
)
from dkv.gossip.wire.serf_messages import SerfType
from dkv.gossip.wire.unpacking import Fields, Value, value_at

VERSION_FIELDS = ("ProtocolMin", "ProtocolMax", "ProtocolCur", "DelegateMin", "DelegateMax", "DelegateCur")
"""In the order of ``Versions``."""


class InternalQuery(StrEnum):
    """Their names. ``PING`` is only acked; the payload of ``CONFLICT`` is a name; the others' a ``KeyRequest``."""

    PING = "_serf_ping"
    CONFLICT = "_serf_conflict"
    INSTALL_KEY = "_serf_install-key"
    USE_KEY = "_serf_use-key"
    REMOVE_KEY = "_serf_remove-key"
    LIST_KEYS = "_serf_list-keys"


class Status(IntEnum):
    """A member as Serf sees it. The numbers travel."""

    NONE = 0
    ALIVE = 1
    LEAVING = 2
    LEFT = 3
    FAILED = 4


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """Whom the answerer knows under the name that is in conflict."""

    node: str
    address: Address
    tags: Mapping[str, str]
    status: Status = Status.ALIVE
    versions: Versions = OUR_VERSIONS


class KeyRequest(msgspec.Struct, frozen=True):
    """The key to install, use or remove, raw; empty for a list."""

    key: bytes = b""


class KeyResponse(msgspec.Struct, frozen=True, kw_only=True):
    """How that went; of a list the keys in base64, the primary's besides."""

    result: bool
    message: str = ""
    keys: tuple[str, ...] = ()
    primary_key: str = ""


def encode_member(member: Member | None) -> bytes:
    """The answer to a name conflict; None: nobody of that name."""
    body = packing.NIL if member is None else packing.fields(_write_member(member))
    return bytes((SerfType.CONFLICT_RESPONSE,)) + body


def decode_member(payload: bytes) -> Member | None:
    """The payload of an answer to a name conflict → member. Raises ``BadPacket``."""
    value = _body(payload, SerfType.CONFLICT_RESPONSE)
    return None if value.is_nil() else _read_member(value.fields())


def encode_key_request(request: KeyRequest) -> bytes:
    """Request → the payload of a key query."""
    return bytes((SerfType.KEY_REQUEST,)) + packing.fields({"Key": packing.raw(request.key)})


def decode_key_request(payload: bytes) -> KeyRequest:
    """The payload of a key query → request. Raises ``BadPacket``; whether it is a key is the keyring's to say."""
    return KeyRequest(_body(payload, SerfType.KEY_REQUEST).fields()["Key"].raw())


def encode_key_response(response: KeyResponse) -> bytes:
    """Response → the payload of the answer to a key query."""
    values = {
        "Result": boolean(response.result),
        "Message": text(response.message),
        "Keys": packing.array([text(key) for key in response.keys]) if response.keys else packing.NIL,
        "PrimaryKey": text(response.primary_key),
    }
    return bytes((SerfType.KEY_RESPONSE,)) + packing.fields(values)


def decode_key_response(payload: bytes) -> KeyResponse:
    """The payload of the answer to a key query → response. Raises ``BadPacket``."""
    fields = _body(payload, SerfType.KEY_RESPONSE).fields()
    return KeyResponse(
        result=fields["Result"].boolean(),
        message=fields["Message"].shown_text(),
        keys=tuple(key.shown_text() for key in fields["Keys"].array(KEYS_TOLD_MAX)),
        primary_key=fields["PrimaryKey"].shown_text(),
    )


def _body(payload: bytes, kind: SerfType) -> Value:
    if payload[:1] != bytes((kind,)):
        raise BadPacket(f"a payload that is no {kind.name.lower()}")
    return value_at(payload, 1, "the payload")


def _read_member(fields: Fields) -> Member:
    versions = (fields[name].integer(U8_MAX) for name in VERSION_FIELDS)
    return Member(
        node=read_name(fields["Name"]),
        address=read_address(fields["Addr"], fields["Port"]),
        tags={name.shown_text(): value.shown_text() for name, value in fields["Tags"].mapping(TAGS_MAX)},
        status=Status(fields["Status"].integer(Status.FAILED)),
        versions=Versions(*versions),
    )


def _write_member(member: Member) -> dict[str, bytes]:
    return {
        "Name": text(member.node),
        "Addr": pack_host(member.address),
        "Port": integer(member.address.port),
        "Tags": packing.mapping((text(name), text(value)) for name, value in member.tags.items()),
        "Status": integer(member.status),
        **dict(zip(VERSION_FIELDS, map(integer, member.versions), strict=True)),
    }
