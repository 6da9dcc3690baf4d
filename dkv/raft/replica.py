"""One member of one Raft group: the library, the guard before it, and what the library lacks around it.

Driven from outside and deterministic: messages, proposals and link events in; after ``tick`` and the caller's durable
commit, messages and completed tickets out. It has no thread, socket or clock of its own, so the simulator runs this
very class. Law: nothing that ``tick`` or ``receive`` produced leaves before the commit (``take_messages``, ``settle``).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from dkv.clock import Clock
from dkv.errors import DkvError, LeadershipLost, NotLeader, Outcome
from dkv.raft import messages as m
from dkv.raft.changes import Changes, Learners
from dkv.raft.checkpointing import Checkpointing
from dkv.raft.configuration import decode_change
from dkv.raft.contracts import CheckpointStore, GroupId, GroupLog, NodeId, StateMachine, Ticket
from dkv.raft.elections import Elections
from dkv.raft.guard import Guard, Judged
from dkv.raft.handover import Handover
from dkv.raft.library import FAIL_REASON, LEADER, Library, LibraryMessage
from dkv.raft.log import Log
from dkv.raft.options import PROPOSAL_BYTES_MAX, Options
from dkv.raft.outbox import Outbox
from dkv.raft.readers import Readers, no_leader
from dkv.raft.recovery import recovery_point
from dkv.raft.snapshots import Background, SnapshotReceiver, SnapshotSender
from dkv.raft.status import PeerProgress, ReplicaStatus, Role

M = TypeVar("M", bound=StateMachine)

_ROLES = (Role.FOLLOWER, Role.CANDIDATE, Role.LEADER)


class Replica(Generic[M]):
    """``M``: the state machine. ``machine`` is another object after a snapshot was installed: never keep it."""

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
        self._log = Log(log)
        start = recovery_point(log.load(), checkpoints.headers())
        self._log.commit_index = start.commit_index
        self.machine: M = new_machine()
        if start.checkpoint is not None:
            file = checkpoints.open(start.applied_index)
            self.machine = load_machine(file.blocks())
            file.close()
        checkpoints.discard(start.discarded)
        self._machine_index = start.applied_index
        self._retiring: list[Iterator[None]] = []

        now = clock.now()
        self._up: set[NodeId] = set()
        self._term_start = 0
        self._role = Role.FOLLOWER
        self._removed = False
        self._leader_heard_at = now
        self._last_tick_at = now
        self._answering: Judged | None = None
        self._proposals: list[tuple[bytes, Ticket]] = []
        self._pending: set[Ticket] = set()
        self._ends: list[tuple[Ticket, Any, DkvError | None]] = []
        self._replied_at: dict[NodeId, float] = {}

        self.guard = Guard(me)
        self.elections = Elections(options, rng, now)
        self._readers = Readers(me, options, self._send)
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
        self._changes = Changes(me, self._log, self._library, self._learners, options, self._finish)
        self._handover = Handover(self._library, options, self._finish)
        self._sender = SnapshotSender(checkpoints, options)
        self._receiver: SnapshotReceiver[M] = SnapshotReceiver(checkpoints, load_machine, background, options)
        newest = start.applied_index if start.checkpoint is not None else 0
        self._checkpointing = Checkpointing(self._log, checkpoints, options, background, newest, cluster, group)
        self._installed: int | None = None
        self._transfer_vote = False

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
        match message:
            case m.AppendEntries():
                self._on_append(sender, message)
            case m.AppendReply():
                self._on_append_reply(sender, message)
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
                if message.transfer or not self._is_loyal():
                    self._library.deliver(sender, message)
            case m.Vote():
                if self.guard.accepts_vote(message.term, sender, self._library.term, self._log.voters):
                    self._library.deliver(sender, message)
            case m.PreVote():
                self._on_pre_vote(sender, message)
            case m.PreVoteReply():
                self._on_pre_vote_reply(sender, message)
            case m.HigherTerm():
                self._on_higher_term(sender, message.term)
            case m.TimeoutNow():
                if message.term == self._library.term and sender == self._library.leader:
                    self._campaign(transfer=True)
            case m.SnapshotNotice():
                self._on_snapshot_notice(sender, message)
            case m.SnapshotPull():
                self._on_snapshot_pull(sender, message)
            case m.SnapshotChunk():
                self._send_if(
                    sender, self._receiver.chunk(sender, message, self._library.term, self._clock.now())
                )

    def _on_append(self, sender: NodeId, message: m.AppendEntries) -> None:
        if message.term < self._library.term:
            self._send(sender, m.HigherTerm(self._library.term))
            return
        self.guard.check_entries(message)
        self._heard_leader()
        self._answering = self.guard.judge_append(message, self._log, self._library.commit_index)
        try:
            self._library.deliver(sender, self._answering.message)
        finally:
            self._answering = None

    def _on_append_reply(self, sender: NodeId, reply: m.AppendReply) -> None:
        audience = {*self._log.voters, *self._learners.all()} & self._up
        if not self._library.is_leader or not self.guard.accepts_reply(
            reply, sender, self._library.term, audience
        ):
            return
        self._replied_at[sender] = self._clock.now()
        if self._outbox.replied(sender, lost=reply.reset):
            self._library.connected(sender, learner=sender in self._learners)
        self._library.deliver(sender, reply)

    def _on_read_probe(self, sender: NodeId, probe: m.ReadProbe) -> None:
        if probe.term == self._library.term:
            self._send(sender, m.ReadProbeReply(probe.term, probe.round))
        elif probe.term < self._library.term:
            self._send(sender, m.HigherTerm(self._library.term))

    def _on_pre_vote(self, sender: NodeId, request: m.PreVote) -> None:
        up_to_date = (request.last_term, request.last_index) >= (
            self._log.last_position.term,
            self._log.last_index,
        )
        granted = request.next_term > self._library.term and up_to_date and not self._is_loyal()
        self._send(sender, m.PreVoteReply(self._library.term, request.next_term, granted))

    def _on_pre_vote_reply(self, sender: NodeId, reply: m.PreVoteReply) -> None:
        if reply.term > self._library.term:
            self._on_higher_term(sender, reply.term)
        elif reply.granted and reply.next_term == self._library.term + 1:
            self.elections.granted(reply.next_term, sender)

    def _on_higher_term(self, sender: NodeId, term: int) -> None:
        if term > self._library.term and (sender in self._log.voters or sender in self._learners):
            self._library.adopt_term(sender, term)

    def _on_snapshot_notice(self, sender: NodeId, notice: m.SnapshotNotice) -> None:
        if notice.term < self._library.term:
            self._send(sender, m.HigherTerm(self._library.term))
            return
        self._heard_leader()
        self._library.deliver(sender, notice)
        # The library is silent here; without an answer the leader would think that it lost its quorum.
        self._send(sender, m.AppendReply(notice.term, 0, success=False, reset=False))
        ready = self._receiver.take_ready()
        if ready is None:
            self._send_if(sender, self._receiver.needed(sender, self._library.term, self._clock.now()))
        elif self.guard.wants_snapshot(ready.header.last, self._log, self._library.applied_index):
            index = ready.header.last.index
            proven = m.AppendEntries(notice.term, index, ready.header.last.term, index, [])
            self._answering = Judged(proven, index, mismatch=False)
            self._library.install(sender, ready.header)
            self._answering = None
            self._checkpointing.abort()
            self._retiring.append(self.machine.retire())
            self.machine, self._machine_index, self._installed = ready.machine, index, index

    def _on_snapshot_pull(self, sender: NodeId, pull: m.SnapshotPull) -> None:
        now, newest = self._clock.now(), self._checkpointing.index
        self._send_if(sender, self._sender.answer(pull, newest, self._library.term, now))

    def _heard_leader(self) -> None:
        self._leader_heard_at = self._clock.now()
        self._transfer_vote = False
        self.elections.heard_leader(self._leader_heard_at)

    def _is_loyal(self) -> bool:
        return self._library.is_leader or self.elections.is_loyal(self._clock.now())

    # ---- requests

    def propose(self, payload: bytes, ticket: Ticket) -> None:
        """Append ``payload`` in this turn, if we lead; the ticket gets what ``StateMachine.apply`` returned."""
        assert len(payload) <= PROPOSAL_BYTES_MAX, f"a payload of {len(payload)} bytes is beyond the limit"
        if self._library.is_leader:
            self._proposals.append((bytes([m.REGULAR]) + payload, ticket))
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

    def _change(self, op: Any, node: NodeId, ticket: Ticket) -> None:
        if self._library.is_leader:
            self._changes.begin(op, node, ticket)
        else:
            self._finish(ticket, self._not_leading())

    def _not_leading(self) -> DkvError:
        if self._library.leader is None:
            return no_leader()
        return NotLeader("This node does not lead; nothing was changed. Send it to the leader.")

    # ---- the turn

    def tick(self) -> None:
        """Timers, elections, commits, applies, appends; everything that the turn decides."""
        now = self._clock.now()
        self._election_step(now)
        for node in self._outbox.take_resumed(now):
            if node in self._up:
                self._library.connected(node, learner=node in self._learners)
        if not self._handover.is_pending or not self._library.is_leader:
            self._hand_proposals_over()
        if self._library.is_leader:
            self._changes.step(now)
        self._handover.step(now)
        self._library.tick()
        self._read_step(now)
        pull = self._receiver.resend(self._library.term, now)
        if pull is not None:
            self._send(*pull)
        self._sender.close_idle(now)
        self._last_tick_at = now

    def take_messages(self) -> list[tuple[NodeId, m.Message]]:
        """What may leave now that the turn is durable."""
        return self._outbox.take()

    def settle(self) -> None:
        """After the commit: tell those who wait, and write down a slice of the state where that is due."""
        if self._installed is not None:
            self._checkpointing.installed(self._installed)
            self._installed = None
        ends, self._ends = self._ends, []
        for ticket, value, error in ends:
            ticket.complete(value) if error is None else ticket.fail(error)
        self._checkpointing.step(self._library.applied_index, self.machine)
        if self._retiring and next(self._retiring[0], self) is self:
            self._retiring.pop(0)

    def more_to_do(self) -> bool:
        """Another turn should follow at once: there is progress to make without any input."""
        alone_and_behind = (
            self._log.voters == (self.me,) and self._log.last_index > self._library.commit_index
        )
        return alone_and_behind or self._checkpointing.is_writing or bool(self._retiring)

    def next_timer(self) -> float:
        """Clock time at which a tick is due even if nothing comes in."""
        return min(self._last_tick_at + self._options.heartbeat_s / 2, self.elections.deadline)

    def _election_step(self, now: float) -> None:
        # Without a tick for so long it was we who were away: what the others sent meanwhile is still to be read.
        if now - self._last_tick_at > self._options.election_timeout_min_s / 2:
            self.elections.rearm(now)
        if self._library.is_leader or self.me not in self._log.voters:
            return
        if now >= self.elections.deadline:
            next_term, last = self._library.term + 1, self._log.last_position
            self.elections.begin_pre_vote(next_term, self.me, now)
            self._broadcast(m.PreVote(self._library.term, next_term, last.index, last.term))
        if self.elections.pre_vote_won(self._log.voters):
            self._campaign(transfer=False)

    def _campaign(self, *, transfer: bool) -> None:
        if self.me in self._log.voters:
            self._transfer_vote = transfer
            self._library.campaign()

    def _hand_proposals_over(self) -> None:
        proposals, self._proposals = self._proposals, []
        for command, ticket in proposals:
            if self._library.is_leader:
                self._pending.add(ticket)
                self._library.propose(command, self._proposal_ended(ticket))
            else:
                self._finish(ticket, self._not_leading())

    def _proposal_ended(self, ticket: Ticket) -> Callable[[Any, int], None]:
        def done(result: Any, reason: int) -> None:
            if ticket not in self._pending:
                return
            self._pending.discard(ticket)
            if reason == FAIL_REASON.SUCCESS:
                self._ends.append((ticket, result, None))
            else:
                # Every other reason means that the command is in no log (RAFT.md, table of reasons).
                lost = "The leader changed before the write was stored; it was not applied."
                self._finish(ticket, LeadershipLost(lost, outcome=Outcome.NOT_APPLIED))

        return done

    def _read_step(self, now: float) -> None:
        leading = self._library.is_leader
        if leading and self.can_serve_reads:
            self._readers.lead(self._library.term, self._library.commit_index, self._log.voters, self.me, now)
        elif not leading:
            for ticket in self._readers.follow(self._library.term, self._library.leader, now):
                self._finish(ticket, no_leader())
        for ticket, index in self._readers.take_served(self._library.applied_index):
            self._ends.append((ticket, index, None))

    # ---- what the library asks of us

    def _library_sends(self, node: NodeId, message: LibraryMessage) -> None:
        match message:
            case m.AppendEntries() | m.SnapshotNotice():
                if self._outbox.append(node, message, self._clock.now()):
                    # The window is full: the library leaves its send loop when the peer "is not connected".
                    self._library.disconnected(node, learner=node in self._learners)
            case m.AppendReply():
                self._send(node, self.guard.judge_reply(message, self._answering, self._library.commit_index))
            case m.RequestVote():
                request = m.RequestVote(
                    message.term, message.last_index, message.last_term, self._transfer_vote
                )
                self._send(node, request)
            case m.Vote():
                self.elections.rearm(self._clock.now())
                self._send(node, message)
            case m.TimeoutNow():
                self._send(node, message)

    def _apply(self, index: int, command: bytes) -> Any:
        kind = command[0]
        if kind == m.CONFIGURATION:
            self._removed = decode_change(command) == ("rem", self.me) or (
                self._removed and decode_change(command) != ("add", self.me)
            )
        if index <= self._machine_index or kind != m.REGULAR:
            return None  # behind the checkpoint that we started from, or nothing for the machine
        return self.machine.apply(index, command[1:])

    def _role_changed(self, old: int, new: int) -> None:
        self._role = _ROLES[new]
        now = self._clock.now()
        if new == LEADER:
            self._term_start = self._log.last_index + 1  # the index of the term's first entry, appended next
            self._outbox.forget_sent()
            self._replied_at = dict.fromkeys(self._log.voters, now)
            self._readers.crowned()
        elif old == LEADER:
            self._leader_heard_at = now
            self._readers.deposed(now)
            self._changes.deposed()
            pending, self._pending = self._pending, set()
            for ticket in pending:
                self._finish(ticket, LeadershipLost("The leader was deposed before the write was confirmed."))

    # ---- small things

    def _send(self, node: NodeId, message: m.Message) -> None:
        if node in self._up:
            self._outbox.put(node, message)

    def _send_if(self, node: NodeId, message: m.Message | None) -> None:
        if message is not None:
            self._send(node, message)

    def _broadcast(self, message: m.Message) -> None:
        for voter in self._log.voters:
            if voter != self.me:
                self._send(voter, message)

    def _finish(self, ticket: Ticket, error: DkvError | None) -> None:
        self._ends.append((ticket, None, error))

    @property
    def can_serve_reads(self) -> bool:
        """We lead and know what was committed before us, because an entry of our own term is (Raft §8)."""
        return self._library.is_leader and self._library.commit_index >= self._term_start

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
        peers = {}
        if library.is_leader:
            for node, match_index in library.match_indexes().items():
                peers[node] = PeerProgress(match_index, now - self._replied_at.get(node, now))
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
            checkpoint_index=self._checkpointing.index,
            voters=log.voters,
            learners=self._learners.all(),
            peers=peers,
            can_serve_reads=self.can_serve_reads,
            leader_contact_s=0.0 if library.is_leader else now - self._leader_heard_at,
        )
