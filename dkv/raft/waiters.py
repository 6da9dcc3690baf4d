"""Those who wait for a turn's outcome: a ``Ticket`` that a coroutine can await, with a deadline.

Strategy: a timer per request costs more than the request's own bookkeeping, so one sweep every ``SWEEP_S``
looks at all who wait. Law: a deadline that passes before the operation was handed to the log means "not applied";
after that, "unknown".
"""

from __future__ import annotations

import asyncio
from typing import Any

from dkv.clock import Clock
from dkv.errors import DkvError, Outcome, Timeout

SWEEP_S = 0.02
"""How late a time-out may be noticed: far below any deadline that a person sets; 50 sweeps a second are cheap."""


class Waiter:
    """A ticket with a future. ``appended``: whether the operation may by now be in the log."""

    __slots__ = ("appended", "deadline", "future", "what")

    def __init__(self, what: str, deadline: float, loop: asyncio.AbstractEventLoop) -> None:
        """``what`` names the operation in the time-out's sentence; ``deadline`` is in the clock's seconds."""
        self.what = what
        self.deadline = deadline
        self.appended = False
        self.future: asyncio.Future[Any] = loop.create_future()

    @property
    def done(self) -> bool:
        """Answered, failed, timed out or abandoned: nobody needs the outcome any more."""
        return self.future.done()

    def complete(self, value: Any) -> None:
        if not self.future.done():
            self.future.set_result(value)

    def fail(self, error: DkvError) -> None:
        if not self.future.done():
            self.future.set_exception(error)

    def expire(self) -> None:
        """The deadline passed."""
        if self.appended:
            text = f"The {self.what} was not confirmed within its deadline; it may still take effect."
            self.fail(Timeout(text, outcome=Outcome.UNKNOWN))
        else:
            text = f"The {self.what} was not taken up within its deadline; nothing was changed. Try again."
            self.fail(Timeout(text, outcome=Outcome.NOT_APPLIED))


class Waiters:
    """All who wait on one node, and the sweep that tells them when their time is up."""

    def __init__(self, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self._clock = clock
        self._loop = loop
        self._waiting: set[Waiter] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    async def wait(self, waiter: Waiter) -> Any:
        """What the ticket completes with; raises what it fails with, or ``Timeout``."""
        self._waiting.add(waiter)
        if self._timer is None:
            self._timer = self._loop.call_later(SWEEP_S, self._sweep)
        try:
            return await waiter.future
        finally:
            self._waiting.discard(waiter)

    def fail_all(self, error: DkvError) -> None:
        """The node stops: nobody is left waiting. What may be in the log keeps its unknown outcome."""
        for waiter in list(self._waiting):
            outcome = Outcome.UNKNOWN if waiter.appended else Outcome.NOT_APPLIED
            waiter.fail(type(error)(error.message, outcome=outcome))

    def _sweep(self) -> None:
        self._timer = None
        now = self._clock.now()
        for waiter in [waiter for waiter in self._waiting if waiter.deadline <= now]:
            waiter.expire()
        if self._waiting:
            self._timer = self._loop.call_later(SWEEP_S, self._sweep)
