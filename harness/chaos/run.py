"""One run of a plan: start, clients and nemesis and observer and judge together, heal, read everything, stop, judge.

A violation ends it at once, unless it is to go on: every process is frozen, nothing more is written, and the data stay
as they were. Law: whatever happens, no process of the system outlives the run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.chaos import assumptions, judge
from harness.chaos.files import RunFiles
from harness.chaos.finale import Finale
from harness.chaos.live import Judge
from harness.chaos.nemesis import Nemesis
from harness.chaos.observer import Observer
from harness.chaos.presence import presence
from harness.chaos.rig import Rig
from harness.chaos.safety import Safety
from harness.errors import HarnessError
from harness.history.events import Event, EventType
from harness.history.records import Assumption, Check, FaultRecord, NodeSample, Validity, Verdict
from harness.plan.operations import keys_of
from harness.plan.plan import Operation, Plan
from harness.systems.base import NotApplied, Unknown
from harness.workloads.clients import Clients, News, NodeReads
from harness.workloads.deeds import Known
from harness.workloads.order import Order
from harness.workloads.pressure import press
from harness.workloads.recorder import Recorder

READY_S = 30.0
"""For all nodes to vote and follow one leader before it begins."""
READY_POLL_S = 0.2
READ_S = 5.0
"""Patience of one read at one node."""
WATCH_S = 1.0
"""The same of those that are made at every node all the time."""
WAKING_KEYS = 3
"""Read at a node that wakes: those that were used last."""
STRAGGLERS_S = 10.0
"""For the last faults to be healed after the clients' time is over: a new member takes some seconds."""
EMPTY_KEYS = 5
CRASHES_EVERY = 4
"""Looks, about a second: to search all logs costs some milliseconds a minute of logs."""


@dataclass(frozen=True)
class Glance:
    """How a run goes, for whoever watches. ``phase``: what it is doing now, in words."""

    phase: str
    elapsed_s: float
    duration_s: float
    counts: dict[str, int]
    faults: tuple[str, ...]
    leader: str
    term: int
    judged: int
    told: int
    validity: Validity
    violation: str


class Run:
    """``watch`` is told twice a second. ``keep_going``: a violation does not end it.

    ``hold``: the frozen processes stay until the run is cancelled. ``now``: seconds, monotonic.
    """

    def __init__(
        self,
        rig: Rig,
        plan: Plan,
        operations: Sequence[Operation],
        files: RunFiles,
        court: Judge,
        watch: Callable[[Glance], None],
        *,
        keep_going: bool = False,
        hold: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rig, self._plan, self._operations = rig, plan, operations
        self._files, self._court, self._watch = files, court, watch
        self._keep_going, self._hold = keep_going, hold
        self._now, self._origin_s = now, now()
        self._events: list[Event] = []
        self._records: list[FaultRecord] = []
        self._recent: dict[str, None] = {}
        self._held: list[Assumption] = []
        self._stop = asyncio.Event()
        self._stopped_at_s: float | None = None
        self._crashed = False
        self._phase = "starting"
        self._news, self._order = News(), Order(self.clock)
        listeners = (self._events.append, files.event, court.feed, self._note_key, self._news)
        self._recorder = Recorder(self.clock, listeners)
        self._world = rig.world(now)
        self._world.read_at = self._read_at
        self._world.press = self._press
        self._observer = Observer(self._world, self.clock, files.sample, self._looked, Safety(rig.exact_terms))
        self._world.look = partial(self._observer.look, digests=True)
        self._nemesis = Nemesis(self._world, plan.seed, self.clock, self._note_fault)
        known = Known(order=self._order)
        self._reads = NodeReads(self._recorder, plan.workload, lambda node: rig.client_at(node, READ_S), known)
        self._watchers = NodeReads(self._recorder, plan.workload, lambda node: rig.client_at(node, WATCH_S), known)
        self._clients = Clients(
            self._recorder,
            plan.workload,
            rig.system.client,
            plan.timeout_s,
            plan.duration_s,
            known,
        )
        self._readers: set[asyncio.Task[list[str]]] = set()
        self._group = asyncio.TaskGroup()

    def clock(self) -> float:
        """Seconds since the clients began."""
        return self._now() - self._origin_s

    async def run(self) -> Verdict:
        """The whole of it. Raises HarnessError if the system does not start."""
        self._glance()
        await self._rig.system.start()
        try:
            verdict = await self._run()
            self._files.verdict(verdict)
            if self._hold and self._stop.is_set():
                await self._wait_cancelled()
        finally:
            self._files.close()
            await self._rig.system.stop()
        return verdict

    async def _wait_cancelled(self) -> None:
        """A person looks at the frozen processes; Ctrl-C lets them go."""
        self._phase = "frozen until Ctrl-C"
        self._glance()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None, "a coroutine runs in a task"
            task.uncancel()

    async def _run(self) -> Verdict:
        self._held.append(assumptions.healthy("healthy before", await self._ready()))
        self._held.append(assumptions.empty(await self._found()))
        self._origin_s = self._now()
        checks: list[Check] = []
        async with self._group as group:
            judging = group.create_task(self._court.run(self._files.header))
            observing = group.create_task(self._observer.run())
            alarm = group.create_task(self._wait_violation())
            await self._chaos()
            elapsed_s = self.clock()
            if self._stop.is_set():
                self._phase = "frozen"
                await self._freeze()
                observing.cancel()
            else:
                checks += await self._finish(observing)
            self._phase = "judging"
            self._glance()
            checks += await self._court.finish()
            for task in (judging, alarm):
                task.cancel()
        return self._verdict(checks, elapsed_s)

    async def _ready(self) -> Sequence[NodeSample]:
        give_up = self._now() + READY_S
        while True:
            samples = await self._rig.system.observe()
            if assumptions.healthy("", samples).held or self._now() > give_up:
                return samples
            await asyncio.sleep(READY_POLL_S)

    async def _found(self) -> list[str]:
        """Keys of the plan that are there before it began."""
        client = self._rig.system.client(READ_S)
        found = []
        try:
            for key in keys_of(self._operations[: 10 * self._plan.clients])[:EMPTY_KEYS]:
                with suppress(NotApplied, Unknown):
                    if (await client.read(key)).value is not None:
                        found.append(key)
        finally:
            await client.close()
        return found

    async def _chaos(self) -> None:
        """Clients and faults, until both are done or something is violated."""
        self._phase = "chaos"
        async with asyncio.TaskGroup() as group:
            work = group.create_task(self._work())
            stop = group.create_task(self._stop.wait())
            await asyncio.wait((work, stop), return_when=asyncio.FIRST_COMPLETED)
            work.cancel()
            stop.cancel()

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            nemesis = group.create_task(self._nemesis.run(self._plan.faults))
            system, end_s = self._rig.system, self._plan.duration_s
            group.create_task(
                self._watchers.keep_reading(lambda: system.nodes, lambda: [*self._recent], end_s, self._news)
            )
            await self._clients.run(self._operations)
            self._phase = "last faults"
            await asyncio.wait((nemesis,), timeout=STRAGGLERS_S)
            nemesis.cancel()

    async def _finish(self, observing: asyncio.Task[None]) -> list[Check]:
        """Heal, wait for progress, read everything everywhere; the checks that need it."""
        finale = Finale(self._rig, self._plan, self._recorder, self._reads, self._world, self._observer)
        self._phase = "healing"
        await asyncio.gather(*self._readers)
        await finale.heal()
        first_write_s = await finale.wait_write()
        self._held.append(assumptions.healthy("healthy after", await finale.wait_healthy()))
        self._phase = "reading everything at every node"
        from_s = self.clock()
        unread = await finale.read_all([*self._recent])
        observing.cancel()
        last = await finale.settle()
        self._observer.safety.finish(last)
        finals = [
            event
            for event in self._events
            if event.type is EventType.OK and event.f == "read" and event.time_s >= from_s
        ]
        checks = [
            judge.progress(first_write_s, unread, finale.bound_s),
            presence(self._events, finals, self._plan.workload),
        ]
        if (digests := judge.equal_digests(last, finale.bound_s)) is not None:
            checks.append(digests)
        self._phase = "waiting until all see each other"
        return [*checks, await finale.see_each_other()]

    async def _freeze(self) -> None:
        """Every process stands still as it is; the data and the logs tell the rest."""
        for reader in self._readers:
            reader.cancel()
        running = [sample.node for sample in self._world.view.samples.values() if sample.process != "dead"]
        with suppress(HarnessError):
            await self._rig.system.pause(running)

    async def _wait_violation(self) -> None:
        await self._court.violated.wait()
        self._violated()

    def _violated(self) -> None:
        if self._stopped_at_s is None:
            self._stopped_at_s = self.clock()
        if not self._keep_going and self._phase in ("chaos", "last faults"):
            self._stop.set()

    def _verdict(self, checks: list[Check], elapsed_s: float) -> Verdict:
        safety = self._observer.safety
        checks = [
            *checks,
            *safety.checks(),
            self._order.check(),
            judge.crashes(self._rig.system.crashes()),
            judge.acknowledged(self._recorder.counts[EventType.OK]),
        ]
        self._held += [
            assumptions.fired(self._plan.faults, self._records, elapsed_s),
            assumptions.rate(self._plan.rate, self._clients.punctuality.succeeded, elapsed_s),
            assumptions.sequential(self._events),
        ]
        return judge.verdict(checks, self._held, self._statistics(checks, elapsed_s))

    def _statistics(self, checks: Sequence[Check], elapsed_s: float) -> dict[str, Any]:
        recorder, punctuality = self._recorder, self._clients.punctuality
        found: dict[str, Any] = judge.figures(
            recorder.counts, recorder.latencies_s, elapsed_s, self._records, list(self._observer.safety.leaders)
        )
        found["late"] = {
            "begun": punctuality.begun,
            "late": punctuality.late,
            "latest_s": round(punctuality.latest_s, 3),
            "undone": punctuality.undone,
        }
        found["network"] = self._rig.network.name if self._rig.network else ""
        if self._stopped_at_s is not None:
            found["violation_seen_s"] = round(self._stopped_at_s, 3)
            times = [check.time_s for check in checks if check.validity is Validity.INVALID and check.time_s]
            if times:
                found["verdict_delay_s"] = round(self._stopped_at_s - min(times), 3)
        return found

    async def _read_at(self, nodes: Sequence[str]) -> None:
        """Recorded reads of the keys used last, under way when this returns."""
        keys = [*self._recent][-WAKING_KEYS:]
        for node in nodes:
            for key in keys:
                reader = self._group.create_task(self._reads.read(node, [key]))
                self._readers.add(reader)
                reader.add_done_callback(self._readers.discard)
        await asyncio.sleep(0)

    async def _press(self, node: str, writes: int, size_bytes: int) -> None:
        await press(partial(self._rig.client_at, node), writes, size_bytes)

    def _note_key(self, event: Event) -> None:
        if event.key is not None and event.type is EventType.INVOKE:
            self._recent.pop(event.key, None)
            self._recent[event.key] = None  # the newest last

    def _note_fault(self, record: FaultRecord) -> None:
        self._records.append(record)
        self._files.fault(record)

    def _looked(self) -> None:
        self._files.flush()
        if self._observer.looks % CRASHES_EVERY == 0:
            self._crashed = self._crashed or bool(self._rig.system.crashes())
        if self._observer.safety.violations or self._order.violation or self._crashed:
            self._violated()
        self._glance()

    def _violations(self) -> list[Check]:
        """What was found beside the history."""
        order = self._order.violation
        return [*self._observer.safety.violations.values(), *([order] if order else [])]

    def _glance(self) -> None:
        view, violations = self._world.view, self._violations()
        counts = self._recorder.counts
        self._watch(
            Glance(
                phase=self._phase,
                elapsed_s=max(0.0, self.clock()),
                duration_s=self._plan.duration_s,
                counts={str(type): counts[type] for type in EventType},
                faults=tuple(self._nemesis.active.values()),
                leader=view.leader,
                term=view.term,
                judged=self._court.word.judged,
                told=len(self._events),
                validity=Validity.INVALID if violations else self._court.word.validity,
                violation=next((check.sentence for check in violations), ""),
            )
        )
