"""Named alarms over virtual or real time: set, moved, cancelled, and handed out in the order in which they are due."""

from __future__ import annotations

import heapq
import math
from enum import IntEnum
from itertools import count


class Timer(IntEnum):
    """What an alarm is for. The last three have one for each subject."""

    GOSSIP = 0
    PROBE = 1
    PROBE_TIMEOUT = 2
    PROBE_DEADLINE = 3
    PUSH_PULL = 4
    SUSPICION = 5
    RELAY = 6
    STREAM = 7


Key = tuple[Timer, str | int]
"""A timer and its subject: a member's name, a sequence number, or nothing ("")."""


class Timers:
    """A heap in which a moved or cancelled alarm stays until it comes up: cheap, since most are never moved."""

    def __init__(self) -> None:
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._ties = count()

    def set(self, timer: Timer, due: float, subject: str | int = "") -> None:
        """A new alarm, or another time for it."""
        self._due[timer, subject] = due
        heapq.heappush(self._heap, (due, next(self._ties), (timer, subject)))

    def cancel(self, timer: Timer, subject: str | int = "") -> None:
        """No alarm; there need not be one."""
        self._due.pop((timer, subject), None)

    def next_due(self) -> float:
        """The time of the next alarm; infinity if there is none."""
        heap = self._heap
        while heap and self._due.get(heap[0][2]) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else math.inf

    def pop(self, now: float) -> Key | None:
        """The next alarm that is due, which is thereby over."""
        if self.next_due() > now:
            return None
        _, _, key = heapq.heappop(self._heap)
        del self._due[key]
        return key
