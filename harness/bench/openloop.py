"""An open loop over HTTP: operations begin at intended times, whatever became of those before them.

Constant rate. Latency counts from the intended start, so a pause of the system is felt by all who came meanwhile. An
operation whose time has come takes a free connection or waits for one; both are the system's doing. What is the
generator's own is how much later than it could have it sent: it tells if that was more than LATE_MS_MAX.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence

import msgspec

from harness.bench import generator_process
from harness.bench.generator_process import Report, cpu_s
from harness.bench.http_link import Link, connect
from harness.bench.latencies import of_nanoseconds
from harness.bench.loads import Counted
from harness.bench.metronome import Metronome
from harness.bench.traffic import Traffic

NAME = "open loop of dkv-harness"
LATE_MS_MAX = 1.0
"""99 of 100 operations are sent so soon after they could be; more, and the latencies are the generator's in part."""
LAST_ANSWERS_S = 10.0
"""For what was sent before the end, and what still waits for a connection; then it has failed."""
NS_PER_S = 1_000_000_000


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """``requests``: HTTP, by address (each names its host). ``order``: indices of them."""

    addresses: list[str]
    connections: int
    requests: list[list[bytes]]
    order: list[int]
    duration_s: float
    offered_per_s: int


async def load(
    addresses: Sequence[str], connections: int, traffic: Traffic, duration_s: float, offered_per_s: int
) -> Counted:
    """Raises HarnessError."""
    job = Job(
        addresses=list(addresses),
        connections=connections,
        requests=[[request.encoded(address) for request in traffic.requests] for address in addresses],
        order=list(traffic.order),
        duration_s=duration_s,
        offered_per_s=offered_per_s,
    )
    return await generator_process.run(__name__, job, duration_s)


class OpenLoop:
    """One job. Connections take turns; ``_due`` are intended starts that no connection was free for."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._period_ns = NS_PER_S / job.offered_per_s
        self._total = int(job.duration_s * job.offered_per_s)
        self._links: list[Link] = []
        self._started: list[int] = [0] * job.connections
        """By connection: the intended start of what it waits for, in ns."""
        self._free: deque[tuple[int, int]] = deque()
        """Connections, and since when."""
        self._due: deque[int] = deque()
        self._begun = self._sent = self.completed = self.failed = 0
        self.latencies: list[int] = []
        self.lags: list[int] = []
        self._began = 0
        self._over = asyncio.Event()

    async def run(self) -> Report:
        """The whole of it. Raises OSError if a node cannot be reached."""
        for number in range(self._job.connections):
            self._links.append(await self._connect(number))
        cpu_before_s, self._began = cpu_s(), time.monotonic_ns()
        self._free.extend((number, self._began) for number in range(self._job.connections))
        metronome = Metronome(self._period_ns, self._tick)
        try:
            async with asyncio.timeout(self._job.duration_s + LAST_ANSWERS_S):
                await self._over.wait()
        except TimeoutError:
            pass
        finally:
            metronome.close()
        used_s, duration_s = cpu_s() - cpu_before_s, (time.monotonic_ns() - self._began) / NS_PER_S
        for link in self._links:
            link.close()
        return self._report(used_s, duration_s)

    def _report(self, used_s: float, duration_s: float) -> Report:
        lag_ms = of_nanoseconds(self.lags).percentiles_ms([99])[0] if self.lags else 0.0
        late = (
            f"it sent 1 of 100 operations {lag_ms:.1f} ms or more late by its own fault" if lag_ms > LATE_MS_MAX else ""
        )
        return Report(
            duration_s=duration_s,
            completed=self.completed,
            failed=self._total - self.completed,
            cpu_s=used_s,
            latencies=dict(of_nanoseconds(self.latencies).counts),
            late=late,
        )

    async def _connect(self, number: int) -> Link:
        address = self._job.addresses[number % len(self._job.addresses)]
        return await connect(address, lambda status, _: self._answered(number, status))

    def _tick(self) -> None:
        now = time.monotonic_ns()
        while self._begun < self._total and (intended := self._intended(self._begun)) <= now:
            self._due.append(intended)
            self._begun += 1
        while self._due and self._free:
            number, since = self._free.popleft()
            self._send(number, since)

    def _intended(self, operation: int) -> int:
        return self._began + int(operation * self._period_ns)

    def _send(self, number: int, since: int) -> None:
        intended = self._due.popleft()
        self._started[number] = intended
        request = self._job.requests[number % len(self._job.addresses)][
            self._job.order[self._sent % len(self._job.order)]
        ]
        self._sent += 1
        self.lags.append(time.monotonic_ns() - max(intended, since))
        self._links[number].send(request)

    def _answered(self, number: int, status: int) -> None:
        now = time.monotonic_ns()
        if status == 0 and self._resting(number):
            self._free = deque(place for place in self._free if place[0] != number)
            return
        if status == 200:
            self.completed += 1
            self.latencies.append(now - self._started[number])
        else:
            self.failed += 1
        if self.completed + self.failed >= self._total:
            self._over.set()
        if status == 0:
            return  # the connection is lost, and so is its share
        if self._due:
            self._send(number, now)
        else:
            self._free.append((number, now))

    def _resting(self, number: int) -> bool:
        return any(number == free for free, _ in self._free)


async def _work(job: Job) -> Report:
    return await OpenLoop(job).run()


if __name__ == "__main__":
    generator_process.serve(Job, _work)
