"""What an agent answers the `serf` command over its RPC port: a header (Error, Seq), and a body if the command has one.

Streams go on with a header and a record each, under the sequence of the request that began them. Text and bytes have
the types of today's msgpack here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address

import msgspec

from dkv.gossip.wire import packing
from dkv.gossip.wire.internal_queries import VERSION_FIELDS, Member
from dkv.gossip.wire.packing import NIL, array, boolean, integer, new_binary, new_text


class KeyReport(msgspec.Struct, frozen=True, kw_only=True):
    """How all members fared with a command about keys: ``messages`` by node, ``keys`` (of a list only) → holders."""

    nodes: int
    responses: int
    errors: int = 0
    messages: Mapping[str, str]
    keys: Mapping[str, int] | None = None


def header(sequence: int, error: str = "") -> bytes:
    """The whole of a response without a body, the beginning of every other and of every record."""
    return packing.fields({"Error": new_text(error), "Seq": integer(sequence)})


def joined_body(count: int) -> bytes:
    """How many could be joined; also behind an error."""
    return packing.fields({"Num": integer(count)})


def members_body(members: Sequence[Member]) -> bytes:
    """Those that a ``Members`` request selects."""
    return packing.fields({"Members": array([_pack_member(member) for member in members])})


def stats_body(stats: Mapping[str, Mapping[str, str]]) -> bytes:
    """Sections of names and values; agents have ``agent``, ``runtime``, ``serf``, ``tags``, ``event_handlers``."""
    return packing.mapping((new_text(section), _pack_texts(values)) for section, values in stats.items())


def keys_body(report: KeyReport) -> bytes:
    """Of all four commands about keys; also behind an error."""
    holders = report.keys.items() if report.keys is not None else ()
    keys = packing.mapping((new_text(key), integer(count)) for key, count in holders)
    return packing.fields(
        {
            "Messages": _pack_texts(report.messages),
            "Keys": NIL if report.keys is None else keys,
            "NumNodes": integer(report.nodes),
            "NumErr": integer(report.errors),
            "NumResp": integer(report.responses),
        }
    )


def no_coordinate_body() -> bytes:
    """The command waits for a body, also where there is none to tell of."""
    return packing.fields({"Coord": NIL, "Ok": boolean(False)})


def member_record(event: str, members: Sequence[Member]) -> bytes:
    """``event``: member-join, member-leave, member-failed, member-update, member-reap."""
    return packing.fields({"Event": new_text(event), "Members": array([_pack_member(member) for member in members])})


def user_record(ltime: int, name: str, payload: bytes, *, coalesce: bool) -> bytes:
    """A user event."""
    return packing.fields(
        {
            "Event": new_text("user"),
            "LTime": integer(ltime),
            "Name": new_text(name),
            "Payload": new_binary(payload),
            "Coalesce": boolean(coalesce),
        }
    )


def query_record(id: int, ltime: int, name: str, payload: bytes) -> bytes:
    """A query that was asked us; ``id`` is the connection's own, for ``Respond``."""
    return packing.fields(
        {
            "Event": new_text("query"),
            "ID": integer(id),
            "LTime": integer(ltime),
            "Name": new_text(name),
            "Payload": new_binary(payload),
        }
    )


def answer_record(kind: str, from_node: str = "", payload: bytes | None = None) -> bytes:
    """Of a query that we ask for a client; ``kind``: ack, response, and done when its time is over."""
    packed = NIL if payload is None else new_binary(payload)
    return packing.fields({"Type": new_text(kind), "From": new_text(from_node), "Payload": packed})


def log_record(line: str) -> bytes:
    """A line of the log."""
    return packing.fields({"Log": new_text(line)})


def _pack_member(member: Member) -> bytes:
    return packing.fields(
        {
            "Name": new_text(member.node),
            "Addr": new_binary(ip_address(member.address.host).packed),
            "Port": integer(member.address.port),
            "Tags": _pack_texts(member.tags),
            "Status": new_text(member.status.name.lower()),
            **dict(zip(VERSION_FIELDS, map(integer, member.versions), strict=True)),
        }
    )


def _pack_texts(texts: Mapping[str, str]) -> bytes:
    return packing.mapping((new_text(name), new_text(value)) for name, value in texts.items())
