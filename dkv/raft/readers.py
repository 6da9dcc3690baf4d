"""All who read at this replica, whoever leads: from the first word to the moment when the state is new enough.

At the leader a reader takes part in a round (``reads.ReadRounds``); elsewhere the leader is asked for an index
(``reads.RemoteReads``). With the index known, it waits until so much is applied here.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection
from dataclasses import dataclass

from dkv.errors import NoLeader
from dkv.raft.contracts import NodeId, Ticket
from dkv.raft.messages import Message, ReadIndexReply, ReadIndexRequest, ReadProbe
from dkv.raft.options import Options
from dkv.raft.reads import ReadRounds, RemoteReads

TICKET_BITS = 62
"""A life's questions start at a random number of so many bits: an answer to a question of an earlier life of this node
must not be taken for the answer to one of this life's (it may come over the new link, and its index may be too old)."""


@dataclass(frozen=True, slots=True)
class RemoteReader:
    """A follower that asked on behalf of its own readers."""

    node: NodeId
    ticket: int


class Readers:
    """``send(node, message)`` queues for after the commit; served tickets are returned by ``take_served``."""

    def __init__(
        self, me: NodeId, options: Options, send: Callable[[NodeId, Message], None], *, first_ticket: int
    ) -> None:
        self._options, self._send = options, send
        self._rounds: ReadRounds[Ticket | RemoteReader] = ReadRounds(me)
        self._remote: RemoteReads[Ticket] = RemoteReads(first_ticket)
        self._awaiting: list[tuple[int, int, Ticket]] = []
        self._sequence = 0
        self._leader: NodeId | None = None

    def begin(self, ticket: Ticket, *, leading: bool, now: float) -> None:
        """A linearizable read arrived at this node."""
        if leading:
            self._rounds.begin(ticket)
        else:
            self._remote.begin(ticket, now)

    def asked(self, node: NodeId, ticket: int) -> None:
        """A follower asks us, the leader."""
        self._rounds.begin(RemoteReader(node, ticket))

    def confirmed(self, node: NodeId, number: int) -> None:
        """A voter stands by our term."""
        self._rounds.confirm(node, number)

    def answered(self, ticket: int, index: int) -> None:
        """The leader's answer to our question."""
        for reader in self._remote.answered(ticket):
            self.await_applied(index, reader)

    def await_applied(self, index: int, ticket: Ticket) -> None:
        """Complete ``ticket`` once ``index`` is applied here."""
        self._sequence += 1
        heapq.heappush(self._awaiting, (index, self._sequence, ticket))

    def lead(self, term: int, commit_index: int, voters: Collection[NodeId], me: NodeId, now: float) -> None:
        """One step of a leader whose term's first entry is committed."""
        self._serve(term, voters)
        patience_s = 2 * self._options.heartbeat_s
        number = self._rounds.next_round(commit_index, now) or self._rounds.resend(now, patience_s)
        if number is not None:
            for voter in voters:
                if voter != me:
                    self._send(voter, ReadProbe(term, number))
            self._serve(term, voters)  # a lone voter is its own majority

    def _serve(self, term: int, voters: Collection[NodeId]) -> None:
        served = self._rounds.take_served(voters)
        if served is None:
            return
        index, readers = served
        for reader in readers:
            if isinstance(reader, RemoteReader):
                self._send(reader.node, ReadIndexReply(term, reader.ticket, index))
            else:
                self.await_applied(index, reader)

    def follow(self, term: int, leader: NodeId | None, now: float) -> list[Ticket]:
        """One step of a replica that does not lead; the readers that waited too long for a leader."""
        if leader != self._leader:
            self._leader = leader
            self._remote.ask_again()
        if leader is None:
            return self._remote.take_older_than(now - self._options.read_patience_s)
        question = self._remote.next_question(now, 2 * self._options.heartbeat_s)
        if question is not None:
            self._send(leader, ReadIndexRequest(term, question))
        return []

    def deposed(self, now: float) -> None:
        """We lead no longer: our own readers ask the next leader; other nodes ask again by themselves."""
        for reader in self._rounds.take_all():
            if not isinstance(reader, RemoteReader):
                self._remote.begin(reader, now)

    def crowned(self) -> None:
        """We lead now: whoever waited for another leader's answer takes part in our rounds."""
        for reader in self._remote.take_all():
            self._rounds.begin(reader)

    def take_served(self, applied_index: int) -> list[tuple[Ticket, int]]:
        """(ticket, its index) of everybody whose index is applied."""
        served = []
        while self._awaiting and self._awaiting[0][0] <= applied_index:
            index, _, ticket = heapq.heappop(self._awaiting)
            served.append((ticket, index))
        return served


def no_leader() -> NoLeader:
    """What a reader or writer is told while nobody leads."""
    return NoLeader(
        "This node knows of no leader at the moment: an election is running, or too few nodes are up. "
        "Nothing was changed; try again shortly.",
        retry_after_s=0.2,
    )
