"""Whom a query is for. A member answers if all filters let it through; a kind that it does not know never does."""

from __future__ import annotations

import msgspec

from dkv.gossip.wire import packing
from dkv.gossip.wire.limits import FILTERS_MAX, NAME_BYTES_MAX, BadPacket
from dkv.gossip.wire.packing import text
from dkv.gossip.wire.unpacking import fields_of, value_at

_NODE, _TAG = 0, 1


class NodeFilter(msgspec.Struct, frozen=True):
    """The members with these names."""

    names: tuple[str, ...]


class TagFilter(msgspec.Struct, frozen=True):
    """The members whose ``tag`` (empty if missing) has a place where the Go regular expression matches.

    Whoever evaluates it must bound the time: Go's expressions are linear, Python's are not.
    """

    tag: str
    expression: str


class UnknownFilter(msgspec.Struct, frozen=True):
    """A kind of a later version, as it came: nobody."""

    data: bytes


Filter = NodeFilter | TagFilter | UnknownFilter


def encode_filter(each: Filter) -> bytes:
    """Filter → its bytes, the kind's first."""
    match each:
        case NodeFilter():
            return bytes((_NODE,)) + packing.array([text(name) for name in each.names])
        case TagFilter():
            return bytes((_TAG,)) + packing.fields({"Tag": text(each.tag), "Expr": text(each.expression)})
        case UnknownFilter():
            return each.data


def decode_filter(data: bytes) -> Filter:
    """Bytes → filter. Raises ``BadPacket`` for a known kind with a wrong content."""
    if not data:
        raise BadPacket("an empty filter")
    if data[0] == _NODE:
        names = value_at(data, 1, "a filter's names").array(FILTERS_MAX)
        return NodeFilter(tuple(name.text(NAME_BYTES_MAX) for name in names))
    if data[0] == _TAG:
        fields = fields_of(data, 1)
        return TagFilter(fields["Tag"].text(), fields["Expr"].text())
    return UnknownFilter(data)
