"""The turn: everything that Raft does on this node, for all of its groups, in one order.

deliver what came in → take what the sources hold → tick → send what promises nothing → *one* commit → send the rest →
settle → again if need be. Law: no promise leaves before the commit returned; a leader's appends promise nothing, so all
disks write at once. Turns are driven by events (``wake``) and by the replicas' own timers; at most one is scheduled, so
frames and proposals that arrive before it share it, and its fsync. A full disk *stalls* the node: nothing is sent or
answered until the very same commit succeeds. A broken invariant ends it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

from dkv.clock import Clock
from dkv.errors import DkvError, NoSpace, ShuttingDown
from dkv.faults.points import Hit, pass_by
from dkv.raft.contracts import DiskFull, GroupId, NodeId, Ticket
from dkv.raft.messages import BadMessage, Message, decode, encode
from dkv.raft.space import DISK_FULL, Space
from dkv.raft.waiters import Waiter, Waiters

if TYPE_CHECKING:
    from dkv.faults.state import Faults
    from dkv.metrics import Metrics
    from dkv.raft.replica import Replica

log = logging.getLogger(__name__)

T = TypeVar("T")

INBOX_BYTES_MAX = 64 * 1024 * 1024
"""What may wait for a turn. A turn takes it all, so only a stalled or slow commit fills it: room for the
largest frames of several peers; beyond that the node is seconds behind, and Raft sends again what was dropped."""

STALL_RETRY_S = 0.1
"""How often a commit that found the disk full is tried again."""

BACKGROUND_THREADS = 2
"""One checkpoint being written and one snapshot being verified; more would only fight for the disk."""

TIMER_SLACK_S = 0.001
"""uvloop's timers count in milliseconds and may ring one early."""


class Durable(Protocol):
    """What the turn needs of the node's storage."""

    def commit(self) -> object:
        """Make durable what the groups recorded. Raises ``DiskFull`` (try again) or ``FatalError``."""
        ...

    def low_on_space(self) -> bool: ...


class Source(Protocol):
    """Who brings a group's proposals and reads (the router)."""

    def hand_over(self, replica: Replica[Any]) -> None:
        """Propose and read what was collected since the last turn."""
        ...

    def refuse(self, error: DkvError) -> None:
        """Fail what was collected and not handed over yet."""
        ...

    def next_timer(self, replica: Replica[Any]) -> float:
        """When it wants a turn though nothing arrived: clock seconds, ``inf`` for never."""
        ...


class Phase(StrEnum):
    """Where the turn stands."""

    IDLE = "idle"
    STALLED = "stalled"
    ENDED = "ended"


class Host:
    """The groups of this node and their turn. Every method is called on the loop's thread."""

    def __init__(
        self,
        *,
        storage: Durable,
        send: Callable[[NodeId, Sequence[tuple[GroupId, bytes]]], None],
        clock: Clock,
        metrics: Metrics,
        die: Callable[[BaseException], NoReturn],
        faults: Faults | None = None,
    ) -> None:
        """``die`` ends the process at once, with the diagnosis; it must not return."""
        self._loop = asyncio.get_running_loop()
        self._storage = storage
        self._send = send
        self._clock = clock
        self._metrics = metrics
        self._die = die
        self._hit: Hit = pass_by if faults is None else faults.points.hit
        self._replicas: dict[GroupId, tuple[Replica[Any], Source]] = {}
        self._inbox: list[Callable[[], None]] = []
        self._inbox_bytes = 0
        self._again = False
        self._phase = Phase.IDLE
        self._turn_handle: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = float("inf")
        self._threads = ThreadPoolExecutor(BACKGROUND_THREADS, thread_name_prefix="dkv-background")
        self.space = Space(storage, clock)
        self.turns = 0
        self.waiters = Waiters(clock, self._loop)
        self.refused_frames: dict[str, int] = {}
        """Reason → how many."""
        self.after_turn: list[Callable[[], None]] = []
        """Called at the end of each turn; must be cheap."""

    # ---- what comes in, at any time

    def add(self, replica: Replica[Any], source: Source) -> None:
        """Take a group into the turn."""
        assert replica.group not in self._replicas, f"group {replica.group} is already on this node"
        self._replicas[replica.group] = (replica, source)
        self.wake()

    def deliver(self, sender: NodeId, group: GroupId, body: bytes) -> None:
        """A frame from a peer. What cannot be taken is dropped and counted: to Raft it is a lost message."""
        try:
            message = decode(body)
        except BadMessage as error:
            self._refuse_frame("bad_message", f"from {sender}: {error}")
            return
        if group not in self._replicas:
            self._refuse_frame("unknown_group", f"from {sender}: {group}")
        elif self._inbox_bytes + len(body) > INBOX_BYTES_MAX:
            self._refuse_frame("inbox_full", f"from {sender}: {self._inbox_bytes} bytes wait for a turn")
        else:
            self._inbox_bytes += len(body)
            replica = self._replicas[group][0]
            self._inbox.append(partial(self._receive, replica, sender, message))
            if not replica.can_wait(sender, message):
                self.wake()

    def _receive(self, replica: Replica[Any], sender: NodeId, message: Message) -> None:
        try:
            replica.receive(sender, message)
        except BadMessage as error:
            self._refuse_frame("bad_message", f"from {sender}: {error}")

    def _refuse_frame(self, reason: str, what: str) -> None:
        if reason not in self.refused_frames:
            log.warning("frame refused (%s) %s; further ones are only counted", reason, what)
        self.refused_frames[reason] = self.refused_frames.get(reason, 0) + 1

    def peer_up(self, node: NodeId) -> None:
        """Our sending link to ``node`` is established."""
        for replica, _ in self._replicas.values():
            self._call(partial(replica.peer_up, node))

    def peer_down(self, node: NodeId, *, reset: bool) -> None:
        """Our sending link to ``node`` ended; ``reset``: its process closed it."""
        for replica, _ in self._replicas.values():
            self._call(partial(replica.peer_down, node, reset=reset))

    def peer_lost(self, node: NodeId) -> None:
        """The process of ``node`` closed the link by which it sent to us."""
        for replica, _ in self._replicas.values():
            self._call(partial(replica.peer_lost, node))

    def background(self, work: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        """Run ``work`` in a thread, then ``done`` with its result, or its exception, between two turns."""
        future = self._threads.submit(work)
        future.add_done_callback(partial(self._worked, done))

    def _worked(self, done: Callable[[Any], None], future: Future[Any]) -> None:
        # Runs in the worker's thread.
        if future.cancelled():
            return  # the node stops
        error = future.exception()
        if isinstance(error, Exception) or error is None:
            outcome = error if error is not None else future.result()
            self._threadsafe(self._call, partial(done, outcome))
        else:
            self._threadsafe(self._broken, error)

    def _threadsafe(self, function: Callable[..., None], *arguments: Any) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)

    def _call(self, call: Callable[[], None]) -> None:
        self._inbox.append(call)
        self.wake()

    # ---- what callers ask for

    def begin_wait_applied(self, group: GroupId, index: int, deadline: float, ticket: Ticket) -> Waiter:
        """Read your writes: the ticket completes once ``index`` is applied here."""
        call = partial(self._replicas[group][0].wait_applied, index)
        return self._begin(f"wait for index {index}", deadline, call, ticket, appends=False)

    async def add_voter(self, group: GroupId, node: NodeId, deadline: float) -> None:
        await self._ask("addition of a voter", deadline, partial(self._replicas[group][0].add_voter, node))

    async def remove_voter(self, group: GroupId, node: NodeId, deadline: float) -> None:
        await self._ask("removal of a voter", deadline, partial(self._replicas[group][0].remove_voter, node))

    async def transfer(self, group: GroupId, target: NodeId | None, deadline: float) -> None:
        """Completes when another leader is known."""
        call = partial(self._replicas[group][0].transfer, target)
        await self._ask("transfer of the leadership", deadline, call)

    async def _ask(self, what: str, deadline: float, ask: Callable[[Ticket], None]) -> Any:
        return await self.waiters.outcome(lambda ticket: self._begin(what, deadline, ask, ticket, appends=True))

    def _begin(
        self, what: str, deadline: float, ask: Callable[[Ticket], None], ticket: Ticket, *, appends: bool
    ) -> Waiter:
        waiter = Waiter(what, deadline, ticket)

        def hand_over() -> None:
            if not waiter.done:
                waiter.appended = appends
                ask(waiter)

        self.waiters.add(waiter)
        self._call(hand_over)
        return waiter

    # ---- the turn

    @property
    def phase(self) -> Phase:
        return self._phase

    def wake(self) -> None:
        """Let a turn follow soon."""
        if self._phase is not Phase.IDLE:
            self._again = True
        elif self._turn_handle is None:
            self._turn_handle = self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._turn_handle = None
        if self._phase is not Phase.IDLE:
            return
        try:
            self._gather()
            self._send_all(early=True)
            self._commit()
        except Exception as error:
            self._broken(error)

    def _gather(self) -> None:
        inbox, self._inbox, self._inbox_bytes = self._inbox, [], 0
        for call in inbox:
            call()
        for replica, source in self._replicas.values():
            source.hand_over(replica)
            replica.tick()

    def _commit(self) -> None:
        # On the loop's thread: handing it to another one and waking up again costs 6 to 10 % of the sets a second.
        started = self._clock.now()
        try:
            wrote = self._storage.commit() is not None
        except DiskFull as error:
            self._stall(error)
        else:
            self._finish(self._clock.now() - started if wrote else None)

    def _finish(self, commit_s: float | None) -> None:
        # The commit has returned: from here on, and only from here on, others may learn of it.
        if self.space.full:
            log.warning("there is room on the disk again: this node goes on")
        self._phase, self.space.full = Phase.IDLE, False
        self.turns += 1
        if commit_s is not None:
            self._metrics.fsync_duration.observe(commit_s)
        self._send_all(early=False)
        self._hit("answer.before")
        for replica, _ in self._replicas.values():
            replica.settle()
        for follow in self.after_turn:
            follow()
        if self._again or any(replica.more_to_do() for replica, _ in self._replicas.values()):
            self._again = False
            self.wake()
        elif self._turn_handle is None:
            self._arm(self._next_timer())

    def _send_all(self, *, early: bool) -> None:
        # One write per peer: a system call costs more than all the rest of a small message.
        frames: dict[NodeId, list[tuple[GroupId, bytes]]] = {}
        for replica, _ in self._replicas.values():
            for node, message in replica.take_early_messages() if early else replica.take_messages():
                frames.setdefault(node, []).append((replica.group, encode(message)))
        for node, batch in frames.items():
            self._hit("send.before")
            self._send(node, batch)
        if frames:
            self._hit("send.after")

    # ---- a full disk, a broken node

    def _stall(self, error: DiskFull) -> None:
        if not self.space.full:
            log.error("the disk is full: this node neither sends nor answers until there is room (%s)", error)
        self._phase, self.space.full = Phase.STALLED, True
        for _, source in self._replicas.values():
            source.refuse(NoSpace(DISK_FULL))
        self._loop.call_later(STALL_RETRY_S, self._retry)

    def _retry(self) -> None:
        if self._phase is not Phase.STALLED:
            return
        try:
            self._commit()
        except Exception as error:
            self._broken(error)

    def _broken(self, error: BaseException) -> None:
        self._phase = Phase.ENDED
        self._die(error)

    # ---- timers

    def _next_timer(self) -> float:
        due = float("inf")
        for replica, source in self._replicas.values():
            due = min(due, replica.next_timer(), source.next_timer(replica))
        return due

    def _arm(self, due: float) -> None:
        # A timer that rings too early costs less than one that is set anew after every turn.
        if due >= self._timer_due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = self._loop.call_later(self._clock.until(due), self._ring)

    def clock_changed(self) -> None:
        """The clock jumped or runs at another rate: what the timer was set for may be due already, or later."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_due = None, float("inf")
        self.wake()

    def _ring(self) -> None:
        now = self._clock.now()
        self._metrics.eventloop_lag.observe(max(0.0, now - self._timer_due))
        self._timer, self._timer_due = None, float("inf")
        due = self._next_timer()
        if due > now + TIMER_SLACK_S:
            self._arm(due)
        else:
            self.wake()

    # ---- the end

    async def stop(self) -> None:
        """No turn follows. Whoever still waits is told; work of the background that is under way is waited for."""
        self._phase = Phase.ENDED
        for handle in (self._turn_handle, self._timer):
            if handle is not None:
                handle.cancel()
        stopping = ShuttingDown("This node is stopping; another one serves.")
        for _, source in self._replicas.values():
            source.refuse(stopping)
        self.waiters.fail_all(stopping)
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
