"""Requests under way in a router, as the tickets that they are: each is told of the next stage, or of its failure.

Law: every ticket ends its request once, in the word of the log or in an error that says what became of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dkv.errors import DkvError, Timeout
from dkv.kv.commands import Code, Command, Result, Row
from dkv.levels import Level
from dkv.raft.contracts import Ticket
from dkv.raft.waiters import Waiter
from dkv.views import ReadReply

if TYPE_CHECKING:
    from dkv.router import Router

CLOCK_RETRY_S = 0.1
"""After a refused attempt to let keys expire: it must not be repeated in each turn."""


class Write(Waiter):
    """One request's commands, on their way into the log."""

    __slots__ = ("commands", "size_bytes")

    def __init__(self, commands: Sequence[Command], size_bytes: int, deadline: float, ticket: Ticket) -> None:
        super().__init__("write", deadline, ticket)
        self.commands = commands
        self.size_bytes = size_bytes


class PostponedWrite:
    """A write that waits for a leader: tried again once there is one, or patience is at its end."""

    __slots__ = ("_commands", "_deadline", "_router", "_ticket")

    def __init__(self, router: Router, commands: Sequence[Command], deadline: float, ticket: Ticket) -> None:
        self._router, self._commands, self._deadline, self._ticket = router, commands, deadline, ticket

    def complete(self, value: Any) -> None:
        try:
            self._router.take_write(self._commands, self._ticket, self._deadline)
        except DkvError as error:
            self._ticket.fail(error)

    def fail(self, error: DkvError) -> None:
        if isinstance(error, Timeout):
            self.complete(None)
        else:
            self._ticket.fail(error)


class Read:
    """One request's keys, on their way to a state that is new enough: ``complete`` is called at each stage of it."""

    __slots__ = ("_router", "deadline", "freshness_s", "keys", "level", "min_index", "ticket")

    def __init__(
        self,
        router: Router,
        keys: Sequence[str],
        level: Level,
        ticket: Ticket,
        deadline: float,
        min_index: int,
        freshness_s: float | None,
    ) -> None:
        self._router = router
        self.keys, self.level, self.ticket, self.deadline = keys, level, ticket, deadline
        self.min_index, self.freshness_s = min_index, freshness_s

    def complete(self, value: Any) -> None:
        try:
            self._router.go_on(self)
        except DkvError as error:
            self.ticket.fail(error)

    def fail(self, error: DkvError) -> None:
        self.ticket.fail(error)


class LogRead:
    """A read that went through the log as commands: their results are its rows."""

    __slots__ = ("_router", "_ticket")

    def __init__(self, router: Router, ticket: Ticket) -> None:
        self._router, self._ticket = router, ticket

    def complete(self, value: list[Result]) -> None:
        rows = [Row(result.value, result.revision) if result.code is Code.OK else None for result in value]
        self._ticket.complete(ReadReply(rows, self._router.applied_index, Level.STRONG))

    def fail(self, error: DkvError) -> None:
        self._ticket.fail(error)


class EntryTicket:
    """One log entry: its results go back to the requests that share it."""

    __slots__ = ("_began", "_router", "_writes")

    def __init__(self, router: Router, writes: list[Write], began: float) -> None:
        self._router = router
        self._writes = writes
        self._began = began

    def complete(self, value: list[Result]) -> None:
        start = 0
        for write in self._writes:
            end = start + len(write.commands)
            write.complete(value[start:end])
            start = end
        assert start == len(value), f"{len(value)} results for {start} commands of one entry"
        self._router.committed(self._writes, self._began)

    def fail(self, error: DkvError) -> None:
        self._router.failed(self._writes, error)


class RoundTicket:
    """The reads of one turn, served by one read index."""

    __slots__ = ("_readers", "_router")

    def __init__(self, router: Router, readers: list[Waiter]) -> None:
        self._router = router
        self._readers = readers

    def complete(self, value: int) -> None:
        for reader in self._readers:
            reader.complete(value)

    def fail(self, error: DkvError) -> None:
        for reader in self._readers:
            reader.fail(self._router.explained(error))


class ClockTicket:
    """Nobody waits for time; but one attempt at a time is enough."""

    __slots__ = ("_router",)

    def __init__(self, router: Router) -> None:
        self._router = router

    def complete(self, value: Any) -> None:
        self._router.clock_moved(0.0)

    def fail(self, error: DkvError) -> None:
        self._router.clock_moved(CLOCK_RETRY_S)
