"""What a replica does at a leader's word: appends and snapshot notices, judged before the library hears of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from dkv.clock import Clock
from dkv.raft.candidacy import Candidacy
from dkv.raft.contracts import NodeId, StateMachine
from dkv.raft.guard import Guard, Judged
from dkv.raft.library import Library
from dkv.raft.log import Log
from dkv.raft.messages import AppendEntries, AppendReply, Message, SnapshotNotice
from dkv.raft.snapshots import ReadySnapshot
from dkv.raft.state import State

M = TypeVar("M", bound=StateMachine)


class Following(Generic[M]):
    """``send(node, message)`` queues for after the commit. ``heard_at``: clock time of the leader's last word."""

    def __init__(
        self,
        *,
        log: Log,
        library: Library,
        guard: Guard,
        candidacy: Candidacy,
        state: State[M],
        clock: Clock,
        send: Callable[[NodeId, Message], None],
    ) -> None:
        self._log, self._library, self._guard, self._candidacy = log, library, guard, candidacy
        self._state, self._clock, self._send = state, clock, send
        self._answering: Judged | None = None
        self.heard_at = clock.now()
        self.owes_tick = False
        self.ticked_index = log.last_index
        """Where the log ended with the last tick."""

    def answers_first(self) -> bool:
        """Whether to leave the tick to the next turn, which follows at once (``owes_tick``).

        The leader waits for new entries to be written; older ones are applied behind that.
        """
        self.owes_tick = (
            not self.owes_tick
            and not self._library.is_leader
            and self._log.last_index != self.ticked_index
            and self._library.commit_index > self._library.applied_index
        )
        return self.owes_tick

    def on_append(self, sender: NodeId, message: AppendEntries) -> None:
        """Raises ``BadMessage`` for entries that the library must not see, ``FatalError`` for contradictions."""
        if self._candidacy.refuses_old(sender, message.term):
            return
        self._guard.check_entries(message)
        self._hear()
        judged = self._guard.judge_append(message, self._log, self._library.commit_index)
        self._answering = judged  # the library replies from within deliver(), so a reply knows what it answers
        self._library.deliver(sender, judged.message)
        self._answering = None

    def on_snapshot_notice(self, sender: NodeId, notice: SnapshotNotice) -> None:
        """The leader's log begins behind our end: install a snapshot that is ready, or pull one."""
        if self._candidacy.refuses_old(sender, notice.term):
            return
        self._hear()
        self._library.deliver(sender, notice)
        # The library is silent here; without an answer the leader would think that it lost its quorum.
        self._send(sender, AppendReply(notice.term, 0, success=False, reset=False))
        ready = self._state.take_ready()
        if ready is None:
            self._state.need(sender, self._library.term, self._clock.now())
        elif self._guard.wants_snapshot(ready.header.last, self._log, self._library.applied_index):
            self._install(sender, notice, ready)
        elif self._log.term_at(ready.header.last.index) == ready.header.last.term:
            # We have its last entry, so we have what is committed up to there (Log Matching). Saying so lets the leader
            # go on behind it; silence would bring the same notice for ever.
            last = ready.header.last
            self.on_append(sender, AppendEntries(notice.term, last.index, last.term, last.index, []))

    def _install(self, sender: NodeId, notice: SnapshotNotice, ready: ReadySnapshot[M]) -> None:
        index, term = ready.header.last.index, ready.header.last.term
        self._answering = Judged(AppendEntries(notice.term, index, term, index, []), index, mismatch=False)
        self._library.install(sender, ready.header)
        self._answering = None
        self._state.install(ready)

    def judge(self, reply: AppendReply) -> AppendReply | None:
        """The library's reply to what is being delivered, as it may leave; None if nobody waits for it."""
        if reply.success and self._answering is not None and self._answering.quiet:
            return None
        return self._guard.judge_reply(reply, self._answering, self._library.commit_index)

    def _hear(self) -> None:
        self.heard_at = self._clock.now()
        self._candidacy.heard_leader()
