"""Time as an argument: kernels take ``now``; shells take a ``Clock``."""

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds that never go backwards, from an origin of its own."""

    def now(self) -> float:
        """Seconds since this clock's origin."""
        ...

    def until(self, due: float) -> float:
        """For the loop's timers: how many real seconds from now this clock will show ``due``; never negative."""
        ...


class MonotonicClock:
    """The machine's monotonic clock, the one that asyncio's loops use as well."""

    def now(self) -> float:
        """Seconds since boot (``time.monotonic``)."""
        return time.monotonic()

    def until(self, due: float) -> float:
        return max(0.0, due - time.monotonic())
