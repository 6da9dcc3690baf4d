"""Who takes which message, and which ones need no turn of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dkv.clock import Clock
from dkv.raft import messages as m
from dkv.raft.candidacy import Candidacy
from dkv.raft.contracts import NodeId
from dkv.raft.following import Following
from dkv.raft.leading import Leading
from dkv.raft.library import Library
from dkv.raft.readers import Readers
from dkv.raft.state import State


class Hearing:
    """``send(node, message)`` queues for after the commit."""

    def __init__(
        self,
        library: Library,
        candidacy: Candidacy,
        following: Following[Any],
        leading: Leading,
        readers: Readers,
        state: State[Any],
        clock: Clock,
        send: Callable[[NodeId, m.Message], None],
    ) -> None:
        self._library, self._candidacy, self._following, self._leading = library, candidacy, following, leading
        self._readers, self._state, self._clock, self._send = readers, state, clock, send

    def receive(self, sender: NodeId, message: m.Message) -> None:
        """One message from a member of the cluster. ``FatalError`` if it breaks an invariant."""
        match message:
            case m.AppendEntries():
                self._following.on_append(sender, message)
            case m.AppendReply():
                self._leading.on_append_reply(sender, message)
            case m.ReadProbe():
                self._on_read_probe(sender, message)
            case m.ReadProbeReply():
                if message.term == self._library.term and self._library.is_leader:
                    self._readers.confirmed(sender, message.round)
            case m.ReadIndexRequest():
                if self._library.is_leader:
                    self._readers.asked(sender, message.ticket)
            case m.ReadIndexReply():
                self._readers.answered(message.ticket, message.index)
            case m.RequestVote():
                self._candidacy.on_request_vote(sender, message)
            case m.Vote():
                self._candidacy.on_vote(sender, message)
            case m.PreVote():
                self._candidacy.on_pre_vote(sender, message)
            case m.PreVoteReply():
                self._candidacy.on_pre_vote_reply(sender, message)
            case m.HigherTerm():
                self._candidacy.on_higher_term(sender, message.term)
            case m.TimeoutNow():
                self._candidacy.on_timeout_now(sender, message)
            case m.SnapshotNotice():
                self._following.on_snapshot_notice(sender, message)
            case m.SnapshotPull():
                self._state.serve(sender, message, self._library.term, self._clock.now())
            case m.SnapshotChunk():
                self._state.take(sender, message, self._library.term, self._clock.now())

    def can_wait(self, sender: NodeId, message: m.Message) -> bool:
        """Whether ``message`` changes nothing that anybody waits for: the next turn, whenever it is, will do."""
        return isinstance(message, m.AppendReply) and self._leading.is_late(sender, message)

    def _on_read_probe(self, sender: NodeId, probe: m.ReadProbe) -> None:
        if not self._candidacy.refuses_old(sender, probe.term) and probe.term == self._library.term:
            self._send(sender, m.ReadProbeReply(probe.term, probe.round))
