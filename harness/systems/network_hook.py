"""The network as the nodes themselves break it: by the hook in each node's transport, told over its fault port.

Works on any machine, and shapes what the kernel here cannot. It drops or holds *messages*: nothing is left half-sent,
and a one-way cut is exactly one way. A node that was restarted knows of nothing until the whole is told again (``cut``
and ``shape`` always tell everybody everything); meanwhile the other ends still keep what is cut silent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from harness.systems.base import Link, Shape
from harness.systems.fault_port import FaultPorts
from harness.systems.links import documents


class HookNetwork:
    """See ``base.Network``. ``nodes``: who is a member now. ``untold``: who did not take the last word, and why."""

    name = "hook"

    def __init__(self, ports: FaultPorts, nodes: Callable[[], Sequence[str]]) -> None:
        self._ports, self._nodes = ports, nodes
        self._cuts: frozenset[Link] = frozenset()
        self._shapes: Mapping[Link, Shape] = {}
        self._lock = asyncio.Lock()
        self.untold: Mapping[str, str] = {}

    async def cut(self, links: Sequence[Link]) -> None:
        """See ``base.Network``. Nodes that do not run are passed over: a new process is told by the next call."""
        self._cuts = frozenset(links)
        await self._tell()

    async def shape(self, shapes: Mapping[Link, Shape]) -> None:
        """See ``base.Network``; passes over nodes as ``cut`` does."""
        self._shapes = dict(shapes)
        await self._tell()

    async def heal(self) -> None:
        """See ``base.Network``."""
        self._cuts, self._shapes = frozenset(), {}
        await self._tell()

    async def passes(self, links: Sequence[Link]) -> Mapping[Link, bool | None]:
        """As the two ends tell it; None where neither answers."""
        states = await self._ports.states({name for link in links for name in link})

        def is_cut(node: str, direction: str, peer: str) -> bool:
            links_told = states.get(node, {}).get("links", {})
            return bool(links_told.get(peer, {}).get(direction, {}).get("cut"))

        return {
            (a, b): not (is_cut(a, "send", b) or is_cut(b, "receive", a)) if {a, b} & states.keys() else None
            for a, b in links
        }

    async def _tell(self) -> None:
        async with self._lock:  # a later word must not overtake an earlier one
            nodes = tuple(self._nodes())
            self.untold = await self._ports.each(nodes, documents(nodes, self._cuts, self._shapes))
