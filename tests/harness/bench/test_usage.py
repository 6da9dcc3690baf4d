"""What the kernel tells of a process, on this one."""

from __future__ import annotations

import os
import time
from pathlib import Path

from harness.bench import usage


def test_a_busy_process_uses_its_time() -> None:
    pids = {"n1": os.getpid(), "n2": 2**22 + 1}
    before = usage.cpu_s(pids)
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    after = usage.cpu_s(pids)
    used = usage.cores(before, after, 0.1)
    assert used.servers >= 0.8, "counted in ticks of 10 ms"
    assert used.busiest == used.servers, "who is gone uses nothing"


def test_memory_and_disk_are_there(tmp_path: Path) -> None:
    assert usage.memory_bytes(os.getpid()) > 1 << 20
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(os.urandom(1 << 20))
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    assert 1 << 20 <= usage.disk_bytes([tmp_path]) < 1 << 22, "what is only reserved does not count"
    assert usage.written_bytes(os.getpid()) >= 0
