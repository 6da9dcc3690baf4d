"""The fake system's fault ports, which remember what they are told, its changes of members, and its gossip."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from typing import Any

from harness.errors import Refused
from tests.harness.fake_system import FakeNode, FakeSystem


class FakeSeams:
    """Fault ports: remember what they are told; only points do anything."""

    def __init__(self, system: FakeSystem) -> None:
        self.system = system
        self._looks = 0

    def _node(self, name: str) -> FakeNode:
        node = self.system.members.get(name)
        if node is None or node.process == "dead":
            raise Refused(f"{name} does not answer at its fault port")
        return node

    async def clock(self, name: str, state: Mapping[str, Any]) -> None:
        clocks = self._node(name).fault.setdefault("clock", {})
        for which in ("monotonic", "wall"):
            told = state.get(which, {})
            gained_s = clocks.get(which, {}).get("offset_s", 0.0) + told.get("jump_s", 0.0)
            clocks[which] = {"rate": told.get("rate", 1.0), "offset_s": gained_s}

    async def disk(self, name: str, state: Mapping[str, Any]) -> None:
        self._node(name).fault["disk"] = dict(state)
        if state.get("io_error"):
            self.system.die(self._node(name))

    async def points(self, name: str, kill_at: Mapping[str, int]) -> None:
        self._node(name).hits = 0
        self._node(name).fault["points"] = dict(kill_at)

    async def state(self, name: str) -> Mapping[str, Any]:
        links: dict[str, Any] = {}
        for (source, target), shape in self.system.shapes.items():
            if source == name:
                links[target] = {"send": {"delay_s": shape.delay_s}}
        self._looks += 1
        effects = {peer: {"send late": self._looks} for peer in links}
        return {"links": links, "effects": effects, **self._node(name).fault}

    async def heal(self, name: str) -> None:
        self._node(name).fault.clear()


class FakeMembers:
    """Changes take a moment, and need a leader."""

    def __init__(self, system: FakeSystem) -> None:
        self.system = system
        self.names = itertools.count(len(system.members) + 1)

    async def add(self) -> str:
        await self._led()
        name = f"n{next(self.names)}"
        self.system.members[name] = FakeNode(name)
        return name

    async def remove(self, name: str) -> None:
        await self._led()
        self.system.members.pop(name, None)

    async def leave(self, name: str) -> None:
        if "unheard leave" in self.system.bugs:
            self.system.depart(name)
            raise Refused(f"{name} cannot be reached")
        await self.remove(name)

    async def ask_removal(self, at: str, name: str) -> None:
        self.system.told.append(f"{at} remove {name}")
        await asyncio.sleep(0.5)

    async def transfer(self, name: str | None) -> None:
        await self._led()
        if "stuck" in self.system.bugs:
            self.system.stuck = True
        followers = [other for other in self.system.nodes if self.system._supported(other)]
        target = name if name in followers else followers[0]
        old = self.system.members[self.system.leader or target]
        term = 1 + max(node.term for node in self.system.members.values())
        old.leads = 0
        self.system.leader = target
        self.system.members[target].leads = self.system.members[target].term = term

    async def _led(self) -> None:
        await asyncio.sleep(0.2)
        self.system.turn()
        if self.system.leader is None:
            raise Refused("no leader is known just now")


class FakeGossip:
    """Everybody knows everything, as it is."""

    def __init__(self, system: FakeSystem) -> None:
        self.system = system

    async def views(self) -> Mapping[str, Mapping[str, str]]:
        running = [name for name, node in self.system.members.items() if node.process == "running"]
        views = {seer: dict.fromkeys(running, "alive") for seer in running}
        if "grudge" in self.system.bugs:
            views["n1"]["n2"] = "failed"
        return views
