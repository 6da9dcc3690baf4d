"""The exchange of everything that two members know, over TCP: every member, and Serf's state as opaque bytes.

``06 | struct(Join, Nodes, UserStateLen) | Nodes structs | UserStateLen bytes``, without any length in front: a reader
has to count. A member that could not be one is left out and the rest is kept: otherwise one bad entry, which old
agents pass on to everybody for ever, would end all our exchanges.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from dkv.gossip.wire import packing
from dkv.gossip.wire.limits import NODES_MAX, USER_STATE_BYTES_MAX, BadPacket, TooLarge
from dkv.gossip.wire.messages import MessageType
from dkv.gossip.wire.packing import boolean, integer, raw, text
from dkv.gossip.wire.particulars import (
    OUR_VERSIONS,
    U32_MAX,
    Address,
    Versions,
    pack_host,
    pack_versions,
    read_address,
    read_meta,
    read_name,
    read_versions,
)
from dkv.gossip.wire.unpacking import Fields


class State(IntEnum):
    """A member as SWIM sees it. The numbers travel."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2
    LEFT = 3


class NodeState(msgspec.Struct, frozen=True, kw_only=True):
    """One member in a push/pull (its ``node`` is called Name there)."""

    incarnation: int
    node: str
    address: Address
    state: State
    meta: bytes = b""
    versions: Versions | None = OUR_VERSIONS


class PushPull(msgspec.Struct, frozen=True, kw_only=True):
    """All that the sender knows. ``join``: the exchange makes it, or the receiver, a member.

    ``user_state``: Serf's, see ``dkv.gossip.serf_state``. ``left_out``: entries that could not be members; not sent.
    """

    join: bool
    nodes: tuple[NodeState, ...]
    user_state: bytes = b""
    left_out: int = 0


class Header(msgspec.Struct, frozen=True):
    """What follows: that many structs, that many bytes."""

    join: bool
    nodes: int
    user_state_bytes: int


def encode(exchange: PushPull) -> bytes:
    """Exchange → its bytes, the type's first. Raises ``TooLarge``."""
    if len(exchange.nodes) > NODES_MAX:
        raise TooLarge(f"a push/pull of {len(exchange.nodes)} members, the limit is {NODES_MAX}")
    if len(exchange.user_state) > USER_STATE_BYTES_MAX:
        raise TooLarge(f"a user state of {len(exchange.user_state)} bytes, the limit is {USER_STATE_BYTES_MAX}")
    header = {
        "Join": boolean(exchange.join),
        "Nodes": integer(len(exchange.nodes)),
        "UserStateLen": integer(len(exchange.user_state)),
    }
    kind = bytes((MessageType.PUSH_PULL,))
    return b"".join((kind, packing.fields(header), *map(_pack_node, exchange.nodes), exchange.user_state))


def read_header(fields: Fields) -> Header:
    """Raises ``BadPacket`` for sizes beyond the limits: they are claims, nothing of it may have come yet."""
    return Header(
        join=fields["Join"].boolean(),
        nodes=fields["Nodes"].integer(NODES_MAX),
        user_state_bytes=fields["UserStateLen"].integer(USER_STATE_BYTES_MAX),
    )


def read_node(fields: Fields) -> NodeState | None:
    """None for an entry that could not be a member."""
    try:
        return NodeState(
            incarnation=fields["Incarnation"].integer(U32_MAX),
            node=read_name(fields["Name"]),
            address=read_address(fields["Addr"], fields["Port"]),
            state=State(fields["State"].integer(State.LEFT)),
            meta=read_meta(fields["Meta"]),
            versions=read_versions(fields["Vsn"]),
        )
    except BadPacket:
        return None


def _pack_node(node: NodeState) -> bytes:
    return packing.fields(
        {
            "Addr": pack_host(node.address),
            "Incarnation": integer(node.incarnation),
            "Meta": raw(node.meta),
            "Name": text(node.node),
            "Port": integer(node.address.port),
            "State": integer(node.state),
            "Vsn": pack_versions(node.versions),
        }
    )
