"""Time as an argument: kernels take ``now``; shells take a ``Clock``."""

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds that never go backwards, from an origin of its own."""

    def now(self) -> float:
        """Seconds since this clock's origin."""
        ...


class MonotonicClock:
    """The machine's monotonic clock, the one that asyncio's loops use as well."""

    def now(self) -> float:
        """Seconds since boot (``time.monotonic``)."""
        return time.monotonic()
