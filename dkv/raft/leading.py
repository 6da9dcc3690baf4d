"""What a replica knows and does as the leader, around the library: replies, progress, whether it may serve reads."""

from __future__ import annotations

from collections.abc import Collection

from dkv.clock import Clock
from dkv.raft.changes import Learners
from dkv.raft.contracts import NodeId
from dkv.raft.guard import Guard
from dkv.raft.library import Library
from dkv.raft.log import Log
from dkv.raft.messages import AppendReply
from dkv.raft.outbox import Outbox
from dkv.raft.status import PeerProgress


class Leading:
    """``up``: the peers that we have a sending link to."""

    def __init__(
        self,
        *,
        log: Log,
        library: Library,
        guard: Guard,
        learners: Learners,
        outbox: Outbox,
        clock: Clock,
        up: Collection[NodeId],
    ) -> None:
        self._log, self._library, self._guard, self._learners = log, library, guard, learners
        self._outbox, self._clock, self._up = outbox, clock, up
        self._term_start = 0
        self._replied_at: dict[NodeId, float] = {}

    @property
    def can_serve_reads(self) -> bool:
        """We lead and know what was committed before us, because an entry of our own term is (Raft §8)."""
        return self._library.is_leader and self._library.commit_index >= self._term_start

    def crowned(self) -> None:
        """We just became the leader; the library appends the term's first entry next."""
        self._term_start = self._log.last_index + 1
        self._outbox.forget_sent()
        self._replied_at = dict.fromkeys(self._log.voters, self._clock.now())

    def on_append_reply(self, sender: NodeId, reply: AppendReply) -> None:
        """Count what this leadership's audience has."""
        audience = {*self._log.voters, *self._learners.all()}.intersection(self._up)
        if not self._library.is_leader or not self._guard.accepts_reply(reply, sender, self._library.term, audience):
            return
        self._replied_at[sender] = self._clock.now()
        if self._outbox.replied(sender, lost=reply.reset):
            self._library.connected(sender, learner=sender in self._learners)
        self._library.deliver(sender, reply)

    def is_late(self, sender: NodeId, reply: AppendReply) -> bool:
        """For entries that a majority has confirmed already, from a peer that nobody waits for."""
        is_confirmed = reply.success and reply.next_index <= self._library.commit_index + 1
        return is_confirmed and not self._outbox.is_paused(sender) and not self._learners.all()

    def progress(self) -> dict[NodeId, PeerProgress]:
        """Of every peer that we replicate to; empty if we do not lead."""
        if not self._library.is_leader:
            return {}
        now, matches = self._clock.now(), self._library.match_indexes()
        return {node: PeerProgress(match, now - self._replied_at.get(node, now)) for node, match in matches.items()}
