"""What the nodes of a contender use: processor time, memory, disk; read from the kernel before and after."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Cores:
    """How many processor cores were busy with the servers: all together, and with the busiest of them."""

    servers: float
    busiest: float


def cpu_s(pids: Mapping[str, int]) -> dict[str, float]:
    """Node → processor time of its process and of all that it started, so far."""
    return {name: _cpu_s(pid) for name, pid in pids.items()}


def _cpu_s(pid: int) -> float:
    try:
        process = psutil.Process(pid)
        times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    except psutil.NoSuchProcess:
        return 0.0
    return float(sum(time.user + time.system for time in times))


def cores(before: Mapping[str, float], after: Mapping[str, float], duration_s: float) -> Cores:
    """Between two readings of ``cpu_s``."""
    used = [(after[name] - before[name]) / duration_s for name in before]
    return Cores(sum(used), max(used))


def memory_bytes(pid: int) -> int:
    """Resident, with what is mapped from files: of etcd its database is a part."""
    return int(psutil.Process(pid).memory_info().rss)


def disk_bytes(paths: Iterable[Path]) -> int:
    """Blocks in use under these directories: files that were only reserved count by what they hold."""
    return sum(
        (Path(room) / name).lstat().st_blocks * 512
        for path in paths
        for room, _, names in os.walk(path)
        for name in names
    )


def written_bytes(pid: int) -> int:
    """What the process has had written to storage so far (proc(5), io: write_bytes)."""
    return int(psutil.Process(pid).io_counters().write_bytes)
