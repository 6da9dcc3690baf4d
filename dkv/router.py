"""Requests on their way to a Raft group and back: the ``Store`` that the HTTP edge sees.

Writes and reads are collected and handed over once a turn, so a turn's writes share one log entry and its reads one
quorum round. Law: a request that was refused here was never appended; what was handed over ends with the word of the
log, or as ``unknown``.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from dkv.clock import Clock
from dkv.directory import Directory
from dkv.errors import Busy, DkvError, NoLeader, NotLeader, Outcome, Timeout
from dkv.kv.batches import form_payloads, validate_request
from dkv.kv.commands import Batch, Code, Command, Op, Result, Row, encode_batch, size_bytes
from dkv.kv.state_machine import KeyValue
from dkv.levels import Level
from dkv.raft.contracts import GroupId
from dkv.raft.host import Host
from dkv.raft.waiters import Waiter
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

CLOCK_RETRY_S = 0.1
"""After a refused attempt to let keys expire: it must not be repeated in each turn."""


class _Write(Waiter):
    """One request's commands, on their way into the log."""

    __slots__ = ("commands", "size_bytes")

    def __init__(self, commands: Sequence[Command], deadline: float, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__("write", deadline, loop)
        self.commands = commands
        self.size_bytes = sum(map(size_bytes, commands))


class _EntryTicket:
    """One log entry: its results go back to the requests that share it."""

    __slots__ = ("_began", "_router", "_writes")

    def __init__(self, router: Router, writes: list[_Write], began: float) -> None:
        self._router = router
        self._writes = writes
        self._began = began

    def complete(self, value: list[Result]) -> None:
        start = 0
        for write in self._writes:
            end = start + len(write.commands)
            write.complete(value[start:end])
            start = end
        assert start == len(value), f"{len(value)} results for {start} commands of one entry"
        self._router.committed(self._writes, self._began)

    def fail(self, error: DkvError) -> None:
        self._router.failed(self._writes, error)


class _RoundTicket:
    """The reads of one turn, served by one read index."""

    __slots__ = ("_readers", "_router")

    def __init__(self, router: Router, readers: list[Waiter]) -> None:
        self._router = router
        self._readers = readers

    def complete(self, value: int) -> None:
        for reader in self._readers:
            reader.complete(value)

    def fail(self, error: DkvError) -> None:
        for reader in self._readers:
            reader.fail(self._router.explained(error))


class _ClockTicket:
    """Nobody waits for time; but one attempt at a time is enough."""

    __slots__ = ("_router",)

    def __init__(self, router: Router) -> None:
        self._router = router

    def complete(self, value: Any) -> None:
        self._router.clock_moved(0.0)

    def fail(self, error: DkvError) -> None:
        self._router.clock_moved(CLOCK_RETRY_S)


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
        ready: Callable[[], bool],
    ) -> None:
        """``wall_ms``: milliseconds since the epoch. ``ready``: whether the node takes requests at all."""
        self._host = host
        self._replica = replica
        self._directory = directory
        self._clock = clock
        self._commit_duration = commit_duration
        self._wall_ms = wall_ms
        self._ready = ready
        self._loop = asyncio.get_running_loop()
        self._group: GroupId = replica.group
        self._writes: list[_Write] = []
        self._readers: list[Waiter] = []
        self._leaderless: list[Waiter] = []
        self._seen = View(directory.me.name, None, 0, 0, False)
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
    def pending(self) -> int:
        """Writes that were accepted and are not answered yet."""
        return self._writing

    def view(self) -> View:
        replica, seen = self._replica, self._seen
        term, index, leader = replica.term, replica.applied_index, self._directory.hint(replica.leader)
        ready = leader is not None and self._ready()
        # Asked for each reply; those of one turn share the answer.
        if seen.applied_index != index or seen.leader is not leader or seen.term != term or seen.ready != ready:
            seen = self._seen = View(self._directory.me.name, leader, term, index, ready)
        return seen

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
        """One result a command; all in one log entry."""
        if not self._knows_leader():
            await self._wait_leader(deadline)
        if not self._replica.is_leader:
            raise self.not_leader()
        validate_request(commands)
        write = _Write(commands, deadline, self._loop)
        self._host.space.check(write.size_bytes)
        if self._writing >= REQUESTS_MAX or self._writing_bytes + write.size_bytes > WRITE_BYTES_MAX:
            text = f"{self._writing} writes wait at this node already. Nothing was changed; try again shortly."
            raise Busy(text, retry_after_s=RETRY_AFTER_S)
        self._writing += 1
        self._writing_bytes += write.size_bytes
        self._writes.append(write)
        self._host.wake()
        results: list[Result] = await self._host.waiters.wait(write)
        return results

    def _knows_leader(self) -> bool:
        """Whether a write can be taken here, or sent on."""
        replica = self._replica
        if replica.is_leader:
            return True
        return replica.leader != replica.me and self._directory.hint(replica.leader) is not None

    async def _wait_leader(self, deadline: float) -> None:
        """Returns once there is a leader, or patience is at its end."""
        if len(self._leaderless) >= REQUESTS_MAX:
            return
        patience = Waiter("write", min(deadline, self._clock.now() + ELECTION_PATIENCE_S), self._loop)
        self._leaderless.append(patience)
        with suppress(Timeout):
            await self._host.waiters.wait(patience)

    async def read(
        self,
        keys: Sequence[str],
        level: Level,
        *,
        deadline: float,
        min_index: int = 0,
        freshness_s: float | None = None,
    ) -> ReadReply:
        """All keys as of one state."""
        if level is Level.STRONG:
            return await self._read_through_log(keys, deadline)
        if level is Level.LINEARIZABLE:
            await self._read_index(deadline)
        elif level is Level.WEAK and not self._replica.is_leader:
            raise self.not_leader()
        if min_index > self._replica.applied_index:
            await self._host.wait_applied(self._group, min_index, deadline)
        if level is Level.NONE and freshness_s is not None:
            self._require_fresh(freshness_s)
        get = self._replica.machine.get
        return ReadReply([get(key) for key in keys], self._replica.applied_index, level)

    async def _read_index(self, deadline: float) -> int:
        if len(self._readers) >= REQUESTS_MAX:
            raise Busy("Too many reads wait at this node already; try again shortly.", retry_after_s=RETRY_AFTER_S)
        reader = Waiter("read", deadline, self._loop)
        self._readers.append(reader)
        self._host.wake()
        index: int = await self._host.waiters.wait(reader)
        return index

    async def _read_through_log(self, keys: Sequence[str], deadline: float) -> ReadReply:
        results = await self.write([Command(Op.GET, key) for key in keys], deadline=deadline)
        rows = [Row(result.value, result.revision) if result.code is Code.OK else None for result in results]
        return ReadReply(rows, self._replica.applied_index, Level.STRONG)

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
                replica.read(_RoundTicket(self, readers))
        if self.next_timer(replica) <= self._clock.now():
            self._let_expire(replica)

    def _release_leaderless(self) -> None:
        known = self._knows_leader()
        for waiter in self._leaderless if known else ():
            waiter.complete(None)
        self._leaderless = [waiter for waiter in self._leaderless if not waiter.done]

    def _hand_over_writes(self, replica: Replica[KeyValue]) -> None:
        # Whoever timed out or hung up while waiting is left out: that is what makes "not applied" true.
        self._ended([write for write in self._writes if write.done])
        waiting = [write for write in self._writes if not write.done]
        totals = accumulate(len(write.commands) for write in waiting)
        count = max(1, bisect_right(list(totals), TURN_COMMANDS_MAX))
        writes, self._writes = waiting[:count], waiting[count:]
        if self._writes:
            self._host.wake()
        start, now = 0, self._clock.now()
        for payload in form_payloads([write.commands for write in writes]):
            sharing = writes[start : start + len(payload.lengths)]
            start += len(sharing)
            for write in sharing:
                write.appended = True
            replica.propose(encode_batch(Batch(self._wall_ms(), payload.commands)), _EntryTicket(self, sharing, now))

    def refuse(self, error: DkvError) -> None:
        writes, self._writes = self._writes, []
        self.failed(writes, error)
        for waiter in self._leaderless:
            waiter.fail(self.explained(error))

    def committed(self, writes: Sequence[_Write], began: float) -> None:
        """One entry's writes were applied; ``began``: when it was proposed."""
        self.committed_count += len(writes)
        self._commit_duration.observe(self._clock.now() - began)
        self._ended(writes)

    def failed(self, writes: Sequence[_Write], error: DkvError) -> None:
        """Each gets an error of its own: who raises one adds its own traceback."""
        for write in writes:
            write.fail(self.explained(error))
        self.failed_count += len(writes)
        self._ended(writes)

    def _ended(self, writes: Sequence[_Write]) -> None:
        self._writing -= len(writes)
        self._writing_bytes -= sum(write.size_bytes for write in writes)

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
        replica.propose(payload, _ClockTicket(self))

    def clock_moved(self, pause_s: float) -> None:
        """The attempt ended; the next one comes after ``pause_s`` at the earliest."""
        self._clock_asked, self._clock_due = False, self._clock.now() + pause_s
