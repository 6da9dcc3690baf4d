"""Those who wait for an outcome: a ``Ticket`` in front of another, which adds a deadline.

Strategy: a timer per request costs more than the request's own bookkeeping, so one sweep every ``SWEEP_S``
looks at all who wait. Law: a deadline that passes before the operation was handed to the log means "not applied";
after that, "unknown". Whoever waits hears once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from dkv.clock import Clock
from dkv.errors import DkvError, Outcome, Timeout
from dkv.raft.contracts import Ticket

SWEEP_S = 0.02
"""How late a time-out may be noticed: far below any deadline that a person sets; 50 sweeps a second are cheap."""


class Waiter:
    """A ticket with a deadline. ``appended``: whether the operation may by now be in the log. ``done``: answered,
    failed, timed out or abandoned, so that nobody needs the outcome any more."""

    __slots__ = ("_ticket", "appended", "deadline", "done", "what")

    def __init__(self, what: str, deadline: float, ticket: Ticket) -> None:
        """``what`` names the operation in the time-out's sentence; ``deadline`` is in the clock's seconds."""
        self.what = what
        self.deadline = deadline
        self.appended = False
        self.done = False
        self._ticket = ticket

    def complete(self, value: Any) -> None:
        if not self.done:
            self.done = True
            self._ticket.complete(value)

    def fail(self, error: DkvError) -> None:
        if not self.done:
            self.done = True
            self._ticket.fail(error)

    def expire(self) -> None:
        """The deadline passed."""
        if self.appended:
            text = f"The {self.what} was not confirmed within its deadline; it may still take effect."
            self.fail(Timeout(text, outcome=Outcome.UNKNOWN))
        else:
            text = f"The {self.what} was not taken up within its deadline; nothing was changed. Try again."
            self.fail(Timeout(text, outcome=Outcome.NOT_APPLIED))


class FutureTicket:
    """For coroutines: the outcome as a future's."""

    __slots__ = ("future",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.future: asyncio.Future[Any] = loop.create_future()

    def complete(self, value: Any) -> None:
        if not self.future.done():
            self.future.set_result(value)

    def fail(self, error: DkvError) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class Waiters:
    """All who wait on one node, and the sweep that tells them when their time is up."""

    def __init__(self, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self._clock = clock
        self._loop = loop
        self._waiting: list[Waiter] = []
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return sum(not waiter.done for waiter in self._waiting)

    def add(self, waiter: Waiter) -> None:
        """From now on its deadline counts."""
        self._waiting.append(waiter)
        if self._timer is None:
            self._timer = self._loop.call_later(SWEEP_S, self._sweep)

    async def outcome(self, begin: Callable[[Ticket], Waiter | None]) -> Any:
        """What ``begin``'s ticket completes with; raises what it fails with. Cancelled: its waiter is abandoned."""
        ticket = FutureTicket(self._loop)
        waiter = begin(ticket)
        try:
            return await ticket.future
        finally:
            if waiter is not None:
                waiter.done = True

    def fail_all(self, error: DkvError) -> None:
        """The node stops: nobody is left waiting. What may be in the log keeps its unknown outcome."""
        for waiter in list(self._waiting):
            outcome = Outcome.UNKNOWN if waiter.appended else Outcome.NOT_APPLIED
            waiter.fail(type(error)(error.message, outcome=outcome))

    def _sweep(self) -> None:
        self._timer = None
        now = self._clock.now()
        self._waiting = [waiter for waiter in self._waiting if not waiter.done]
        for waiter in [waiter for waiter in self._waiting if waiter.deadline <= now]:
            waiter.expire()
        if self._waiting and self._timer is None:
            self._timer = self._loop.call_later(SWEEP_S, self._sweep)
