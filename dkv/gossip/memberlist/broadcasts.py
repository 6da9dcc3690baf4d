"""What is to be gossiped: each message is sent a limited number of times, and a newer one about a name replaces it.

Order: what was sent least often first, of those the largest first (small ones fill the rest of a packet), then the
newest. So news is never held up by what everybody has heard. The queue is always in this order.
"""

from __future__ import annotations

from bisect import insort
from itertools import count


class _Broadcast:
    __slots__ = ("data", "name", "number", "transmits")

    def __init__(self, name: str | None, data: bytes, number: int) -> None:
        self.name, self.data, self.number, self.transmits = name, data, number, 0

    def rank(self) -> tuple[int, int, int]:
        return self.transmits, -len(self.data), -self.number


class Broadcasts:
    """A transmit-limited queue.

    ``broadcasts_max``: beyond it what was sent most often goes (Serf's queues hold 4,096). memberlist's own queue
    needs none: it has one message for each member at most.
    """

    def __init__(self, broadcasts_max: int | None = None) -> None:
        self._queue: list[_Broadcast] = []
        self._named: dict[str, _Broadcast] = {}
        self._numbers = count()
        self._broadcasts_max = broadcasts_max
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._queue)

    def __contains__(self, name: str) -> bool:
        """Is one of this name still to be sent?"""
        return name in self._named

    def queue(self, data: bytes, name: str | None = None) -> None:
        """One more to send; the older one of the same ``name`` will not be sent again. None: replaces nothing."""
        assert data, "an empty broadcast"
        broadcast = _Broadcast(name, data, next(self._numbers))
        if name is not None:
            old = self._named.get(name)
            if old is not None:
                self._queue.remove(old)
            self._named[name] = broadcast
        insort(self._queue, broadcast, key=_Broadcast.rank)
        if self._broadcasts_max is not None and len(self._queue) > self._broadcasts_max:
            self._unname(self._queue.pop())
            self.dropped += 1

    def take(self, overhead_bytes: int, limit_bytes: int, transmits_max: int) -> list[bytes]:
        """Messages for one packet, counted as sent once more.

        Each takes its size and ``overhead_bytes`` of ``limit_bytes``. Those that were now sent ``transmits_max``
        times are over; what is larger than the room stays.
        """
        taken: list[int] = []
        room = limit_bytes
        for place, broadcast in enumerate(self._queue):
            if room <= overhead_bytes:
                break
            size = len(broadcast.data) + overhead_bytes
            if size <= room:
                room -= size
                taken.append(place)
        broadcasts = [self._queue[place] for place in taken]
        for place in reversed(taken):
            del self._queue[place]
        for broadcast in broadcasts:
            self._count_as_sent(broadcast, transmits_max)
        return [broadcast.data for broadcast in broadcasts]

    def _count_as_sent(self, broadcast: _Broadcast, transmits_max: int) -> None:
        broadcast.transmits += 1
        if broadcast.transmits < transmits_max:
            insort(self._queue, broadcast, key=_Broadcast.rank)
        else:
            self._unname(broadcast)

    def _unname(self, broadcast: _Broadcast) -> None:
        if broadcast.name is not None:
            del self._named[broadcast.name]
