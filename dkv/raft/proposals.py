"""Proposals on their way: not yet with the library, or waiting for their entry to be applied.

Only a leader proposes. The library's own reasons for a refusal all mean that the command is in no log (RAFT table of
reasons), so they are told as "not applied"; a leader that is deposed first does not know, and says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dkv.errors import DkvError, LeadershipLost, Outcome
from dkv.raft.contracts import Ticket
from dkv.raft.library import FAIL_REASON, Library


class Proposals:
    """``end(ticket, result, error)`` reports an end, to be told after the commit."""

    def __init__(self, library: Library, end: Callable[[Ticket, Any, DkvError | None], None]) -> None:
        self._library, self._end = library, end
        self._waiting: list[tuple[bytes, Ticket]] = []
        self._pending: dict[Ticket, None] = {}  # in order, so that a seed replays

    def add(self, command: bytes, ticket: Ticket) -> None:
        """To be appended in the next tick."""
        self._waiting.append((command, ticket))

    def hand_over(self) -> None:
        """Give all to the library, which appends them in this tick."""
        waiting, self._waiting = self._waiting, []
        for command, ticket in waiting:
            self._pending[ticket] = None
            self._library.propose(command, self._ended(ticket))

    def deposed(self) -> None:
        """What the library has may yet be committed by the next leader; what it has not, never."""
        pending, self._pending = self._pending, {}
        for ticket in pending:
            self._end(ticket, None, LeadershipLost("The leader was deposed before the write was confirmed."))
        waiting, self._waiting = self._waiting, []
        for _, ticket in waiting:
            self._end(ticket, None, _overruled())

    def _ended(self, ticket: Ticket) -> Callable[[Any, int], None]:
        def done(result: Any, reason: int) -> None:
            if ticket in self._pending:
                del self._pending[ticket]
                self._end(ticket, result, None if reason == FAIL_REASON.SUCCESS else _overruled())

        return done


def _overruled() -> LeadershipLost:
    text = "The leader changed before the write was stored; it was not applied. Try again."
    return LeadershipLost(text, outcome=Outcome.NOT_APPLIED)
