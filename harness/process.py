"""One node as a child process: started so that it cannot outlive its parent, its output going to files.

Signals go only to a child that was not yet reaped, so its process id cannot have been given to another process.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_NOT_FOR_NODES = frozenset({"DKV_JOIN", "DKV_FAULT_PORT", "DKV_GOSSIP_KEY", "DKV_GOSSIP_LABEL"})


def die_with_parent(parent_pid: int) -> Callable[[], None]:
    """A ``preexec_fn``: the kernel kills the child with SIGKILL when its parent ends, in whatever way.

    The kernel ties this to the parent's *thread* that forked: fork from a thread that lives as long as the process (the
    main one). Nothing here imports or allocates between fork and exec but the two calls.
    """
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    kill = int(signal.SIGKILL)

    def in_the_child() -> None:
        if prctl(_PR_SET_PDEATHSIG, kill, 0, 0, 0) != 0:
            os._exit(1)
        if os.getppid() != parent_pid:  # the parent died before the line above: nobody would tell us any more
            os._exit(1)

    return in_the_child


class Child:
    """A node's process, over all its lives in this supervisor. ``asked`` is the last thing done to it: why it ended."""

    def __init__(self, name: str, log: Path, out: Path, cwd: str) -> None:
        self.name = name
        self.ended = asyncio.Event()
        self.ended.set()
        self.asked = "nothing"
        self.exit_code: int | None = None
        self.log_start = self.log_end = 0
        """Bytes of the log between which the last life wrote; the end is known when it is over."""
        self._log, self._out, self._cwd = log, out, cwd
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the process is alive (paused counts as alive)."""
        return not self.ended.is_set()

    @property
    def pid(self) -> int | None:
        """The living process, else None."""
        return self._process.pid if self._process is not None and self.running else None

    def start(self, command: Sequence[str], on_end: Callable[[Child], None]) -> None:
        """Start the process; ``on_end`` is called on the running loop when it has ended. Must not be running.

        What decides who may found a cluster, join it or be broken is kept from its environment: only the roster does.
        """
        assert not self.running, f"{self.name} is running already: two processes on one data directory"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log, self._out.open("ab") as out:
            self.log_start = log.tell()
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                cwd=self._cwd,
                env={name: value for name, value in os.environ.items() if name not in _NOT_FOR_NODES},
                start_new_session=True,
                preexec_fn=die_with_parent(os.getpid()),
            )
        self.exit_code, self.asked = None, "start"
        self.ended.clear()
        self._watch(self._process, on_end)

    def _watch(self, process: subprocess.Popen[bytes], on_end: Callable[[Child], None]) -> None:
        loop, descriptor = asyncio.get_running_loop(), os.pidfd_open(process.pid)

        def reap() -> None:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            self.exit_code = process.wait()
            with suppress(OSError):  # somebody deleted it: the process must be reaped all the same
                self.log_end = self._log.stat().st_size
            self.ended.set()
            on_end(self)

        loop.add_reader(descriptor, reap)

    def signal(self, number: int) -> None:
        """Send a signal to the living process; nothing if it has ended."""
        if self._process is not None and self.running:
            self._process.send_signal(number)

    async def stop(self, grace_s: float) -> bool:
        """SIGTERM, and SIGKILL if it is still there after ``grace_s``. Whether it ended by itself."""
        self.asked = "stop"
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)  # a paused process would not see the SIGTERM
        try:
            await asyncio.wait_for(self.ended.wait(), grace_s)
            return True
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self.ended.wait()
            return False
