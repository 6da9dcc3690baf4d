"""Virtual time and what happens in it: a heap of events, nothing else."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class VirtualClock:
    """Seconds that pass only when the next event is due."""

    def __init__(self) -> None:
        self.time = 1000.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = 0

    def now(self) -> float:
        return self.time

    def at(self, time: float, event: Callable[[], None]) -> None:
        """Call ``event`` at ``time``; events of one time come in the order in which they were given."""
        self._sequence += 1
        heapq.heappush(self._events, (max(time, self.time), self._sequence, event))

    def after(self, delay_s: float, event: Callable[[], None]) -> None:
        self.at(self.time + delay_s, event)

    def step(self) -> None:
        """Go to the next event and let it happen."""
        self.time, _, event = heapq.heappop(self._events)
        event()
