"""One change of the voters at a time, and learners that catch up before they count (thesis §4.1, §4.2.1).

Single-server changes are safe only if the next one begins after the last one is committed, and only after the leader
committed an entry of its own term (the erratum to thesis §4.1). pysyncobj meant to check the first and never does;
its own check of the second works, and its refusal is tried again here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dkv.errors import DkvError, LeadershipLost, MembershipRefused
from dkv.raft.configuration import ChangeOp, encode_change
from dkv.raft.contracts import NodeId, Ticket
from dkv.raft.library import FAIL_REASON, Library
from dkv.raft.log import Log
from dkv.raft.options import Options

CAUGHT_UP_ENTRIES = 8
"""A learner this close to the commit index has the rest before its promotion is committed: a few turns' worth."""

FOREVER = float("inf")


class Learners:
    """Peers that get the log and have no vote: joiners until they are added, removed voters until they know it.

    To pysyncobj they are read-only nodes, which it never counts. It keeps one list of links, so a peer is attached
    either as a learner or as a voter.
    """

    def __init__(self, library: Library, is_up: Callable[[NodeId], bool]) -> None:
        self._library, self._is_up = library, is_up
        self._until: dict[NodeId, float] = {}

    def __contains__(self, node: object) -> bool:
        return node in self._until

    def all(self) -> tuple[NodeId, ...]:
        return tuple(sorted(self._until))

    def attach(self, node: NodeId, until: float = FOREVER) -> None:
        """Replicate to ``node`` until then, without counting it."""
        if node not in self._until and self._is_up(node):
            self._library.disconnected(node)
            self._library.connected(node, learner=True)
        self._until[node] = until

    def detach(self, node: NodeId) -> None:
        """Order duty: before its promotion is appended, because the library forgets its indexes here."""
        if self._until.pop(node, None) is not None and self._is_up(node):
            self._library.disconnected(node, learner=True)
            self._library.connected(node)

    def detach_expired(self, now: float) -> None:
        for node in [node for node, until in self._until.items() if until <= now]:
            self.detach(node)

    def detach_all(self) -> None:
        for node in self.all():
            self.detach(node)


@dataclass(slots=True)
class _Change:
    op: ChangeOp
    node: NodeId
    ticket: Ticket
    match_index: int
    progress_at: float
    proposed: bool = False


class Changes:
    """The leader's workflow. ``finish(ticket, error or None)`` reports an end, to be told after the commit."""

    def __init__(
        self,
        me: NodeId,
        log: Log,
        library: Library,
        learners: Learners,
        options: Options,
        finish: Callable[[Ticket, DkvError | None], None],
    ) -> None:
        self._me, self._log, self._library, self._learners = me, log, library, learners
        self._options, self._finish = options, finish
        self._change: _Change | None = None

    @property
    def is_pending(self) -> bool:
        return self._change is not None

    def begin(self, op: ChangeOp, node: NodeId, ticket: Ticket, now: float) -> None:
        """Start to "add" or "rem" ``node``; refuses a second change, the leader's own removal and the last voter's.

        A removal does not wait for a learner that is still catching up: it may be the way out for a dead one.
        """
        refusal = self._refusal(op, node)
        if refusal is not None:
            self._finish(ticket, MembershipRefused(refusal))
            return
        if self._change is not None:
            self._give_up(f"{self._change.node} was still catching up when another change of the members came.")
        self._change = _Change(op, node, ticket, match_index=0, progress_at=now)
        self._is_so_already(self._change)

    def _refusal(self, op: ChangeOp, node: NodeId) -> str | None:
        joining = self._change is not None and not self._change.proposed
        if self._change is not None and not (op == "rem" and joining):
            return f"Another change of the members is under way ({self._change.op} {self._change.node}); try again."
        if op == "rem" and node == self._me:
            return "The leader cannot be removed; transfer its leadership first."
        if op == "rem" and self._log.voters == (node,):
            return "The last voter cannot leave: the data would have no keeper."
        return None

    def step(self, now: float) -> None:
        """One look a tick: propose as soon as it is due."""
        self._learners.detach_expired(now)
        change = self._change
        if change is None or change.proposed:
            return
        if self._is_so_already(change):
            return
        if change.op == "add" and not self._has_caught_up(change, now):
            if now - change.progress_at > self._options.learner_patience_s:
                self._give_up(f"{change.node} did not catch up: nothing was heard of it for a while. It has no vote.")
            return
        self._learners.detach(change.node)
        change.proposed = True
        self._library.propose(encode_change(change.op, change.node), self._proposed(change, now))

    def deposed(self) -> None:
        """Whether the change will be committed is the next leader's to know."""
        change, self._change = self._change, None
        self._learners.detach_all()
        if change is not None:
            self._finish(change.ticket, LeadershipLost("The leader was deposed while it changed the members."))

    def _is_so_already(self, change: _Change) -> bool:
        """In the log, that is; the change ends once that is committed, because until then it may be overruled."""
        if (change.op == "add") != (change.node in self._log.voters):
            return False
        if self._log.voters == self._log.voters_at(self._library.commit_index):
            self._change = None
            self._finish(change.ticket, None)
        return True

    def _has_caught_up(self, change: _Change, now: float) -> bool:
        self._learners.attach(change.node)
        match_index = self._library.match_indexes().get(change.node, 0)
        if match_index != change.match_index:
            change.match_index, change.progress_at = match_index, now
        # 0 is "has not answered yet": a young cluster's commit index alone would let a dead joiner in.
        return match_index > 0 and match_index >= self._library.commit_index - CAUGHT_UP_ENTRIES

    def _give_up(self, why: str) -> None:
        change, self._change = self._change, None
        assert change is not None, "only a change that is under way is given up"
        self._learners.detach(change.node)
        self._finish(change.ticket, MembershipRefused(why))

    def _proposed(self, change: _Change, now: float) -> Callable[[Any, int], None]:
        def done(_: Any, reason: int) -> None:
            if change is not self._change:
                return
            if reason == FAIL_REASON.REQUEST_DENIED:  # this term's first entry is not committed yet
                change.proposed = False
                return
            self._change = None
            if reason != FAIL_REASON.SUCCESS:
                self._finish(change.ticket, LeadershipLost("The change of the members was overruled by a new leader."))
                return
            if change.op == "rem":
                self._learners.attach(change.node, now + self._options.farewell_s)
            self._finish(change.ticket, None)

        return done
