"""A node's inside with one group in memory: the real host, router and state machine over a replica that is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from dkv import membership as membership_module
from dkv import pilot as pilot_module
from dkv.clock import MonotonicClock
from dkv.directory import Directory
from dkv.errors import DkvError, NotLeader
from dkv.kv.state_machine import KeyValue
from dkv.metrics import Distribution, Metrics
from dkv.raft.contracts import NodeId
from dkv.raft.host import Host
from dkv.raft.messages import Message
from dkv.raft.status import PeerProgress, ReplicaStatus, Role
from dkv.router import Router
from tests.dkv.membership_stage import N2, N3, Cluster, member


class MemoryReplica:
    """Commits and applies in ``settle`` whatever was proposed, unless it is told to hold or refuse it."""

    def __init__(self, me: NodeId) -> None:
        self.group = 1
        self.me = me
        self.machine = KeyValue()
        self.role = Role.LEADER
        self.leader: NodeId | None = me
        self.voters: list[NodeId] = [me]
        self.learners: list[NodeId] = []
        self.last_index = 1
        self.contact_s: dict[NodeId, float] = {}
        self.leader_contact_s = 0.0
        self.hold = False
        self.refusal: DkvError | None = None
        self.entries: list[tuple[bytes, Any]] = []
        self.readers: list[Any] = []
        self.tickets: list[tuple[Any, Any]] = []
        self.changes: list[str] = []
        self.adding: list[tuple[NodeId, Any]] = []
        self.catching_up: set[NodeId] = set()
        self.rounds = 0
        self.payloads: list[bytes] = []

    def follow(self, leader: NodeId | None) -> None:
        """Become a follower."""
        self.role, self.leader = Role.FOLLOWER, leader

    def propose(self, payload: bytes, ticket: Any) -> None:
        self.entries.append((payload, ticket))

    def read(self, ticket: Any) -> None:
        self.rounds += 1
        self.readers.append(ticket)

    def wait_applied(self, index: int, ticket: Any) -> None:
        if index <= self.last_index:
            self.tickets.append((ticket, None))

    def add_voter(self, node: NodeId, ticket: Any) -> None:
        self.changes.append(f"add {node}")
        self.adding.append((node, ticket))

    def remove_voter(self, node: NodeId, ticket: Any) -> None:
        self.changes.append(f"remove {node}")
        self.voters.remove(node)
        self.tickets.append((ticket, None))

    def transfer(self, target: NodeId | None, ticket: Any) -> None:
        self.changes.append(f"transfer {target}")
        self.follow(target or self.voters[-1])
        self.tickets.append((ticket, None))

    @property
    def is_leader(self) -> bool:
        return self.role is Role.LEADER

    @property
    def term(self) -> int:
        return 3

    @property
    def applied_index(self) -> int:
        return self.last_index

    def peer_up(self, node: NodeId) -> None: ...
    def peer_lost(self, node: NodeId) -> None: ...
    def peer_down(self, node: NodeId, *, reset: bool) -> None: ...
    def receive(self, sender: NodeId, message: Message) -> None: ...
    def tick(self) -> None: ...
    def take_early_messages(self) -> list[tuple[NodeId, Message]]:
        return []

    def take_messages(self) -> list[tuple[NodeId, Message]]:
        return []

    def settle(self) -> None:
        if self.hold:
            return
        entries, self.entries = self.entries, []
        for payload, ticket in entries:
            if self.refusal is not None or self.role is not Role.LEADER:
                ticket.fail(self.refusal or NotLeader("not the leader"))
                continue
            self.last_index += 1
            self.payloads.append(payload)
            ticket.complete(self.machine.apply(self.last_index, payload))
        for node, ticket in [(node, ticket) for node, ticket in self.adding if node not in self.catching_up]:
            self.adding.remove((node, ticket))
            self.voters.append(node)
            self.tickets.append((ticket, None))
        readers, self.readers = self.readers, []
        tickets, self.tickets = self.tickets, []
        for ticket, value in [*tickets, *((reader, self.last_index) for reader in readers)]:
            ticket.complete(value)

    def more_to_do(self) -> bool:
        return False

    def next_timer(self) -> float:
        return float("inf")

    def status(self) -> ReplicaStatus:
        index = self.last_index
        return ReplicaStatus(
            group=self.group,
            me=self.me,
            role=self.role,
            term=3,
            leader=self.leader,
            vote=None,
            first_index=0,
            last_index=index,
            commit_index=index,
            applied_index=index,
            log_bytes=0,
            checkpoint_index=0,
            voters=tuple(self.voters),
            learners=tuple(self.learners),
            peers={node: PeerProgress(index, contact) for node, contact in self.contact_s.items()},
            can_serve_reads=self.role is Role.LEADER,
            leader_contact_s=self.leader_contact_s,
        )


class MemoryStorage:
    def __init__(self) -> None:
        self.low = False

    def commit(self) -> None: ...
    def low_on_space(self) -> bool:
        return self.low


class Inside:
    """Host, router and directory of ``n1``; the wall clock is a number."""

    def __init__(self) -> None:
        self.deaths: list[BaseException] = []
        self.storage = MemoryStorage()
        self.clock = MonotonicClock()
        self.wall_ms = 1_000_000
        self.host = Host(
            storage=self.storage,
            send=lambda node, frames: None,
            clock=self.clock,
            metrics=Metrics("0"),
            die=self.deaths.append,  # type: ignore[arg-type]
        )
        self.directory = Directory(member(1))
        self.directory.follow([member(1), member(2), member(3)], complete=True)
        self.replica = MemoryReplica(member(1).identity)
        self.router = Router(
            self.host,
            self.replica,  # type: ignore[arg-type]
            self.directory,
            clock=self.clock,
            commit_duration=Distribution(),
            wall_ms=lambda: self.wall_ms,
        )
        self.host.add(self.replica, self.router)  # type: ignore[arg-type]

    def soon(self, seconds: float = 10.0) -> float:
        return self.clock.now() + seconds

    async def turn(self) -> None:
        """Wait until another turn has ended."""
        turns = self.host.turns
        self.host.wake()
        for _ in range(1000):
            if self.host.turns > turns:
                return
            await asyncio.sleep(0)
        raise AssertionError(f"no turn came: {self.deaths}")


@pytest_asyncio.fixture
async def inside() -> AsyncIterator[Inside]:
    inside = Inside()
    await inside.turn()
    yield inside
    await inside.host.stop()
    assert not inside.deaths


@pytest_asyncio.fixture
async def cluster(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    monkeypatch.setattr(membership_module, "RETRY_S", 0.01)
    monkeypatch.setattr(pilot_module, "LOOK_S", 0.001)
    cluster = Cluster(inside)
    await cluster.membership.write_me(inside.soon())
    cluster.membership.caught_up()
    for info in (N2, N3):
        cluster.alive(info)
        await cluster.join(info)
    await cluster.admitted(N2, N3)
    cluster.replica.changes.clear()
    yield cluster
    cluster.piloting.cancel()
    await asyncio.gather(cluster.piloting, return_exceptions=True)
