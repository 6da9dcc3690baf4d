"""The nodes' fault ports, as whoever breaks them uses them: clock, disk, points, links of each node by its name.

A node forgets what it was told when its process ends. Law: what may make a node end by itself is noted before it is
told, so that its end is not taken for a crash (``harness.systems.crashes``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from harness.errors import Refused, Undecided
from harness.exchange import Reply, Unanswered, exchange

FAULT_S = 1.0
"""For a node to take a word at its fault port: it does nothing but remember it. A paused one takes it when it wakes."""

Call = Callable[[], Reply]
Within = Callable[[str, Call], Reply]
"""(node, call) → the call's reply, called where the node's loopback address is."""


def _here(_: str, call: Call) -> Reply:
    return call()


class Arm(Protocol):
    """Is told that this node may end by itself from now on; ``by``: points or disk."""

    def __call__(self, name: str, by: str, /) -> None: ...


def _nobody(_: str, __: str) -> None:
    return None


class FaultPorts:
    """``address``: node → ``host:port``; KeyError or "" where there is none. Every call raises Refused or Undecided."""

    def __init__(self, address: Callable[[str], str], within: Within = _here, arm: Arm = _nobody) -> None:
        self._address, self._within, self._arm = address, within, arm

    async def state(self, name: str) -> dict[str, Any]:
        """What it was told, and ``hits`` of its points."""
        body: dict[str, Any] = (await self._ask(name, "GET", "/faults")).body
        return body

    async def links(self, name: str, state: Mapping[str, Any]) -> None:
        """Its ends of links, all of them: ``harness.systems.links.documents``."""
        await self._ask(name, "PUT", "/faults/links", state)

    async def clock(self, name: str, state: Mapping[str, Any]) -> None:
        """``{"monotonic": {"jump_s", "rate"}, "wall": …}``."""
        await self._ask(name, "PUT", "/faults/clock", state)

    async def disk(self, name: str, state: Mapping[str, Any]) -> None:
        """``{"full", "io_error", "fsync_delay_s", "volatile", "torn"}``."""
        if state.get("io_error"):  # a full disk ends nobody: the node waits for room
            self._arm(name, "disk")
        await self._ask(name, "PUT", "/faults/disk", state)

    async def points(self, name: str, kill_at: Mapping[str, int]) -> None:
        """SIGKILL itself at the k-th hit from now of a point."""
        if kill_at:
            self._arm(name, "points")
        await self._ask(name, "PUT", "/faults/points", {point: {"kill_at": k} for point, k in kill_at.items()})

    async def heal(self, name: str) -> None:
        """Everything."""
        await self._ask(name, "DELETE", "/faults")

    async def each(self, names: Iterable[str], told: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        """``links`` to each of ``names`` at the same time. Returns those that did not take it, and why."""
        wanted = list(names)
        results = await asyncio.gather(*(self.links(name, told[name]) for name in wanted), return_exceptions=True)
        return _failures(dict(zip(wanted, results, strict=True)))

    async def states(self, names: Iterable[str]) -> dict[str, dict[str, Any]]:
        """``state`` of each that answers."""
        wanted = list(names)
        results = await asyncio.gather(*map(self.state, wanted), return_exceptions=True)
        _failures(answers := dict(zip(wanted, results, strict=True)))
        return {name: answer for name, answer in answers.items() if not isinstance(answer, BaseException)}

    async def _ask(self, name: str, method: str, path: str, body: Any = None) -> Reply:
        address = self._address(name)
        if not address:
            raise Refused(f"{name} has no fault port: it was started without one (`up --no-fault-port`)")

        def call() -> Reply:
            return exchange(address, method, path, body, timeout_s=FAULT_S)

        try:
            reply = await asyncio.to_thread(self._within, name, call)
        except Unanswered as error:
            kind = Undecided if error.sent else Refused
            raise kind(f"{name} does not answer at its fault port ({error})") from error
        if reply.status >= 300:
            raise Refused(f"{name} refused {method} {path} at its fault port: {reply.error}")
        return reply


def _failures(results: Mapping[str, Any]) -> dict[str, str]:
    """Node → why not; whatever is no word of a node's goes on as an exception."""
    failures: dict[str, str] = {}
    for name, result in results.items():
        if isinstance(result, Refused | Undecided):
            failures[name] = str(result)
        elif isinstance(result, BaseException):
            raise result
    return failures
