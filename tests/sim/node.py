"""A simulated process: the production ``Replica`` with the production turn order, on a simulated disk."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from dkv.kv.state_machine import KeyValue
from dkv.raft.contracts import NodeId, Ticket
from dkv.raft.messages import Message, decode
from dkv.raft.options import Options
from dkv.raft.replica import Replica
from tests.sim.disk import Disk

if TYPE_CHECKING:
    from tests.sim.world import World

GROUP = 1


class WatchedMachine(KeyValue):
    """The production state machine; ``watch(index, payload, results)`` sees everything that it applies."""

    __slots__ = ("watch",)
    watch: Callable[[int, bytes, list[Any]], None]

    def apply(self, index: int, payload: bytes) -> list[Any]:
        results = super().apply(index, payload)
        self.watch(index, payload, results)
        return results


class Node:
    """One life of a process, from its start to its crash."""

    def __init__(self, world: World, me: NodeId, disk: Disk) -> None:
        self.world, self.me, self.disk = world, me, disk
        self.alive = True
        self._busy = False
        self._scheduled = False
        self._inbox: list[tuple[NodeId, bytes]] = []
        self._proposals: list[tuple[bytes, Ticket]] = []
        self.slow_disk = False
        self._last_index = 0
        self.replica = Replica[WatchedMachine](
            cluster="sim",
            group=GROUP,
            me=me,
            log=disk,
            checkpoints=disk,
            new_machine=self._new_machine,
            load_machine=self._load_machine,
            clock=world.clock,
            rng=random.Random(world.rng.random()),
            options=world.options,
            background=self._background,
        )

    # ---- what a host does

    def wake(self) -> None:
        """Have a turn soon."""
        if not self._scheduled and not self._busy and self.alive:
            self._scheduled = True
            self.world.clock.after(self.world.rng.random() * 0.001, self._turn)

    def deliver(self, sender: NodeId, data: bytes) -> None:
        if self.alive:
            self._inbox.append((sender, data))
            self.wake()

    def propose(self, payload: bytes, ticket: Ticket) -> None:
        self._proposals.append((payload, ticket))
        self.wake()

    def _turn(self) -> None:
        self._scheduled = False
        if not self.alive or self._busy or self.me in self.world.paused:
            return
        inbox, self._inbox = self._inbox, []
        for sender, data in inbox:
            self.replica.receive(sender, decode(data))
        proposals, self._proposals = self._proposals, []
        for payload, ticket in proposals:
            self.replica.propose(payload, ticket)
        self.replica.tick()
        self._send(self.replica.take_early_messages())
        self._busy = True
        self.world.clock.after(self.world.fsync_s(self.slow_disk), self._commit)

    def _commit(self) -> None:
        if not self.alive:
            return
        if self.me in self.world.paused:
            self.world.clock.after(0.01, self._commit)
            return
        if not self.world.turn_order(self):
            return
        self.disk.commit()
        if self.world.crashes_now():
            self.world.crash(self.me)
            return
        self._leave()
        if not self.alive:
            return
        self._busy = False
        self.world.looked_at(self)
        if self._inbox or self._proposals or self.replica.more_to_do():
            self.wake()

    def _leave(self) -> None:
        self._send(self.replica.take_messages())
        self.replica.settle()

    def _send(self, messages: list[tuple[NodeId, Message]]) -> None:
        for receiver, message in messages:
            self.world.network.send(self.me, receiver, message)

    def leave_before_commit(self) -> None:
        """For the mutant that promises first and writes later."""
        self._leave()

    def log_shrank(self) -> bool:
        """Since this was asked last."""
        before, self._last_index = self._last_index, self.disk.durable.entries[-1].index
        return self._last_index < before

    def heartbeat(self) -> None:
        """The timer of this life."""
        if self.alive:
            self.wake()
            due = self.replica.next_timer() - self.world.clock.time
            self.world.clock.after(max(0.005, due), self.heartbeat)

    def _background(self, work: Callable[[], object], done: Callable[[object], None]) -> None:
        def run() -> None:
            if not self.alive:
                return
            try:
                outcome: object = work()
            except Exception as error:
                outcome = error
            self.world.clock.after(self.world.rng.random() * 0.02, lambda: finish(outcome))

        def finish(outcome: object) -> None:
            if self.alive and not self._busy:
                done(outcome)
                self.wake()
            elif self.alive:
                self.world.clock.after(0.0005, lambda: finish(outcome))

        self.world.clock.after(self.world.rng.random() * 0.05, run)

    # ---- the machine

    def _watched(self, machine: WatchedMachine) -> WatchedMachine:
        machine.watch = lambda index, payload, results: self.world.applied(self.me, index, payload, results)
        return machine

    def _new_machine(self) -> WatchedMachine:
        return self._watched(WatchedMachine())

    def _load_machine(self, blocks: Iterator[bytes]) -> WatchedMachine:
        return self._watched(WatchedMachine.load(blocks))


def fast_options(append_bytes: int) -> Options:
    """Production's times, shortened; small limits, so that every mechanism is at work all the time."""
    return Options(
        heartbeat_s=0.04,
        election_timeout_min_s=0.15,
        election_timeout_max_s=0.3,
        check_quorum_s=0.8,
        leader_lost_jitter_s=0.03,
        append_bytes=append_bytes,
        window_bytes=4 * append_bytes,
        read_patience_s=0.3,
        checkpoint_bytes=1 << 30,
        checkpoint_entries=30,
        keep_entries=8,
        keep_bytes=1 << 20,
        snapshot_chunk_bytes=2000,
        snapshot_retry_s=0.2,
        snapshot_idle_s=1.0,
        learner_patience_s=3.0,
        farewell_s=1.0,
    )
