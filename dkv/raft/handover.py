"""Leadership transfer (thesis §3.10): bring one voter level, tell it to start an election, wait for its victory.

While it runs the leader holds proposals back, because under load nobody would ever be level. If no other leader is
known within one election timeout the transfer is given up and everything goes on as before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dkv.errors import DkvError, MembershipRefused
from dkv.errors import Timeout as DeadlinePassed
from dkv.raft.contracts import NodeId, Ticket
from dkv.raft.library import Library
from dkv.raft.options import Options


@dataclass(slots=True)
class _Transfer:
    target: NodeId | None
    ticket: Ticket
    deadline: float
    sent: bool = False


class Handover:
    """At most one transfer at a time. ``finish(ticket, error or None)`` reports its end."""

    def __init__(self, library: Library, options: Options, finish: Callable[[Ticket, DkvError | None], None]) -> None:
        self._library, self._options, self._finish = library, options, finish
        self._transfer: _Transfer | None = None

    @property
    def is_pending(self) -> bool:
        return self._transfer is not None

    def begin(self, target: NodeId | None, voters: tuple[NodeId, ...], me: NodeId, ticket: Ticket, now: float) -> None:
        """Hand the leadership to ``target``, or to whoever is furthest."""
        if target == me:
            self._finish(ticket, None)
        elif self._transfer is not None:
            self._finish(ticket, MembershipRefused("Another transfer of the leadership is under way; try again."))
        elif target is not None and target not in voters:
            self._finish(ticket, MembershipRefused(f"{target} is not a voter, so it cannot lead."))
        elif len(voters) < 2:
            self._finish(ticket, MembershipRefused("There is no other voter to hand the leadership to."))
        else:
            deadline = now + self._options.election_timeout_max_s
            self._transfer = _Transfer(target, ticket, deadline)

    def step(self, now: float) -> None:
        """Ask as soon as somebody is level; end when another leader is known, or when time is up."""
        transfer = self._transfer
        if transfer is None:
            return
        if self._library.leader is not None and not self._library.is_leader:
            self._end(None)
        elif now >= transfer.deadline:
            self._end(DeadlinePassed("No other node took the leadership over in time. Nothing else was changed."))
        elif not transfer.sent and self._library.is_leader:
            transfer.sent = self._library.transfer(transfer.target)

    def _end(self, error: DkvError | None) -> None:
        transfer, self._transfer = self._transfer, None
        assert transfer is not None, "a transfer ends once"
        self._finish(transfer.ticket, error)
