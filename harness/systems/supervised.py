"""What systems of real processes have in common: a supervisor is their parent, and verbs ask it.

Every call that waits does so in a thread, since the harness's verbs are blocking ones. Law: ``_launch`` is called in
the thread that outlives the system, because the kernel ends the supervisor, and so every node, with that thread.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

from harness import startup
from harness.control import ANSWER_S, ask
from harness.errors import HarnessError, Refused
from harness.observe import is_paused
from harness.roster import Roster
from harness.rundir import RunDir
from harness.systems import crashes
from harness.systems.crashes import Armed, Sign

GRACE_S = 10.0
"""Before a node that was asked to stop is killed."""
END_GRACE_S = 2.0
"""The same at the end of a run, when nobody needs it any more."""
STILL_S, POLL_S = 2.0, 0.01
"""For a process to stand still: longest wait, and how often one looks."""
LOG_BYTES_MAX = 256 << 20
"""Of a node's log that is searched for crashes; a run of an hour writes some megabytes."""


class Supervised:
    """Nodes under ``run_dir``, which must be a new one. ``sign``: what a bad line looks like in their logs."""

    def __init__(self, run_dir: RunDir, sign: Sign) -> None:
        self.run_dir = run_dir
        self._sign = sign
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._facts: dict[str, dict[str, Any]] = {}
        self._armed: list[Armed] = []

    @property
    def nodes(self) -> tuple[str, ...]:
        """Present members, alive or not."""
        return tuple(self._facts)

    async def stop(self) -> None:
        """End every process that was started; never raises for one that is gone already."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            await asyncio.to_thread(self._end, supervisor)

    async def kill(self, names: Sequence[str]) -> None:
        """SIGKILL, all at once; returns when they are gone."""
        await self._signal(names, signal.SIGKILL)

    async def terminate(self, names: Sequence[str]) -> None:
        """SIGTERM, as an operator would; SIGKILL after a grace."""
        await self._ask("stop", GRACE_S + ANSWER_S, names=list(names), grace_s=GRACE_S)

    async def launch(self, names: Sequence[str]) -> None:
        """Start those that do not run, from their data; returns at once."""
        await self._ask("start", names=list(names))

    async def pause(self, names: Sequence[str]) -> None:
        """SIGSTOP; returns when they stand still, which one in the middle of an fsync does a little later."""
        await self._signal(names, signal.SIGSTOP)
        deadline = time.monotonic() + STILL_S
        while time.monotonic() < deadline:
            processes = await self._processes()
            if all(processes[name][1] != "running" for name in names if name in processes):
                return
            await asyncio.sleep(POLL_S)

    async def resume(self, names: Sequence[str]) -> None:
        """SIGCONT."""
        await self._signal(names, signal.SIGCONT)

    def arm(self, name: str, by: str) -> None:
        """From now on this life of the node may end by itself: a fault (``by``: points, disk) will have done it."""
        log = self.run_dir.log(name)
        self._armed.append(Armed(name, log.stat().st_size if log.exists() else 0, by))

    def crashes(self) -> Sequence[str]:
        """A sentence for every node that ended by itself or wrote an assertion, panic or traceback into its log."""
        log = self.run_dir.supervisor_log
        over = crashes.lives(log.read_text(errors="replace")) if log.exists() else []
        names = {*self.nodes, *(life.node for life in over)}
        logs = {name: self._log(name) for name in names}
        return [
            sentence
            for life in crashes.with_the_living(over, sorted(names))
            for sentence in crashes.sentences(life, logs[life.node], self._armed, self._sign)
        ]

    def _log(self, name: str) -> bytes:
        try:
            with self.run_dir.log(name).open("rb") as file:
                return file.read(LOG_BYTES_MAX)
        except FileNotFoundError:
            return b""

    def _fresh(self) -> None:
        if self.run_dir.load() is not None:
            raise Refused(f"{self.run_dir.path} holds a cluster already: a run begins with nothing")

    def _launch(self, roster: Roster) -> None:
        """Save the roster and start its supervisor, which dies with this thread."""
        self.run_dir.save(roster)
        self._supervisor = startup.launch(self.run_dir, attached=True)

    async def _serving(self, wait: Callable[[subprocess.Popen[bytes]], None]) -> None:
        """``wait`` until it serves; else nothing is left running."""
        assert self._supervisor is not None, "launched before it is waited for"
        try:
            await asyncio.to_thread(wait, self._supervisor)
            await self._refresh()
        except (HarnessError, asyncio.CancelledError):
            await self.stop()
            raise

    async def _refresh(self) -> list[dict[str, Any]]:
        """What the supervisor knows of each node. Raises Refused if it is gone."""
        facts: list[dict[str, Any]] = (await self._ask("state"))["nodes"]
        self._facts = {node["name"]: node for node in facts}
        return facts

    async def _processes(self) -> dict[str, tuple[dict[str, Any], str]]:
        """Node → its facts, and whether it is running, paused or dead."""
        try:
            facts = await self._refresh()
        except HarnessError:
            return {name: (node, "dead") for name, node in self._facts.items()}
        return {node["name"]: (node, _process(node)) for node in facts}

    async def _signal(self, names: Sequence[str], number: int) -> None:
        await self._ask("signal", ANSWER_S + GRACE_S, names=list(names), signal=int(number))

    async def _ask(self, verb: str, timeout_s: float = ANSWER_S, **arguments: Any) -> dict[str, Any]:
        return await asyncio.to_thread(ask, self.run_dir, verb, timeout_s, **arguments)

    def _end(self, supervisor: subprocess.Popen[bytes]) -> None:
        try:
            ask(self.run_dir, "down", END_GRACE_S + ANSWER_S, grace_s=END_GRACE_S)
        except HarnessError:
            pass  # it is gone, or stuck: what follows ends it in either case
        startup.give_up(supervisor, END_GRACE_S)


def _process(node: dict[str, Any]) -> str:
    if not node["running"]:
        return "dead"
    return "paused" if is_paused(node["pid"]) else "running"
