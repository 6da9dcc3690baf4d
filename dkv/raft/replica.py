"""One member of one Raft group: the library, the guard before it, and what the library lacks around it.

Driven from outside and deterministic: messages, proposals and link events in; after ``tick`` and the caller's durable
commit, messages and completed tickets out. It has no thread, socket or clock of its own, so the simulator runs this
very class. Law: nothing that ``tick`` or ``receive`` produced leaves before the commit (``take_messages``, ``settle``),
but for what promises nothing (``take_early_messages``).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from dkv.clock import Clock
from dkv.errors import DkvError, NotLeader
from dkv.raft import messages as m
from dkv.raft.candidacy import Candidacy
from dkv.raft.changes import Changes, Learners
from dkv.raft.configuration import ChangeOp, decode_change
from dkv.raft.contracts import CheckpointStore, GroupId, GroupLog, NodeId, StateMachine, Ticket
from dkv.raft.elections import Elections
from dkv.raft.following import Following
from dkv.raft.guard import Guard
from dkv.raft.handover import Handover
from dkv.raft.hearing import Hearing
from dkv.raft.leading import Leading
from dkv.raft.library import LEADER, Library
from dkv.raft.log import Log
from dkv.raft.options import PROPOSAL_BYTES_MAX, Options
from dkv.raft.outbox import Outbox
from dkv.raft.proposals import Proposals
from dkv.raft.readers import TICKET_BITS, Readers, no_leader
from dkv.raft.recovery import recovery_point
from dkv.raft.snapshots import Background
from dkv.raft.state import State
from dkv.raft.status import ReplicaStatus, Role
from dkv.raft.translation import LibraryMessage

M = TypeVar("M", bound=StateMachine)

_ROLES = (Role.FOLLOWER, Role.CANDIDATE, Role.LEADER)


class Replica(Generic[M]):
    """``M``: the state machine."""

    def __init__(
        self,
        *,
        cluster: str,
        group: GroupId,
        me: NodeId,
        log: GroupLog,
        checkpoints: CheckpointStore,
        new_machine: Callable[[], M],
        load_machine: Callable[[Iterator[bytes]], M],
        clock: Clock,
        rng: random.Random,
        options: Options,
        background: Background,
    ) -> None:
        """Open and recover: checkpoint, then the log behind it. Blocking; raises ``StartupError``."""
        self.group, self.me = group, me
        self._clock, self._options = clock, options
        logged = log.load()
        start = recovery_point(logged, checkpoints.headers())
        self._log = Log(log, logged)
        self._log.commit_index = start.commit_index
        self._state: State[M] = State(
            cluster=cluster,
            group=group,
            log=self._log,
            start=start,
            checkpoints=checkpoints,
            new_machine=new_machine,
            load_machine=load_machine,
            options=options,
            background=background,
            send=self._send,
        )
        self._up: set[NodeId] = set()
        self._role = Role.FOLLOWER
        self._removed = False
        self._durable_term = logged.term
        self._last_tick_at = clock.now()
        self._ends: list[tuple[Ticket, Any, DkvError | None]] = []

        self.guard = Guard(me)
        self._readers = Readers(me, options, self._send, first_ticket=rng.getrandbits(TICKET_BITS))
        self._outbox = Outbox(options)
        self._library = Library(
            me=me,
            log=self._log,
            options=options,
            clock=clock,
            send=self._library_sends,
            apply=self._apply,
            peer_joined=self._peer_joined,
            role_changed=self._role_changed,
        )
        self._learners = Learners(self._library, self._up.__contains__)
        self._candidacy = Candidacy(
            me=me,
            log=self._log,
            library=self._library,
            learners=self._learners,
            guard=self.guard,
            clock=clock,
            rng=rng,
            options=options,
            is_connected=lambda: bool(self._up),
            send=self._send,
        )
        self._following = Following(
            log=self._log,
            library=self._library,
            guard=self.guard,
            candidacy=self._candidacy,
            state=self._state,
            clock=clock,
            send=self._send,
        )
        self._leading = Leading(
            log=self._log,
            library=self._library,
            guard=self.guard,
            learners=self._learners,
            outbox=self._outbox,
            clock=clock,
            up=self._up,
        )
        rooms = (self._candidacy, self._following, self._leading, self._readers, self._state)
        self._hearing = Hearing(self._library, *rooms, clock, self._send)
        self._proposals = Proposals(self._library, self._end)
        self._changes = Changes(me, self._log, self._library, self._learners, options, self._finish)
        self._handover = Handover(self._library, options, self._finish)

    @property
    def machine(self) -> M:
        """As applied so far; another object after a snapshot was installed, so never keep it."""
        return self._state.machine

    # ---- links

    def peer_up(self, node: NodeId) -> None:
        """Our sending link to ``node`` is established; it carries nothing yet."""
        self._up.add(node)
        self._outbox.link_up(node)
        self._library.connected(node, learner=node in self._learners)

    def peer_down(self, node: NodeId, *, reset: bool) -> None:
        """Our sending link to ``node`` is gone. ``reset``: the other side closed it, so its process may have died."""
        if node in self._up:
            self._up.discard(node)
            self._outbox.link_down(node)
            self._library.disconnected(node, learner=node in self._learners)
        if reset:
            self.peer_lost(node)

    def peer_lost(self, node: NodeId) -> None:
        """The peer's process closed a link to us: if it leads, there is no point in waiting for its heartbeat."""
        if node == self._library.leader:
            self.elections.lost_leader(self._clock.now())

    def _peer_joined(self, node: NodeId) -> None:
        if node in self._up:
            self._library.connected(node)

    # ---- messages

    def receive(self, sender: NodeId, message: m.Message) -> None:
        """One message from a member of the cluster. ``FatalError`` if it breaks an invariant."""
        self._hearing.receive(sender, message)

    # ---- requests

    def can_wait(self, sender: NodeId, message: m.Message) -> bool:
        """Whether ``message`` needs no turn of its own: the next one, whenever it is, will do."""
        return self._hearing.can_wait(sender, message) and not self._handover.is_pending

    def propose(self, payload: bytes, ticket: Ticket) -> None:
        """Append ``payload`` in this turn, if we lead; the ticket gets what ``StateMachine.apply`` returned."""
        assert len(payload) <= PROPOSAL_BYTES_MAX, f"a payload of {len(payload)} bytes is beyond the limit"
        if self._library.is_leader:
            self._proposals.add(bytes([m.REGULAR]) + payload, ticket)
        else:
            self._finish(ticket, self._not_leading())

    def read(self, ticket: Ticket) -> None:
        """A linearizable read at this node, whoever leads; the ticket gets its index once that is applied here."""
        self._readers.begin(ticket, leading=self._library.is_leader, now=self._clock.now())

    def wait_applied(self, index: int, ticket: Ticket) -> None:
        """The ticket completes once ``index`` is applied here (read your writes)."""
        self._readers.await_applied(index, ticket)

    def add_voter(self, node: NodeId, ticket: Ticket) -> None:
        """Leader: replicate to ``node`` as a learner, make it a voter once it caught up."""
        self._change("add", node, ticket)

    def remove_voter(self, node: NodeId, ticket: Ticket) -> None:
        """Leader: take ``node``'s vote away; it still gets the log for a moment, so that it knows."""
        self._change("rem", node, ticket)

    def transfer(self, target: NodeId | None, ticket: Ticket) -> None:
        """Leader: hand the leadership to ``target``, None for whoever is furthest."""
        if self._library.is_leader:
            self._handover.begin(target, self._log.voters, self.me, ticket, self._clock.now())
        else:
            self._finish(ticket, self._not_leading())

    def _change(self, op: ChangeOp, node: NodeId, ticket: Ticket) -> None:
        if self._library.is_leader:
            self._changes.begin(op, node, ticket, self._clock.now())
        else:
            self._finish(ticket, self._not_leading())

    def _not_leading(self) -> DkvError:
        if self._library.leader is None:
            return no_leader()
        return NotLeader("This node does not lead; nothing was changed. Send it to the leader.")

    # ---- the turn

    def tick(self) -> None:
        """Timers, elections, commits, applies, appends; everything that the turn decides."""
        if self._following.answers_first():
            return
        now = self._clock.now()
        self._candidacy.step(now, self._last_tick_at)
        for node in self._outbox.take_resumed(now):
            if node in self._up:
                self._library.connected(node, learner=node in self._learners)
        if self._library.is_leader:
            self._changes.step(now)
            if not self._handover.is_pending:
                self._proposals.hand_over()
        self._handover.step(now)
        self._library.tick()
        self._read_step(now)
        self._state.tick(self._library.term, now)
        self._last_tick_at = now
        self._following.ticked_index = self._log.last_index

    def take_early_messages(self) -> list[tuple[NodeId, m.Message]]:
        """What may leave while the turn is being written: appends above all, so that all disks write at once.

        The leader counts its own copy with the replies, which are read in a later turn: after the commit.
        """
        return self._outbox.take_early(self._durable_term)

    def take_messages(self) -> list[tuple[NodeId, m.Message]]:
        """What may leave now that the turn is durable."""
        return self._outbox.take()

    def settle(self) -> None:
        """After the commit: tell those who wait, and write down a slice of the state where that is due."""
        self._durable_term = self._log.term
        ends, self._ends = self._ends, []
        for ticket, value, error in ends:
            ticket.complete(value) if error is None else ticket.fail(error)
        self._state.settle(self._library.applied_index)

    def more_to_do(self) -> bool:
        """Another turn should follow at once: there is progress to make without any input."""
        alone_and_behind = self._log.voters == (self.me,) and self._log.last_index > self._library.commit_index
        return alone_and_behind or self._state.has_more_to_do or self._following.owes_tick or self._outbox.holds_news

    def next_timer(self) -> float:
        """Clock time at which a tick is due even if nothing comes in."""
        regular = self._last_tick_at + self._options.heartbeat_s / 2
        stands = not self._library.is_leader and self.me in self._log.voters
        return min(regular, self.elections.deadline) if stands else regular

    def _read_step(self, now: float) -> None:
        leading = self._library.is_leader
        if leading and self.can_serve_reads:
            self._readers.lead(self._library.term, self._library.commit_index, self._log.voters, self.me, now)
        elif not leading:
            for ticket in self._readers.follow(self._library.term, self._library.leader, now):
                self._finish(ticket, no_leader())
        for ticket, index in self._readers.take_served(self._library.applied_index):
            self._end(ticket, index, None)

    # ---- what the library asks of us

    def _library_sends(self, node: NodeId, message: LibraryMessage) -> None:
        match message:
            case m.AppendEntries() | m.SnapshotNotice():
                if self._outbox.append(node, message, self._clock.now()):
                    # The window is full: the library leaves its send loop when the peer "is not connected".
                    self._library.disconnected(node, learner=node in self._learners)
            case m.AppendReply():
                reply = self._following.judge(message)
                if reply is not None:
                    self._send(node, reply)
            case m.RequestVote() | m.Vote():
                self._candidacy.sends(node, message)
            case m.TimeoutNow():
                self._send(node, message)

    def _apply(self, index: int, command: bytes) -> Any:
        kind = command[0]
        if kind == m.CONFIGURATION:
            self._removed = decode_change(command) == ("rem", self.me) or (
                self._removed and decode_change(command) != ("add", self.me)
            )
        return self._state.apply(index, command[1:]) if kind == m.REGULAR else None

    def _role_changed(self, old: int, new: int) -> None:
        self._role = _ROLES[new]
        now = self._clock.now()
        if new == LEADER:
            self._leading.crowned()
            self._readers.crowned()
        elif old == LEADER:
            self._following.heard_at = now
            self._readers.deposed(now)
            self._changes.deposed()
            self._proposals.deposed()

    def _send(self, node: NodeId, message: m.Message) -> None:
        if node in self._up:
            self._outbox.put(node, message)

    def _end(self, ticket: Ticket, value: Any, error: DkvError | None) -> None:
        self._ends.append((ticket, value, error))

    def _finish(self, ticket: Ticket, error: DkvError | None) -> None:
        self._end(ticket, None, error)

    @property
    def elections(self) -> Elections:
        """The election timer."""
        return self._candidacy.elections

    @property
    def can_serve_reads(self) -> bool:
        """We lead and know what was committed before us, because an entry of our own term is (Raft §8)."""
        return self._leading.can_serve_reads

    @property
    def is_leader(self) -> bool:
        return self._library.is_leader

    @property
    def term(self) -> int:
        return self._library.term

    @property
    def leader(self) -> NodeId | None:
        return self._library.leader

    @property
    def applied_index(self) -> int:
        return self._library.applied_index

    def role(self) -> Role:
        if self._removed and self.me not in self._log.voters:
            return Role.REMOVED
        return self._role if self.me in self._log.voters else Role.LEARNER

    def status(self) -> ReplicaStatus:
        """Everything at once; not for hot paths."""
        library, log, now = self._library, self._log, self._clock.now()
        return ReplicaStatus(
            group=self.group,
            me=self.me,
            role=self.role(),
            term=library.term,
            leader=library.leader,
            vote=log.vote,
            first_index=log.first_index,
            last_index=log.last_index,
            commit_index=library.commit_index,
            applied_index=library.applied_index,
            log_bytes=log.size_bytes,
            checkpoint_index=self._state.checkpoint_index,
            voters=log.voters,
            learners=self._learners.all(),
            peers=self._leading.progress(),
            can_serve_reads=self.can_serve_reads,
            leader_contact_s=0.0 if library.is_leader else now - self._following.heard_at,
        )
