"""Becoming the leader, and deciding who else may: pre-votes, votes and terms, around the library's own election.

The library counts votes and decides; here is what it lacks: pre-vote, loyalty to a leader that is heard, one vote a
voter, and telling a deposed leader that its term is over.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from dkv.clock import Clock
from dkv.raft.changes import Learners
from dkv.raft.contracts import NodeId
from dkv.raft.elections import Elections
from dkv.raft.guard import Guard
from dkv.raft.library import Library
from dkv.raft.log import Log, LogPosition
from dkv.raft.messages import HigherTerm, Message, PreVote, PreVoteReply, RequestVote, TimeoutNow, Vote
from dkv.raft.options import Options


class Candidacy:
    """``send(node, message)`` queues for after the commit."""

    def __init__(
        self,
        *,
        me: NodeId,
        log: Log,
        library: Library,
        learners: Learners,
        guard: Guard,
        clock: Clock,
        rng: random.Random,
        options: Options,
        is_connected: Callable[[], bool],
        send: Callable[[NodeId, Message], None],
    ) -> None:
        self._me, self._log, self._library, self._learners, self._guard = me, log, library, learners, guard
        self._clock, self._options, self._is_connected, self._send = clock, options, is_connected, send
        self._told_to_stand = False
        self._transferred = False
        self.elections = Elections(options, rng, clock.now())
        if log.voters == (me,):
            self.elections.deadline = clock.now()  # a lone voter has nobody to wait for

    @property
    def is_loyal(self) -> bool:
        """There is a leader, ourselves or one that was just heard: nobody else deserves a vote."""
        return self._library.is_leader or self.elections.is_loyal(self._clock.now())

    def step(self, now: float, last_tick_at: float) -> None:
        """Before the library's tick: start a pre-vote that is due, or the election that was won in advance."""
        # Without a tick for so long it was we who were away: what the others sent meanwhile is still to be read. A lone
        # voter has no others: it was busy with its recovery, and would wait a second for nobody.
        if now - last_tick_at > self._options.election_timeout_min_s / 2 and self._log.voters != (self._me,):
            self.elections.rearm(now)
        if self._library.is_leader or self._me not in self._log.voters:
            self._told_to_stand = False
            return
        if now >= self.elections.deadline:
            next_term, last = self._library.term + 1, self._log.last_position
            self.elections.begin_pre_vote(next_term, self._me, now)
            for voter in self._log.voters:
                if voter != self._me:
                    self._send(voter, PreVote(self._library.term, next_term, last.index, last.term))
        told, self._told_to_stand = self._told_to_stand, False
        if told or self.elections.pre_vote_won(self._log.voters):
            self._campaign(transferred=told)

    def heard_leader(self) -> None:
        """A message of the current term's leader."""
        self._transferred = False
        self.elections.heard_leader(self._clock.now())

    def on_pre_vote(self, sender: NodeId, request: PreVote) -> None:
        """Answer without changing anything here."""
        up_to_date = LogPosition(request.last_term, request.last_index) >= self._log.last_position
        granted = request.next_term > self._library.term and up_to_date and not self.is_loyal
        self._send(sender, PreVoteReply(self._library.term, request.next_term, granted))

    def on_pre_vote_reply(self, sender: NodeId, reply: PreVoteReply) -> None:
        if reply.term > self._library.term:
            self.on_higher_term(sender, reply.term)
        elif reply.granted and reply.next_term == self._library.term + 1:
            self.elections.granted(reply.next_term, sender)

    def on_request_vote(self, sender: NodeId, request: RequestVote) -> None:
        if request.transfer or not self.is_loyal:
            self._library.deliver(sender, request)

    def on_vote(self, sender: NodeId, vote: Vote) -> None:
        if self._guard.accepts_vote(vote.term, sender, self._library.term):
            self._library.deliver(sender, vote)

    def on_timeout_now(self, sender: NodeId, message: TimeoutNow) -> None:
        if message.term == self._library.term and sender == self._library.leader:
            self._told_to_stand = True

    def on_higher_term(self, sender: NodeId, term: int) -> None:
        """Only from those who have a say, or who would otherwise never follow us."""
        if term > self._library.term and (sender in self._log.voters or sender in self._learners):
            self._library.adopt_term(sender, term)

    def refuses_old(self, sender: NodeId, term: int) -> bool:
        """A message of an old term: tell the sender that its time is over (the library would say nothing)."""
        if term >= self._library.term:
            return False
        self._send(sender, HigherTerm(self._library.term))
        return True

    def sends(self, node: NodeId, message: RequestVote | Vote) -> None:
        """The library's own votes and requests, on their way out."""
        if isinstance(message, Vote):
            self.elections.voted(self._clock.now())
        else:
            message = RequestVote(message.term, message.last_index, message.last_term, self._transferred)
        self._send(node, message)

    def _campaign(self, *, transferred: bool) -> None:
        # Without a link the library would keep the election in mind, and hold it whenever one comes back.
        if self._is_connected() or self._log.voters == (self._me,):
            self._transferred = transferred
            self._library.campaign()
