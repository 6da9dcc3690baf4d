"""One run: start, watch, torment, and what was seen."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dkv.gossip.wire.encryption import Keyring, key_as_text
from dkv.gossip.wire.particulars import Address
from tests.dkv.gossip.agents import Process, Serf, Watch, members_in, serf, until

NODES, AGENTS = ("n1", "n2", "n3", "n4", "n5"), ("s1", "s2", "s3")
WAIT_S = 120.0
PAUSE_S = 3.0


class Node(Process):
    """`dkv serve`."""

    def __init__(self, name: str, directory: Path, profile: str, key: Path | None, join: str | None) -> None:
        self.name = name
        here = [part for flag in ("rest", "gossip", "raft", "gossip-rpc") for part in (f"--{flag}", "127.0.0.1:0")]
        command = [sys.executable, "-m", "dkv", "serve", "--id", name, "--data-dir", str(directory / name), *here]
        command += ["--gossip-profile", profile, *(["--gossip-key", str(key)] if key else [])]
        super().__init__(*command, *(["--join", join] if join else []))
        self.told: dict[str, Any] = {}

    async def start(self) -> None:
        await super().start()
        await until(self._ready, f"{self.name} ready")

    def _ready(self) -> bool:
        for line in self.output.splitlines():
            if '"event": "ready"' in line:
                self.told = json.loads(line)
        assert self.running, self.output
        return bool(self.told)

    @property
    def rpc(self) -> Address:
        host, _, port = self.told["gossip_rpc"].rpartition(":")
        return Address(host, int(port))

    async def request(self, method: str, path: str) -> str:
        def ask() -> str:
            request = urllib.request.Request(f"http://{self.told['rest']}{path}", method=method)
            with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
                return str(answer.read().decode())

        return await asyncio.to_thread(ask)


class Run:
    """``wrong``: what should not have happened."""

    def __init__(self, directory: Path, keyring: Keyring | None, profile: str, seconds: float) -> None:
        self._directory, self._keyring, self._profile, self._seconds = directory, keyring, profile, seconds
        self.wrong: list[str] = []
        self._lines: list[str] = []
        self._members: dict[str, Node | Serf] = {}
        self._watches: dict[str, Watch] = {}

    def page(self, title: str) -> str:
        return f"# Interop run: {title}\n\n" + "\n".join(self._lines) + "\n"

    async def all(self) -> int:
        """How much was wrong."""
        try:
            await self._start()
            await self._stay()
            await self._talk()
            if self._keyring is not None:
                await self._rotate()
            await self._pause("n3")
            await self._go("n5", "left", self._dkv_leave)
            await self._go("s3", "left", self._serf_leave)
            await self._go("n4", "failed", self._kill)
            await self._go("s2", "failed", self._kill)
        except AssertionError as error:
            self._fault(f"gave up: {error}")
        finally:
            for process in (*self._watches.values(), *self._members.values()):
                await process.kill()
        return len(self.wrong)

    # --- scenes -------------------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        key = None
        if self._keyring is not None:
            key = self._directory / "gossip.key"
            key.write_text(key_as_text(self._keyring.primary) + "\n")
        began = time.monotonic()
        first = Node("n1", self._directory, self._profile, key, None)
        await self._add(first)
        others = [Node(name, self._directory, self._profile, key, first.told["gossip"]) for name in NODES[1:]]
        await asyncio.gather(*(self._add(node) for node in others))
        for name, node in zip(AGENTS, (first, *others), strict=False):
            host, _, port = node.told["gossip"].rpartition(":")
            options = (f"-profile={self._profile}",)
            await self._add(Serf(name, self._keyring, Address(host, int(port)), options))
        await self._until_all_see(dict.fromkeys((*NODES, *AGENTS), "alive"), self._members)
        self._say(f"All eight see all eight alive {time.monotonic() - began:.1f} s after the first was started.")
        for name, member in self._members.items():
            self._watches[name] = Watch("monitor", "-log-level=info", f"-rpc-addr={member.rpc.host}:{member.rpc.port}")
            await self._watches[name].start()
        await until(lambda: all(watch.output for watch in self._watches.values()), "monitors")

    async def _stay(self) -> None:
        began, looks = time.monotonic(), 0
        while time.monotonic() - began < self._seconds:
            for name in self._members:
                looks += 1
                odd = {each: status for each, status in (await self._view(name)).items() if status != "alive"}
                if odd:
                    self._fault(f"{name} saw {odd}")
            await asyncio.sleep(1.0)
        self._say(f"{looks} times within {self._seconds:.0f} s a member was asked, and saw eight alive.")
        self._check_failures({})
        for name in ("n1", "s1"):
            await self._show("members", at=name)
        figures = (await self._node("n1").request("GET", "/metrics")).splitlines()
        shown = [line for line in figures if line.startswith("dkv_gossip_")]
        self._say("Figures of n1:\n```\n" + "\n".join(shown) + "\n```")

    async def _talk(self) -> None:
        await self._show("event", "from-serf", "1", at="s1")
        await self._show("event", "from-dkv", "2", at="n2")
        for event in ("from-serf", "from-dkv"):
            heard = f'"{event}"'
            await until(lambda heard=heard: all(heard in watch.output for watch in self._watches.values()), event)
        self._say("All eight delivered both events.")
        await self._show("query", "load", at="s2")
        await self._show("reachability", at="n3")
        await self._show("info", at="n1")

    async def _rotate(self) -> None:
        assert self._keyring is not None
        old, new = key_as_text(self._keyring.primary), key_as_text(bytes(range(1, 17)))
        for words, at in (
            (("-install", new), "s1"),
            (("-use", new), "n2"),
            (("-remove", old), "s3"),
            (("-list",), "n4"),
        ):
            await self._show("keys", *words, at=at)

    async def _pause(self, name: str) -> None:
        process = self._members[name]
        process.signal(signal.SIGSTOP)
        await asyncio.sleep(PAUSE_S)
        process.signal(signal.SIGCONT)
        await self._until_all_see({name: "alive"}, self._members)
        await asyncio.sleep(PAUSE_S)
        self._check_failures({})
        self._say(f"{name} was paused for {PAUSE_S:.0f} s; nobody took it for failed.")

    async def _go(self, name: str, status: str, how: Callable[[str], Any]) -> None:
        others = {each: member for each, member in self._members.items() if each != name}
        before = self._failures()
        began = time.monotonic()
        await how(name)
        await self._until_all_see({name: status}, others)
        self._say(
            f"{name} ({how.__name__.strip('_')}): `{status}` at all others after {time.monotonic() - began:.1f} s."
        )
        await self._members.pop(name).kill()
        await self._watches.pop(name).kill()
        failed = [at for at, count in self._failures().items() if count > before[at]]
        if status == "left" and name in NODES and failed:
            self._fault(f"{name} left, and {failed} saw a failure before")
        elif status == "left" and failed:
            self._say(f"({', '.join(failed)} saw it fail first: an agent tells of its leaving too seldom.)")
        for at in ("n1", "s1"):
            await self._show("members", at=at)

    async def _dkv_leave(self, name: str) -> None:
        self._say(f"`POST /leave` at {name}: {(await self._node(name).request('POST', '/leave')).strip()}")

    async def _serf_leave(self, name: str) -> None:
        await self._show("leave", at=name)

    async def _kill(self, name: str) -> None:
        await self._members[name].kill()

    # --- what is seen -------------------------------------------------------------------------------------------------

    async def _add(self, member: Node | Serf) -> None:
        self._members[member.name] = member
        await member.start()

    def _node(self, name: str) -> Node:
        node = self._members[name]
        assert isinstance(node, Node), f"{name} is an agent"
        return node

    async def _view(self, name: str) -> dict[str, str]:
        told = members_in(await serf("members", "-format=json", rpc=self._members[name].rpc))
        return {each: status for each, (status, _) in told.items()}

    async def _until_all_see(self, statuses: dict[str, str], where: dict[str, Any]) -> None:
        deadline = time.monotonic() + WAIT_S
        for name in where:
            while not statuses.items() <= (view := await self._view(name)).items():
                assert time.monotonic() < deadline, f"{name} sees {view}, not {statuses}"
                await asyncio.sleep(0.2)

    def _failures(self) -> dict[str, int]:
        return {name: watch.output.count("EventMemberFailed") for name, watch in self._watches.items()}

    def _check_failures(self, expected: dict[str, int]) -> None:
        for name, count in self._failures().items():
            if count != expected.get(name, 0):
                self._fault(f"{name} logged {count} failures")

    async def _show(self, *words: str, at: str) -> None:
        printed = await serf(*words, rpc=self._members[at].rpc)
        self._say(f"`serf {' '.join(words)}` at {at}:\n```\n{printed.strip()}\n```")

    def _fault(self, text: str) -> None:
        self.wrong.append(text)
        self._say(f"**WRONG: {text}**")

    def _say(self, text: str) -> None:
        self._lines += [text, ""]
