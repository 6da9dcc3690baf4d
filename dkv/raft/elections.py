"""When to ask for votes: a randomised timer, pre-vote, and loyalty to a leader that is still heard.

Raft §5.2; pre-vote as in the thesis §9.6; a node that heard a leader within the minimum election timeout refuses votes
and pre-votes (thesis §4.2.3), so that a node that is deaf, paused, or was removed cannot depose a working leader.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from dkv.raft.contracts import NodeId
from dkv.raft.options import Options

if TYPE_CHECKING:
    import random


QUICK, QUICK_TRIES = 4, 3
"""After the leader's process closed its links all stand at about the same time, and votes may be split: the first
few tries follow each other at a quarter of the timeout, which is many round trips of any network this is made for."""


def is_majority(agreeing: Collection[NodeId], voters: Collection[NodeId]) -> bool:
    """More than half of ``voters`` agree; strangers among ``agreeing`` do not count."""
    return 2 * sum(1 for node in voters if node in agreeing) > len(voters)


class Elections:
    """The timer and the pre-vote round of one replica. Clock times in seconds."""

    def __init__(self, options: Options, rng: random.Random, now: float) -> None:
        self._options = options
        self._rng = rng
        self._leader_heard = float("-inf")
        self._grants: set[NodeId] = set()
        self._quick_tries = 0
        self.pre_vote_term: int | None = None
        """The term that the running pre-vote round is for."""
        self.deadline = 0.0
        self.rearm(now)

    def rearm(self, now: float) -> None:
        """A new random timeout, from now on."""
        low, high = self._options.election_timeout_min_s, self._options.election_timeout_max_s
        if self._quick_tries:
            low, high = low / QUICK, high / QUICK
        self.deadline = now + low + (high - low) * self._rng.random()

    def heard_leader(self, now: float) -> None:
        """A message of the current term's leader came in."""
        self._leader_heard = now
        self.pre_vote_term = None
        self._quick_tries = 0
        self.rearm(now)

    def voted(self, now: float) -> None:
        """Our vote went to somebody else: do not stand against them."""
        self.pre_vote_term = None
        self.rearm(now)

    def lost_leader(self, now: float) -> None:
        """The leader's process closed its connection: loyalty ends, and the timer is cut short."""
        self._leader_heard = float("-inf")
        self._quick_tries = QUICK_TRIES
        self.deadline = min(self.deadline, now + self._options.leader_lost_jitter_s * self._rng.random())

    def is_loyal(self, now: float) -> bool:
        """A leader was heard so recently that nobody else deserves a vote."""
        return now - self._leader_heard < self._options.election_timeout_min_s

    def begin_pre_vote(self, term: int, me: NodeId, now: float) -> None:
        """Start asking for ``term``; the timer runs anew, for the next try."""
        self.rearm(now)
        self._quick_tries = max(0, self._quick_tries - 1)
        self.pre_vote_term = term
        self._grants = {me}

    def granted(self, term: int, node: NodeId) -> None:
        """``node`` would vote for us in ``term``."""
        if term == self.pre_vote_term:
            self._grants.add(node)

    def pre_vote_won(self, voters: Collection[NodeId]) -> bool:
        """True once: a majority would vote for us, so the real election may begin."""
        if self.pre_vote_term is None or not is_majority(self._grants, voters):
            return False
        self.pre_vote_term = None
        return True
