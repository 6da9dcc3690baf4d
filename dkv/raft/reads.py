"""ReadIndex: who waits for which index, confirmed by whom (Raft §8, thesis §6.4).

A read that arrives at the leader notes the commit index; it may be served once a majority confirmed, *after* it came,
that the leader's term still stands. One round is under way at a time and serves all reads that began before it was
sent; the next round takes everybody who came meanwhile. A leader answers only after its term's first entry committed,
because until then it does not know what was committed before it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from dkv.raft.contracts import NodeId
from dkv.raft.elections import is_majority

R = TypeVar("R")


@dataclass(slots=True)
class _Round(Generic[R]):
    number: int
    commit_index: int
    readers: list[R]
    confirmed_by: set[NodeId]
    sent_at: float


@dataclass(slots=True)
class ReadRounds(Generic[R]):
    """The leader's side. ``R``: whoever waits for an index."""

    me: NodeId
    _waiting: list[R] = field(default_factory=list)
    _running: _Round[R] | None = None
    _last_number: int = 0

    def begin(self, reader: R) -> None:
        """A read arrived; the next round serves it."""
        self._waiting.append(reader)

    def next_round(self, commit_index: int, now: float) -> int | None:
        """The number of the round to send now, if readers wait and none is under way."""
        if self._running is not None or not self._waiting:
            return None
        self._last_number += 1
        self._running = _Round(self._last_number, commit_index, self._waiting, {self.me}, now)
        self._waiting = []
        return self._last_number

    def resend(self, now: float, patience_s: float) -> int | None:
        """The number of a round that got no majority for ``patience_s``: a probe or a reply was lost."""
        if self._running is None or now - self._running.sent_at < patience_s:
            return None
        self._running.sent_at = now
        return self._running.number

    def confirm(self, node: NodeId, number: int) -> None:
        """``node`` answered round ``number`` in our term."""
        if self._running is not None and number == self._running.number:
            self._running.confirmed_by.add(node)

    def take_served(self, voters: Collection[NodeId]) -> tuple[int, list[R]] | None:
        """(index, readers) of the round under way, once a majority confirmed it."""
        if self._running is None or not is_majority(self._running.confirmed_by, voters):
            return None
        done, self._running = self._running, None
        return done.commit_index, done.readers

    def take_all(self) -> list[R]:
        """Everybody who waits, because we lead no longer."""
        running = self._running.readers if self._running is not None else []
        waiting, self._waiting, self._running = self._waiting, [], None
        return running + waiting

    @property
    def idle(self) -> bool:
        """Nobody waits."""
        return self._running is None and not self._waiting


@dataclass(slots=True)
class RemoteReads(Generic[R]):
    """The follower's side: one question to the leader at a time serves all that came before it was asked."""

    _ticket: int
    """Of the last question; begins where no earlier life of this node was."""
    _waiting: list[tuple[float, R]] = field(default_factory=list)
    _asked: list[tuple[float, R]] = field(default_factory=list)
    _asked_at: float = 0.0

    def begin(self, reader: R, now: float) -> None:
        """A read arrived at this follower."""
        self._waiting.append((now, reader))

    def next_question(self, now: float, patience_s: float) -> int | None:
        """The ticket to ask the leader with, if readers wait and no question is under way.

        A question without an answer for ``patience_s`` is repeated under its old ticket: an answer to any of its copies
        serves, however slow the link is, because all were asked after these readers came.
        """
        if self._asked and now - self._asked_at >= patience_s:
            self._asked_at = now
            return self._ticket
        if self._asked or not self._waiting:
            return None
        self._ticket += 1
        self._asked, self._waiting, self._asked_at = self._waiting, [], now
        return self._ticket

    def ask_again(self) -> None:
        """Another leader is there: all wait for the next question."""
        self._waiting, self._asked = self._asked + self._waiting, []

    def answered(self, ticket: int) -> list[R]:
        """The readers that the answer to ``ticket`` serves; none if it is an old one."""
        if ticket != self._ticket:
            return []
        served, self._asked = [reader for _, reader in self._asked], []
        return served

    def take_older_than(self, time: float) -> list[R]:
        """Readers that began before ``time`` and are not under way: nobody leads whom one could ask."""
        old = [reader for began, reader in self._waiting if began <= time]
        if old:
            self._waiting = [(began, reader) for began, reader in self._waiting if began > time]
        return old

    def take_all(self) -> list[R]:
        """Everybody who waits, because we lead ourselves now."""
        everybody = [reader for _, reader in self._asked + self._waiting]
        self._asked, self._waiting = [], []
        return everybody

    @property
    def idle(self) -> bool:
        """Nobody waits."""
        return not self._asked and not self._waiting
