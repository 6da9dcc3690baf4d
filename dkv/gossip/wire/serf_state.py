"""What Serf adds to a push/pull: its three clocks, when each member was last spoken of, who left, recent events.

Entries that cannot be (a name that is no text) are left out and counted; the rest is kept, as in the push/pull itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from dkv.gossip.wire import packing
from dkv.gossip.wire.limits import EVENTS_MAX, NODES_MAX, BadPacket
from dkv.gossip.wire.packing import integer, raw, text
from dkv.gossip.wire.particulars import U64_MAX, read_name
from dkv.gossip.wire.serf_messages import SerfType
from dkv.gossip.wire.unpacking import Value, fields_of


class PastEvent(msgspec.Struct, frozen=True):
    """A user event of the ring."""

    name: str
    payload: bytes = b""


class PastEvents(msgspec.Struct, frozen=True):
    """The user events of one Lamport time."""

    ltime: int
    events: tuple[PastEvent, ...]


class SerfState(msgspec.Struct, frozen=True, kw_only=True):
    """``status_ltimes``: member → the time of its last intent (0: none seen). ``left_members`` are among them.

    ``left_out``: entries that were not understood; not sent.
    """

    ltime: int
    event_ltime: int
    query_ltime: int
    status_ltimes: Mapping[str, int]
    left_members: tuple[str, ...] = ()
    events: tuple[PastEvents, ...] = ()
    left_out: int = 0


def encode_state(state: SerfState, *, ring_slots: int = 0) -> bytes:
    """State → the user state of a push/pull.

    ``ring_slots``: lay the events out as agents do, each at its time modulo the ring's size; 0: just the events,
    which agents take as well.
    """
    slots = [_pack_events(each) for each in state.events]
    if ring_slots:
        ring = [packing.NIL] * ring_slots
        for each, packed in zip(state.events, slots, strict=True):
            ring[each.ltime % ring_slots] = packed
        slots = ring
    values = {
        "LTime": integer(state.ltime),
        "StatusLTimes": packing.mapping((text(name), integer(ltime)) for name, ltime in state.status_ltimes.items()),
        "LeftMembers": packing.array([text(name) for name in state.left_members]),
        "EventLTime": integer(state.event_ltime),
        "Events": packing.array(slots),
        "QueryLTime": integer(state.query_ltime),
    }
    return bytes((SerfType.PUSH_PULL,)) + packing.fields(values)


def decode_state(user_state: bytes) -> SerfState:
    """The user state of a push/pull → state. Raises ``BadPacket``."""
    if user_state[:1] != bytes((SerfType.PUSH_PULL,)):
        raise BadPacket("a user state that is not Serf's")
    fields = fields_of(user_state, 1)
    ltimes = fields["StatusLTimes"].mapping(NODES_MAX)
    left = fields["LeftMembers"].array(NODES_MAX)
    slots = [slot for slot in fields["Events"].array(EVENTS_MAX) if not slot.is_nil()]
    status_ltimes = dict(entry for pair in ltimes if (entry := _read_ltime(*pair)) is not None)
    left_members = tuple(name for value in left if (name := _read_left(value)) is not None)
    events = tuple(past for slot in slots if (past := _read_events(slot)) is not None)
    sent, kept = len(ltimes) + len(left) + len(slots), len(status_ltimes) + len(left_members) + len(events)
    return SerfState(
        ltime=fields["LTime"].integer(U64_MAX),
        event_ltime=fields["EventLTime"].integer(U64_MAX),
        query_ltime=fields["QueryLTime"].integer(U64_MAX),
        status_ltimes=status_ltimes,
        left_members=left_members,
        events=events,
        left_out=sent - kept,
    )


def _pack_events(events: PastEvents) -> bytes:
    packed = [packing.fields({"Name": text(each.name), "Payload": raw(each.payload)}) for each in events.events]
    return packing.fields({"LTime": integer(events.ltime), "Events": packing.array(packed)})


def _read_events(slot: Value) -> PastEvents | None:
    try:
        fields = slot.fields()
        packed = [value.fields() for value in fields["Events"].array(EVENTS_MAX)]
        events = tuple(PastEvent(each["Name"].text(), each["Payload"].raw()) for each in packed)
        return PastEvents(fields["LTime"].integer(U64_MAX), events)
    except BadPacket:
        return None


def _read_ltime(name: Value, ltime: Value) -> tuple[str, int] | None:
    try:
        return read_name(name), ltime.integer(U64_MAX)
    except BadPacket:
        return None


def _read_left(name: Value) -> str | None:
    try:
        return read_name(name)
    except BadPacket:
        return None
