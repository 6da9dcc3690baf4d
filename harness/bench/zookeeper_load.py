"""A closed loop over ZooKeeper's own protocol: sessions that each send a request when the one before was answered.

In a process of its own, on uvloop: the client libraries for Python are far slower than the servers. Requests are made
beforehand (``zookeeper_wire``); with several servers the sessions are dealt out in turn. It also loads keys.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import cast

import msgspec

from harness.bench import generator_process
from harness.bench.generator_process import Report, cpu_s
from harness.bench.latencies import of_nanoseconds
from harness.bench.loads import Counted
from harness.bench.traffic import Traffic
from harness.bench.zookeeper_wire import NODE_EXISTS, OK, Replies, close, connect, packets

NAME = "ZooKeeper protocol of dkv-harness"
SESSION_MS = 30_000
CONNECT_S = 20.0
"""For all sessions: each is a transaction."""
NS_PER_S = 1_000_000_000


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """``once``: the order is gone through once, however long that takes, and ``duration_s`` is the most it may."""

    addresses: list[str]
    connections: int
    requests: list[bytes]
    operations: int
    order: list[int]
    duration_s: float
    once: bool = False


async def load(
    addresses: Sequence[str], connections: int, traffic: Traffic, duration_s: float, *, once: bool = False
) -> Counted:
    """Raises HarnessError."""
    job = Job(
        addresses=list(addresses),
        connections=connections,
        requests=[request.body for request in traffic.requests],
        operations=max(request.operations for request in traffic.requests),
        order=list(traffic.order),
        duration_s=duration_s,
        once=once,
    )
    return await generator_process.run(__name__, job, duration_s)


class Session(asyncio.Protocol):
    """One connection. It asks the loop for the next request, and tells it how the last one went."""

    def __init__(self, closed_loop: ClosedLoop) -> None:
        self._loop = closed_loop
        self._replies = Replies()
        self._left, self._errors, self._sent_ns = 1, 0, 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._transport.write(connect(SESSION_MS))

    def data_received(self, data: bytes) -> None:
        for error, _ in self._replies.feed(data):
            self._errors += error not in (OK, NODE_EXISTS)  # an insert of a pass before is a write now
            self._left -= 1
            if self._left == 0:
                self._answered()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._loop.lost()

    def _answered(self) -> None:
        now = time.monotonic_ns()
        if self._sent_ns == 0:
            self._loop.connected(self)
        else:
            self._loop.answered(now - self._sent_ns, failed=self._errors > 0)
            self.send(now)

    def send(self, now: int) -> None:
        """The next one, if there is any."""
        request = self._loop.next(now)
        if request is not None and self._transport is not None:
            self._left, self._errors, self._sent_ns = request[1], 0, now
            self._transport.write(request[0])

    def end(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(close())
            self._transport.close()


class ClosedLoop:
    """One job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._requests = [(request, packets(request)) for request in job.requests]
        self._place = self._waiting = 0
        self._deadline = 0
        self._sessions: list[Session] = []
        self._connected, self._over = asyncio.Event(), asyncio.Event()
        self.latencies: list[int] = []
        self.failed = 0

    async def run(self) -> Report:
        """The whole of it. Raises OSError, or TimeoutError (which is one), if there are no sessions in time."""
        loop = asyncio.get_running_loop()
        for number in range(self._job.connections):
            host, _, port = self._job.addresses[number % len(self._job.addresses)].rpartition(":")
            await loop.create_connection(lambda: Session(self), host, int(port))
        async with asyncio.timeout(CONNECT_S):
            await self._connected.wait()
        cpu_before_s, began = cpu_s(), time.monotonic_ns()
        self._deadline = began + int(self._job.duration_s * NS_PER_S)
        for session in self._sessions:
            self._waiting += 1
            session.send(began)
        await self._over.wait()
        used_s, duration_s = cpu_s() - cpu_before_s, (time.monotonic_ns() - began) / NS_PER_S
        for session in self._sessions:
            session.end()
        return Report(
            duration_s=duration_s,
            completed=len(self.latencies) * self._job.operations,
            failed=self.failed * self._job.operations,
            cpu_s=used_s,
            latencies=dict(of_nanoseconds(self.latencies).counts),
        )

    def connected(self, session: Session) -> None:
        self._sessions.append(session)
        if len(self._sessions) == self._job.connections:
            self._connected.set()

    def next(self, now: int) -> tuple[bytes, int] | None:
        """What is sent next, and how many replies it brings; None if the time, or the order, is over."""
        over = self._job.once and self._place == len(self._job.order)
        if over or now >= self._deadline:
            self._stopped()
            return None
        request = self._requests[self._job.order[self._place % len(self._job.order)]]
        self._place += 1
        return request

    def answered(self, latency_ns: int, *, failed: bool) -> None:
        if failed:
            self.failed += 1
        else:
            self.latencies.append(latency_ns)

    def lost(self) -> None:
        """A connection broke with a request under way; after the end nobody minds."""
        if not self._over.is_set():
            self.failed += 1
            self._stopped()

    def _stopped(self) -> None:
        self._waiting -= 1
        if self._waiting == 0:
            self._over.set()


async def _work(job: Job) -> Report:
    return await ClosedLoop(job).run()


if __name__ == "__main__":
    generator_process.serve(Job, _work)
