"""A tick at a constant rate by timerfd(2), to some ten microseconds: uvloop's own timers know milliseconds only."""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from collections.abc import Callable

TICK_NS_MIN = 200_000
"""More than 5,000 wake-ups a second tell nothing more, and cost: what is due is taken together."""
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_CLOCK_MONOTONIC = 1
_NS_PER_S = 1_000_000_000


class Metronome:
    """Calls ``tick`` on the running loop every ``period_ns`` or TICK_NS_MIN, whichever is longer, until ``close``."""

    def __init__(self, period_ns: float, tick: Callable[[], None]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int = libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        seconds, rest = divmod(max(int(period_ns), TICK_NS_MIN), _NS_PER_S)
        # struct itimerspec: interval, then the first expiration, each as seconds and nanoseconds
        timing = struct.pack("qqqq", seconds, rest, 0, 1)
        if libc.timerfd_settime(self._descriptor, 0, timing, None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")
        self._tick = tick
        asyncio.get_running_loop().add_reader(self._descriptor, self._expired)

    def _expired(self) -> None:
        try:
            os.read(self._descriptor, 8)
        except BlockingIOError:
            return
        self._tick()

    def close(self) -> None:
        """No tick comes after it."""
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
