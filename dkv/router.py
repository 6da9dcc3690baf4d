"""Requests on their way to a Raft group and back: the ``Store`` that the HTTP edge sees.

Writes and reads are collected and handed over once a turn, so a turn's writes share one log entry and its reads one
quorum round. Law: a request that was refused here was never appended; what was handed over ends with the word of the
log, or as ``unknown``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from dkv.clock import Clock
from dkv.directory import Directory
from dkv.errors import Busy, DkvError, NoLeader, NotLeader, Outcome, Timeout
from dkv.kv.batches import form_payloads, validate_request
from dkv.kv.commands import Batch, Command, Op, Result, encode_batch
from dkv.kv.state_machine import KeyValue
from dkv.levels import Level
from dkv.raft.contracts import GroupId, Ticket
from dkv.raft.host import Host
from dkv.raft.waiters import Waiter
from dkv.tickets import ClockTicket, EntryTicket, LogRead, PostponedWrite, Read, RoundTicket, Write
from dkv.views import ReadReply, View

if TYPE_CHECKING:
    from dkv.metrics import Distribution
    from dkv.raft.replica import Replica

REQUESTS_MAX = 4096
"""Writes, and likewise reads, that may be under way: about half a second's work; a longer queue only adds latency."""

TURN_COMMANDS_MAX = 2048
"""Handed over in one turn (or one request's, if that alone has more): what a turn appends, a later one applies, and
meanwhile nobody is answered. The rest goes with the next turn."""

WRITE_BYTES_MAX = 64 * 1024 * 1024
"""Of all writes under way: they are in memory three times (request, payload, log)."""

RETRY_AFTER_S = 1.0
"""An election takes about that long, and so does a full queue to drain."""

ELECTION_PATIENCE_S = 0.3
"""A write that meets no leader waits so long for one. Where a leader's process died, its successor leads within some
50 ms: whoever is told who it is goes there at once; whoever is told to come back loses ``RETRY_AFTER_S``."""


class Router:
    """One group's ``Store`` (``dkv.api.services``), and the ``Source`` of its turn (``dkv.raft.host``)."""

    def __init__(
        self,
        host: Host,
        replica: Replica[KeyValue],
        directory: Directory,
        *,
        clock: Clock,
        commit_duration: Distribution,
        wall_ms: Callable[[], int],
    ) -> None:
        """``wall_ms``: milliseconds since the epoch."""
        self._host = host
        self._replica = replica
        self._directory = directory
        self._clock = clock
        self._commit_duration = commit_duration
        self._wall_ms = wall_ms
        self._group: GroupId = replica.group
        self._writes: list[Write] = []
        self._readers: list[Waiter] = []
        self._leaderless: list[Waiter] = []
        self._seen = View(directory.me.name, None, 0, 0)
        self._seen_turn = -1
        self.committed_count = 0
        self.failed_count = 0
        self._writing = 0
        self._writing_bytes = 0
        self._clock_asked = False
        self._clock_due = float("-inf")

    # ---- what is known

    @property
    def machine(self) -> KeyValue:
        return self._replica.machine

    @property
    def applied_index(self) -> int:
        return self._replica.applied_index

    @property
    def pending(self) -> int:
        """Writes that were accepted and are not answered yet."""
        return self._writing

    def view(self) -> View:
        """As of the last turn, which is what its replies may tell; they share the answer."""
        if self._seen_turn != self._host.turns:
            replica, seen = self._replica, self._seen
            self._seen_turn = self._host.turns
            term, index, leader = replica.term, replica.applied_index, self._directory.hint(replica.leader)
            if seen.applied_index != index or seen.leader is not leader or seen.term != term:
                self._seen = View(self._directory.me.name, leader, term, index)
        return self._seen

    def not_leader(self) -> DkvError:
        """Why this node cannot take a write, and who can."""
        leader = self._directory.hint(self._replica.leader)
        if leader is None or self._replica.leader == self._replica.me:
            text = "No leader is known at the moment: an election is running, or a majority is out of reach."
            return NoLeader(f"{text} Nothing was changed; try again shortly.", retry_after_s=RETRY_AFTER_S)
        text = f"This node is not the leader; {leader.id} at {leader.rest} is. Nothing was changed."
        return NotLeader(text, leader=leader)

    def explained(self, error: DkvError) -> DkvError:
        """A replica's refusal, for one of several who get it: with the leader's name and address."""
        if isinstance(error, NotLeader | NoLeader) and error.outcome is Outcome.NOT_APPLIED:
            return self.not_leader()
        return type(error)(error.message, outcome=error.outcome, leader=error.leader, retry_after_s=error.retry_after_s)

    # ---- Store

    async def write(self, commands: Sequence[Command], *, deadline: float) -> list[Result]:
        """``begin_write``, awaited."""
        results: list[Result] = await self._host.waiters.outcome(
            lambda ticket: self.begin_write(commands, ticket, deadline=deadline)
        )
        return results

    async def read(
        self,
        keys: Sequence[str],
        level: Level,
        *,
        deadline: float,
        min_index: int = 0,
        freshness_s: float | None = None,
    ) -> ReadReply:
        """``begin_read``, awaited."""
        reply: ReadReply = await self._host.waiters.outcome(
            lambda ticket: self.begin_read(
                keys, level, ticket, deadline=deadline, min_index=min_index, freshness_s=freshness_s
            )
        )
        return reply

    def begin_write(self, commands: Sequence[Command], ticket: Ticket, *, deadline: float) -> Waiter | None:
        """The ticket gets one result a command; all are in one log entry. Raises what is refused at once."""
        if self._replica.is_leader or self._knows_leader() or len(self._leaderless) >= REQUESTS_MAX:
            return self.take_write(commands, ticket, deadline)
        patience_s = min(deadline, self._clock.now() + ELECTION_PATIENCE_S)
        waiter = Waiter("write", patience_s, PostponedWrite(self, commands, deadline, ticket))
        self._leaderless.append(waiter)
        self._host.waiters.add(waiter)
        return waiter

    def take_write(self, commands: Sequence[Command], ticket: Ticket, deadline: float) -> Waiter:
        """Into the next turn, if this node leads; raises what is refused."""
        if not self._replica.is_leader:
            raise self.not_leader()
        size_bytes = validate_request(commands)
        self._host.space.check(size_bytes)
        if self._writing >= REQUESTS_MAX or self._writing_bytes + size_bytes > WRITE_BYTES_MAX:
            text = f"{self._writing} writes wait at this node already. Nothing was changed; try again shortly."
            raise Busy(text, retry_after_s=RETRY_AFTER_S)
        write = Write(commands, size_bytes, deadline, ticket)
        self._writing += 1
        self._writing_bytes += size_bytes
        self._writes.append(write)
        self._host.waiters.add(write)
        self._host.wake()
        return write

    def _knows_leader(self) -> bool:
        """Whether a write can be taken here, or sent on."""
        replica = self._replica
        if replica.is_leader:
            return True
        return replica.leader != replica.me and self._directory.hint(replica.leader) is not None

    def begin_read(
        self,
        keys: Sequence[str],
        level: Level,
        ticket: Ticket,
        *,
        deadline: float,
        min_index: int = 0,
        freshness_s: float | None = None,
    ) -> Waiter | None:
        """The ticket gets a ``ReadReply``: all keys as of one state. Raises what is refused at once."""
        if level is Level.STRONG:
            commands = [Command(Op.GET, key) for key in keys]
            return self.begin_write(commands, LogRead(self, ticket), deadline=deadline)
        read = Read(self, keys, level, ticket, deadline, min_index, freshness_s)
        if level is Level.LINEARIZABLE:
            return self._read_index(read)
        if level is Level.WEAK and not self._replica.is_leader:
            raise self.not_leader()
        self.go_on(read)
        return None

    def _read_index(self, read: Read) -> Waiter:
        if len(self._readers) >= REQUESTS_MAX:
            raise Busy("Too many reads wait at this node already; try again shortly.", retry_after_s=RETRY_AFTER_S)
        reader = Waiter("read", read.deadline, read)
        self._readers.append(reader)
        self._host.waiters.add(reader)
        self._host.wake()
        return reader

    def go_on(self, read: Read) -> None:
        """Its level's promise is kept: answer it, once what its session has seen is applied here. May raise."""
        if read.min_index > self._replica.applied_index:
            self._host.begin_wait_applied(self._group, read.min_index, read.deadline, read)
            return
        if read.level is Level.NONE and read.freshness_s is not None:
            self._require_fresh(read.freshness_s)
        get = self._replica.machine.get
        read.ticket.complete(ReadReply([get(key) for key in read.keys], self._replica.applied_index, read.level))

    def _require_fresh(self, freshness_s: float) -> None:
        status = self._replica.status()
        age_s = status.leader_contact_s if status.leader is not None else float("inf")
        if age_s > freshness_s:
            since = f"{age_s:.3f} s ago" if age_s < float("inf") else "too long ago"
            text = f"This node last heard of a leader {since}; its state may be older than the {freshness_s} s"
            raise Timeout(f"{text} that the read allows. Ask another node, or for less.", outcome=Outcome.NOT_APPLIED)

    # ---- Source: once a turn

    def hand_over(self, replica: Replica[KeyValue]) -> None:
        if self._leaderless:
            self._release_leaderless()
        if self._writes:
            self._hand_over_writes(replica)
        if self._readers:
            readers = [reader for reader in self._readers if not reader.done]
            self._readers = []
            if readers:
                replica.read(RoundTicket(self, readers))
        if self.next_timer(replica) <= self._clock.now():
            self._let_expire(replica)

    def _release_leaderless(self) -> None:
        known = self._knows_leader()
        waiting, self._leaderless = self._leaderless, []
        for waiter in waiting if known else ():
            waiter.complete(None)
        self._leaderless += [waiter for waiter in waiting if not waiter.done]

    def _hand_over_writes(self, replica: Replica[KeyValue]) -> None:
        # Whoever timed out or hung up while waiting is left out: that is what makes "not applied" true.
        waiting = [write for write in self._writes if not write.done]
        if len(waiting) < len(self._writes):
            self._ended([write for write in self._writes if write.done])
        totals = accumulate([len(write.commands) for write in waiting])
        count = max(1, bisect_right(list(totals), TURN_COMMANDS_MAX))
        writes, self._writes = waiting[:count], waiting[count:]
        if self._writes:
            self._host.wake()
        start, now = 0, self._clock.now()
        for payload in form_payloads([(write.commands, write.size_bytes) for write in writes]):
            sharing = writes[start : start + len(payload.lengths)]
            start += len(sharing)
            for write in sharing:
                write.appended = True
            replica.propose(encode_batch(Batch(self._wall_ms(), payload.commands)), EntryTicket(self, sharing, now))

    def refuse(self, error: DkvError) -> None:
        writes, self._writes = self._writes, []
        self.failed(writes, error)
        leaderless, self._leaderless = self._leaderless, []
        for waiter in leaderless:
            waiter.fail(self.explained(error))

    def committed(self, writes: Sequence[Write], began: float) -> None:
        """One entry's writes were applied; ``began``: when it was proposed."""
        self.committed_count += len(writes)
        self._commit_duration.observe(self._clock.now() - began)
        self._ended(writes)

    def failed(self, writes: Sequence[Write], error: DkvError) -> None:
        """Each gets an error of its own: who raises one adds its own traceback."""
        for write in writes:
            write.fail(self.explained(error))
        self.failed_count += len(writes)
        self._ended(writes)

    def _ended(self, writes: Sequence[Write]) -> None:
        self._writing -= len(writes)
        self._writing_bytes -= sum([write.size_bytes for write in writes])

    # ---- time to live

    def next_timer(self, replica: Replica[KeyValue]) -> float:
        """When a turn must move the clock on, because a key has expired and nobody writes. Clock seconds."""
        expiry_ms = replica.machine.next_expiry_ms()
        if expiry_ms is None or self._clock_asked or not replica.is_leader:
            return float("inf")
        return max(self._clock_due, self._clock.now() + (expiry_ms - self._wall_ms()) / 1000)

    def _let_expire(self, replica: Replica[KeyValue]) -> None:
        self._clock_asked = True
        payload = encode_batch(Batch(self._wall_ms(), [Command(Op.CLOCK)]))
        replica.propose(payload, ClockTicket(self))

    def clock_moved(self, pause_s: float) -> None:
        """The attempt ended; the next one comes after ``pause_s`` at the earliest."""
        self._clock_asked, self._clock_due = False, self._clock.now() + pause_s
