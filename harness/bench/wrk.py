"""Closed loops over HTTP by wrk, with one thread each: a second one would take the servers' core.

The requests are made beforehand, bytes and order, so that wrk only sends them (``wrk.lua``). wrk knows one address: a
load that is spread over nodes is one wrk for each of them, started at once, with the connections divided; what they
counted is added and their latencies are merged, all of which wrk gives, to the microsecond. A status of 400 or more
is a failure. A redirect is not, to wrk: whoever runs a block makes sure that the leader is who it was afterwards.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from harness.bench.latencies import Latencies, merged, uncorrected
from harness.bench.loads import Counted
from harness.bench.traffic import Traffic
from harness.errors import HarnessError, Refused
from harness.process import die_with_parent

SCRIPT = Path(__file__).with_name("wrk.lua")
TIMEOUT_S = 10.0
"""For one answer; a system that needs longer has failed it."""
SLACK_S = 60.0
"""Beyond the load: to read the requests before it, and to write latencies afterwards, on a busy machine."""


class Report(msgspec.Struct, frozen=True):
    """What ``wrk.lua`` writes. ``latencies``: (microseconds, how many), with what wrk added by itself."""

    requests: int
    duration_us: int
    cpu_s: float
    connect: int
    read: int
    write: int
    status: int
    timeout: int
    latencies: list[tuple[int, int]]


def find() -> str:
    """The program. Raises Refused."""
    path = shutil.which("wrk")
    if path is None:
        raise Refused("no program wrk on PATH, which makes the load: Debian has it in the package wrk")
    return path


def version() -> str:
    """``wrk 4.1.0``, by its own word."""
    told = subprocess.run([find(), "-v"], capture_output=True, text=True, timeout=10.0, check=False).stdout
    words = told.split()
    return "wrk " + next((word for word in words[1:] if any(letter.isdigit() for letter in word)), "")


async def load(addresses: Sequence[str], connections: int, traffic: Traffic, duration_s: float) -> Counted:
    """Load each of ``addresses`` (``host:port``) for so long, by its share of the connections. Raises HarnessError."""
    shares = divided(connections, len(addresses))
    with tempfile.TemporaryDirectory(prefix="dkv-bench-") as directory:
        running = []
        try:
            for number, (address, share) in enumerate(zip(addresses, shares, strict=True)):
                if share:
                    room = Path(directory) / str(number)
                    room.mkdir()
                    running.append(await _start(room, address, share, traffic.part(number, len(addresses)), duration_s))
            async with asyncio.timeout(duration_s + SLACK_S):
                reports = await asyncio.gather(*(_finish(process, room) for process, room in running))
        except TimeoutError:
            raise HarnessError(f"wrk did not end within {duration_s + SLACK_S:g} s") from None
        finally:
            for process, _ in running:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
    return counted(reports, shares, max(request.operations for request in traffic.requests))


def divided(connections: int, parts: int) -> list[int]:
    """As evenly as they go; the first ones have one more."""
    share, rest = divmod(connections, parts)
    return [share + (number < rest) for number in range(parts)]


def encode(traffic: Traffic, host: str) -> bytes:
    """The file that ``wrk.lua`` reads."""
    requests = [request.encoded(host) for request in traffic.requests]
    parts = [b"%d\n" % len(requests), *(b"%d\n%b\n" % (len(request), request) for request in requests)]
    return b"".join([*parts, *(b"%d\n" % index for index in traffic.order)])


def counted(reports: Sequence[Report], shares: Sequence[int], operations: int) -> Counted:
    """Of generators that ran at the same time. ``operations``: that one request is."""
    used = [share for share in shares if share]
    assert len(used) == len(reports), "one report for each wrk"
    latencies = merged(_measured(report, share) for report, share in zip(reports, used, strict=True))
    duration_s = max(report.duration_us for report in reports) / 1e6
    failed = sum(report.status + report.connect + report.read + report.write + report.timeout for report in reports)
    return Counted(
        duration_s=duration_s,
        completed=sum(report.requests - report.status for report in reports) * operations,
        failed=failed * operations,
        cpu_s=sum(report.cpu_s for report in reports),
        latencies=latencies,
    )


def _measured(report: Report, connections: int) -> Latencies:
    """Without wrk's correction, which goes by the mean time between two answers on one connection."""
    each = report.requests // connections
    return uncorrected(dict(report.latencies), report.duration_us // each if each else 0, report.requests)


async def _start(
    room: Path, address: str, connections: int, traffic: Traffic, duration_s: float
) -> tuple[asyncio.subprocess.Process, Path]:
    (room / "traffic").write_bytes(encode(traffic, address))
    duration = f"{max(1, round(duration_s))}s"  # it knows whole seconds only
    options = ["-t1", f"-c{connections}", f"-d{duration}", "--timeout", f"{TIMEOUT_S:g}s", "-s", str(SCRIPT)]
    process = await asyncio.create_subprocess_exec(
        find(),
        *options,
        f"http://{address}",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "DKV_BENCH_TRAFFIC": str(room / "traffic"), "DKV_BENCH_REPORT": str(room / "report")},
        preexec_fn=die_with_parent(os.getpid()),
    )
    return process, room


async def _finish(process: asyncio.subprocess.Process, room: Path) -> Report:
    _, errors = await process.communicate()
    try:
        return msgspec.json.decode((room / "report").read_bytes(), type=Report)
    except (FileNotFoundError, msgspec.DecodeError) as error:
        told = errors.decode(errors="replace").strip() or "nothing"
        raise HarnessError(f"wrk ended with {process.returncode} and left no report; it said: {told}") from error
