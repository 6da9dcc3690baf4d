"""Which keys are to be removed next: a calendar of slots, each a set of keys that expire within the same 64
ms.

A key that gets another time to live leaves its old slot at once, so nothing piles up under a key that is
refreshed for ever. What ``take`` returns depends on the set of (key, expires_ms) and the clock alone, never
on the order in which they came: slots by time, keys by code points. Only slots that are wholly past are
taken, and since a new key always expires after the clock, a slot that is being taken can only shrink; so its
keys are sorted once. A slot is divided by a stable hash of the key: a million keys that all expire at
midnight are sorted a few at a time.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from zlib import crc32

SLOT_MS = 64
DIVISIONS = 64
STALE_SLOTS_MAX = 1024
"""Beyond these (and as many as there are live ones) the heap is made anew."""


class Expiries:
    """``(key, expires_ms)`` pairs; a slot's number is its time × ``DIVISIONS`` + its key's division."""

    __slots__ = ("_draining", "_draining_slot", "_heap", "_slots")

    def __init__(self) -> None:
        self._slots: dict[int, dict[str, None]] = {}
        self._heap: list[int] = []
        """Every live slot at least once, besides ones that emptied meanwhile."""
        self._draining: list[str] = []
        self._draining_slot = 0
        """The slot that is being taken, and its keys, last one first; some of them may have left it
        meanwhile.
        """

    def add(self, key: str, expires_ms: int) -> None:
        slot = _slot(key, expires_ms)
        keys = self._slots.get(slot)
        if keys is not None:
            keys[key] = None
            return
        self._slots[slot] = {key: None}
        heappush(self._heap, slot)
        if len(self._heap) > 2 * len(self._slots) + STALE_SLOTS_MAX:
            self._heap = list(self._slots)
            heapify(self._heap)

    def discard(self, key: str, expires_ms: int) -> None:
        self._remove(key, _slot(key, expires_ms))

    def next_ms(self) -> int | None:
        """When the first slot is wholly past, on the state's clock; None: nothing expires."""
        heap, slots = self._heap, self._slots
        while heap and heap[0] not in slots:
            heappop(heap)
        return (heap[0] // DIVISIONS + 1) * SLOT_MS if heap else None

    def take(self, clock_ms: int, count_max: int) -> list[str]:
        """Removes and returns up to ``count_max`` keys that are due."""
        taken: list[str] = []
        while len(taken) < count_max:
            if not self._draining:
                due_ms = self.next_ms()
                if due_ms is None or due_ms > clock_ms:
                    break
                self._draining_slot = self._heap[0]
                self._draining = sorted(self._slots[self._draining_slot], reverse=True)
            key = self._draining.pop()
            if key in self._slots.get(self._draining_slot, ()):
                self._remove(key, self._draining_slot)
                taken.append(key)
        return taken

    def _remove(self, key: str, slot: int) -> None:
        keys = self._slots[slot]
        del keys[key]
        if not keys:
            del self._slots[slot]


def _slot(key: str, expires_ms: int) -> int:
    return expires_ms // SLOT_MS * DIVISIONS + crc32(key.encode()) % DIVISIONS
