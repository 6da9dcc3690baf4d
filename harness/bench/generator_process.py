"""A generator of our own in a process of its own: a job goes in by its standard input, a report comes out.

The run itself would take the time that a loop needs to send and to read clocks; and a process tells what it used.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import msgspec
import uvloop

from harness.bench.latencies import Latencies
from harness.bench.loads import Counted
from harness.errors import HarnessError
from harness.process import die_with_parent

SLACK_S = 60.0
"""Beyond the load: to start, to connect, to wait for the last answers, to write latencies."""

Job = TypeVar("Job", bound=msgspec.Struct)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """As ``Counted``; ``error``: why there was no load, "" otherwise."""

    duration_s: float = 0.0
    completed: int = 0
    failed: int = 0
    cpu_s: float = 0.0
    latencies: dict[int, int] = {}
    late: str = ""
    error: str = ""

    def counted(self) -> Counted:
        """Raises HarnessError if there was no load."""
        if self.error:
            raise HarnessError(self.error)
        return Counted(
            duration_s=self.duration_s,
            completed=self.completed,
            failed=self.failed,
            cpu_s=self.cpu_s,
            latencies=Latencies(self.latencies),
            late=self.late,
        )


async def run(module: str, job: msgspec.Struct, duration_s: float) -> Counted:
    """Have ``python -m module`` do the job. Raises HarnessError."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=die_with_parent(os.getpid()),
    )
    try:
        async with asyncio.timeout(duration_s + SLACK_S):
            told, errors = await process.communicate(msgspec.msgpack.encode(job))
    except TimeoutError:
        raise HarnessError(f"{module} did not end within {duration_s + SLACK_S:g} s") from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    try:
        return msgspec.msgpack.decode(told, type=Report).counted()
    except msgspec.DecodeError as error:
        said = errors.decode(errors="replace").strip()[-2000:] or "nothing"
        raise HarnessError(f"{module} ended with {process.returncode} and left no report; it said: {said}") from error


def serve(kind: type[Job], work: Callable[[Job], Awaitable[Report]]) -> None:
    """The other side: one job, then the end. The collector sleeps meanwhile: it would stop all connections at once."""
    job = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=kind)
    gc.collect()
    gc.disable()
    try:
        report = uvloop.run(_working(work, job))
    except OSError as error:
        report = Report(error=f"no load: {error}")
    sys.stdout.buffer.write(msgspec.msgpack.encode(report))


async def _working(work: Callable[[Job], Awaitable[Report]], job: Job) -> Report:
    return await work(job)


def cpu_s() -> float:
    """Processor time that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
