"""Several whole members under one virtual clock: packets and exchanges are handed over as they are, after a moment."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from itertools import count

from dkv.gossip.kernel import Kernel, KernelEvent
from dkv.gossip.memberlist.events import StreamRequest
from dkv.gossip.memberlist.profiles import LAN, Profile
from dkv.gossip.rpc.session import RpcSession
from dkv.gossip.wire.encryption import NONCE_BYTES, Keyring
from dkv.gossip.wire.internal_queries import Status
from dkv.gossip.wire.particulars import Address

DELAY_S = 0.001


class Cluster:
    """Members by name. The dead (``kill``) neither hear nor answer."""

    def __init__(self, *names: str, seed: int = 1, profile: Profile = LAN, keyring: Keyring | None = None) -> None:
        self.now = 0.0
        self.rng = random.Random(seed)
        self.profile, self.keyring = profile, keyring
        self.members: dict[str, Kernel] = {}
        self.events: dict[str, list[KernelEvent]] = {}
        self.sessions: dict[str, list[RpcSession]] = {}
        self._at: dict[Address, str] = {}
        self._under_way: list[tuple[float, int, Callable[[], None]]] = []
        self._ties = count()
        for name in names:
            self.add(name)

    def add(self, name: str, address: Address | None = None) -> Kernel:
        address = address or Address("10.0.0.1", 7001 + len(self._at))
        self.members[name] = Kernel(
            name,
            address,
            rng=random.Random(self.rng.random()),
            now=self.now,
            tags={"role": "dkv", "id": name},
            new_nonce=lambda: self.rng.randbytes(NONCE_BYTES),
            profile=self.profile,
            keyring=self.keyring,
        )
        self._at[address] = name
        self.events.setdefault(name, [])
        self.sessions.setdefault(name, [])
        return self.members[name]

    def kill(self, name: str) -> None:
        del self.members[name]
        self._at = {address: each for address, each in self._at.items() if each != name}

    def join_all(self) -> None:
        """Everybody through the first, and until everybody sees everybody."""
        first, *others = self.members
        for name in others:
            self.members[name].join([self.address(first)], self.now)
        self.run_until(lambda: all(len(self.alive_at(name)) == len(self.members) for name in self.members))
        self.run(5)  # and the intents are out

    def address(self, name: str) -> Address:
        return next(address for address, each in self._at.items() if each == name)

    def statuses(self, at: str) -> dict[str, Status]:
        return {member.node: member.status for member in self.members[at].serf.members()}

    def alive_at(self, at: str) -> list[str]:
        return [name for name, status in self.statuses(at).items() if status is Status.ALIVE]

    def seen(self, at: str, kind: type) -> list[KernelEvent]:
        return [event for event in self.events[at] if isinstance(event, kind)]

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        self._drain_all()
        while (due := self._next()) <= end:
            self._step(due)
        self.now = end

    def run_until(self, condition: Callable[[], bool], limit_s: float = 120.0) -> None:
        end = self.now + limit_s
        self._drain_all()
        while not condition():
            due = self._next()
            assert due <= end, f"not within {limit_s} s"
            self._step(due)

    def _next(self) -> float:
        timers = (kernel.next_timer() for kernel in self.members.values())
        return min(min(timers), self._under_way[0][0] if self._under_way else float("inf"))

    def _step(self, due: float) -> None:
        self.now = max(self.now, due)
        if self._under_way and self._under_way[0][0] <= self.now:
            heapq.heappop(self._under_way)[2]()
            self._drain_all()
            return
        for kernel in list(self.members.values()):
            if kernel.next_timer() <= self.now:
                kernel.fire_timer(self.now)
        self._drain_all()

    def _drain_all(self) -> None:
        for name, kernel in list(self.members.items()):
            while (event := kernel.next_event(self.now)) is not None:
                self.events[name].append(event)
                for session in self.sessions[name]:
                    session.deliver(event, self.now)
            source = self.address(name)
            for data, address in kernel.packets_to_send(self.now):
                self._later(lambda data=data, address=address, source=source: self._arrive(data, address, source))
            for request in kernel.streams_to_open(self.now):
                self._later(lambda name=name, request=request: self._exchange(name, request))

    def _later(self, happen: Callable[[], None]) -> None:
        heapq.heappush(self._under_way, (self.now + DELAY_S, next(self._ties), happen))

    def _arrive(self, data: bytes, address: Address, source: Address) -> None:
        if address in self._at:
            self.members[self._at[address]].receive_packet(data, source, self.now)

    def _exchange(self, name: str, request: StreamRequest) -> None:
        dialler = self.members.get(name)
        if dialler is None:
            return
        if request.address not in self._at:
            dialler.stream_failed(request.stream, "connection refused", self.now)
            return
        other = self.members[self._at[request.address]]
        answer = other.receive_stream(request.request, self.address(name), self.now)
        if answer is None:
            dialler.stream_failed(request.stream, "closed without an answer", self.now)
        else:
            dialler.stream_done(request.stream, answer, self.now)


def three(seed: int = 1, keyring: Keyring | None = None) -> Cluster:
    """Members that know each other."""
    cluster = Cluster("a", "b", "c", seed=seed, keyring=keyring)
    cluster.join_all()
    return cluster
