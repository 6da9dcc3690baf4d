"""The last user events, by Lamport time: what is new is delivered once and gossiped on, the rest is old news.

A ring of 512 slots, as Serf's: an event finds its slot by its time, and what is 512 behind the clock is refused, so
that no slot is asked about a time that it has forgotten. It also is what a push/pull tells others.
"""

from __future__ import annotations

from typing import Final

from dkv.gossip.serf.lamport import LamportClock
from dkv.gossip.wire.limits import USER_EVENT_BYTES_MAX, TooLarge
from dkv.gossip.wire.serf_messages import UserEvent, encode
from dkv.gossip.wire.serf_state import PastEvent, PastEvents

SLOTS: Final = 512
"""Serf's EventBuffer."""

EVENT_ACCEPTED_BYTES_MAX: Final = 9 * 1024
"""Name and payload of somebody else's event: Serf's hard limit, whatever it is configured to."""

RING_BYTES_MAX: Final = 512 * 1024
"""Of all events kept, half of what a push/pull's user state may be. Honest ones take half of it at most."""

_EVENT_OVERHEAD_BYTES: Final = 16
"""Of an event without name and payload in a push/pull, about."""


def check_size(event: UserEvent) -> None:
    """Of an event of ours. Raises ``TooLarge`` with the agent's own words."""
    if _size(event) > USER_EVENT_BYTES_MAX:
        raise TooLarge(f"user event exceeds configured limit of {USER_EVENT_BYTES_MAX} bytes before encoding")
    if len(encode(event)) > USER_EVENT_BYTES_MAX:
        raise TooLarge(f"user event exceeds configured limit of {USER_EVENT_BYTES_MAX} bytes after encoding")


class _Slot:
    """The events of one time."""

    __slots__ = ("events", "ltime")

    def __init__(self, ltime: int) -> None:
        self.ltime = ltime
        self.events: list[PastEvent] = []

    def size_bytes(self) -> int:
        return sum(len(each.name.encode()) + len(each.payload) + _EVENT_OVERHEAD_BYTES for each in self.events)


class EventRing:
    """``clock`` is the one for user events; the ring moves it."""

    def __init__(self, clock: LamportClock) -> None:
        self._clock = clock
        self._slots: dict[int, _Slot] = {}
        self._size_bytes = 0
        self._ltime_min = 0

    def skip_before(self, ltime: int) -> None:
        """Events before ``ltime`` are none of our business: we joined later, or had them before a restart."""
        self._ltime_min = max(self._ltime_min, ltime)

    def take(self, event: UserEvent) -> bool:
        """Whether it is new. The clock witnesses it in any case."""
        self._clock.witness(event.ltime)
        size, past = _size(event), PastEvent(event.name, event.payload)
        if event.ltime < self._oldest() or size > EVENT_ACCEPTED_BYTES_MAX:
            return False
        slot = self._slot(event.ltime)
        if past in slot.events:
            return False
        slot.events.append(past)
        self._size_bytes += size + _EVENT_OVERHEAD_BYTES
        while self._size_bytes > RING_BYTES_MAX:
            dropped = self._drop(min(self._slots, key=lambda index: self._slots[index].ltime))
            self.skip_before(dropped.ltime + 1)  # otherwise its events would come back as new
        return True

    def told(self) -> tuple[PastEvents, ...]:
        """For a push/pull."""
        oldest = self._oldest()
        return tuple(PastEvents(s.ltime, tuple(s.events)) for s in self._slots.values() if s.ltime >= oldest)

    def _oldest(self) -> int:
        return max(self._ltime_min, self._clock.time - SLOTS)

    def _slot(self, ltime: int) -> _Slot:
        """Within the window two times never share a slot: what is in it otherwise is too old by now."""
        index = ltime % SLOTS
        if index in self._slots and self._slots[index].ltime != ltime:
            self._drop(index)
        return self._slots.setdefault(index, _Slot(ltime))

    def _drop(self, index: int) -> _Slot:
        slot = self._slots.pop(index)
        self._size_bytes -= slot.size_bytes()
        return slot


def _size(event: UserEvent) -> int:
    return len(event.name.encode()) + len(event.payload)
