"""Reading nodes' logs: the last lines, and those that follow."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import BinaryIO

from harness.rundir import RunDir

FOLLOW_POLL_S = 0.2
"""How late a new line is seen."""


def show(run_dir: RunDir, names: Sequence[str], count: int, emit: Callable[[str, str], None]) -> None:
    """``emit(name, line)`` for the last ``count`` lines of each log."""
    for name in names:
        for line in run_dir.log_tail(name, count):
            emit(name, line)


def follow(run_dir: RunDir, names: Sequence[str], emit: Callable[[str, str], None]) -> None:
    """``emit`` every line written from now on, until interrupted."""
    files = {name: _at_end(run_dir, name) for name in names}
    rest = dict.fromkeys(names, b"")
    try:
        while True:
            for name, file in files.items():
                *lines, rest[name] = (rest[name] + file.read()).split(b"\n")
                for line in lines:
                    emit(name, line.decode(errors="replace"))
            time.sleep(FOLLOW_POLL_S)
    finally:
        for file in files.values():
            file.close()


def _at_end(run_dir: RunDir, name: str) -> BinaryIO:
    file = run_dir.log(name).open("rb")
    file.seek(0, os.SEEK_END)
    return file
