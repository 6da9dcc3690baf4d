"""Members for tests of the whole agent: ours in this process or in one of their own, and HashiCorp's `serf`."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dkv.clock import Clock, MonotonicClock
from dkv.faults.links import LinkFaults
from dkv.gossip.agent.agent import Agent
from dkv.gossip.agent.options import Options
from dkv.gossip.memberlist.profiles import LOCAL, Profile
from dkv.gossip.wire.encryption import Keyring, key_as_text, key_from_text
from dkv.gossip.wire.internal_queries import Status
from dkv.gossip.wire.particulars import Address

SERF = shutil.which("serf")
needs_serf = [
    pytest.mark.slow,
    pytest.mark.skipif(SERF is None, reason="no `serf` on this machine (Debian: apt-get install serf)"),
]

DEADLINE_S = 60.0
"""Of every wait: generous, the machine may be busy."""

QUICK = Profile(
    stream_timeout_s=5.0,
    probe_interval_s=0.2,
    probe_timeout_s=0.1,
    indirect_checks=1,
    suspicion_mult=3,
    suspicion_max_timeout_mult=2,
    gossip_interval_s=0.02,
    gossip_nodes=3,
    retransmit_mult=3,
    gossip_to_the_dead_s=15.0,
    push_pull_interval_s=1.0,
)
"""Among ourselves alone."""

LOOPBACK = Address("127.0.0.1", 0)


async def until(happened: Callable[[], Any], what: str = "") -> None:
    """Looks again and again."""
    deadline = time.monotonic() + DEADLINE_S
    while not happened():
        assert time.monotonic() < deadline, f"in vain: {what}"
        await asyncio.sleep(0.01)


class Ours:
    """An agent of ours and what the node hears of it. ``history``: each view of the members that was told."""

    def __init__(
        self,
        name: str,
        directory: Path,
        group: asyncio.TaskGroup,
        *,
        join: tuple[Address, ...] = (),
        keyring: Keyring | None = None,
        profile: Profile = LOCAL,
        address: Address = LOOPBACK,
        tags: Mapping[str, str] | None = None,
        faults: LinkFaults | None = None,
        clock: Clock | None = None,
        label: bytes = b"",
        **more: Any,
    ) -> None:
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.name, self.changes, self.departed, self.name_lost = name, 0, False, False
        self.statuses: dict[str, list[Status]] = {}
        self.agent = Agent(
            name,
            Options(
                address=address,
                directory=directory,
                profile=profile,
                label=label,
                keyring=keyring,
                rpc=LOOPBACK,
                join=join,
                **more,
            ),
            tags={"role": "dkv", "id": f"{name}.0123abcd"} if tags is None else tags,
            clock=clock if clock is not None else MonotonicClock(),
            wall_s=time.time,
            rng=random.Random(),
            spawn=group.create_task,
            on_change=self._change,
            on_departed=lambda: setattr(self, "departed", True),
            on_name_lost=lambda: setattr(self, "name_lost", True),
            faults=faults,
            version="test",
        )

    def _change(self) -> None:
        self.changes += 1
        for name, status in self.view().items():
            seen = self.statuses.setdefault(name, [])
            if not seen or seen[-1] is not status:
                seen.append(status)

    @property
    def rpc(self) -> Address:
        assert self.agent.rpc_address is not None
        return self.agent.rpc_address

    def view(self) -> dict[str, Status]:
        return {member.name: member.status for member in self.agent.members()}

    def sees(self, **statuses: Status) -> bool:
        """Exactly these."""
        return self.view() == statuses

    def tags(self, name: str) -> Mapping[str, str]:
        return next(member.tags for member in self.agent.members() if member.name == name)


class World:
    """Everything of one test, ended with it."""

    def __init__(self, directory: Path, group: asyncio.TaskGroup) -> None:
        self.directory, self.group = directory, group
        self._ours: list[Ours] = []
        self._processes: list[Process] = []

    async def ours(self, name: str, directory: Path | None = None, **options: Any) -> Ours:
        directory = directory or self.directory / name
        if any(each.agent.address != options.get("address") and each.directory == directory for each in self._ours):
            directory = directory.with_name(f"{name}-{len(self._ours)}")
        ours = Ours(name, directory, self.group, **options)
        self._ours.append(ours)
        await ours.agent.start()
        return ours

    async def serf(self, name: str, *options: str, keyring: Keyring | None = None, join: Address | None = None) -> Serf:
        serf = Serf(name, keyring, join, options)
        self._processes.append(serf)
        await serf.start()
        return serf

    async def child(self, name: str, join: Address, keyring: Keyring | None = None) -> Child:
        child = Child(name, self.directory / name, join, keyring)
        self._processes.append(child)
        await child.start()
        return child

    async def watch(self, rpc: Address) -> Watch:
        """`serf monitor`, which has told that it listens."""
        watch = Watch("monitor", "-log-level=debug", f"-rpc-addr={rpc.host}:{rpc.port}")
        self._processes.append(watch)
        await watch.start()
        await until(lambda: watch.output, "the monitor's first line")
        return watch

    async def end(self) -> None:
        for process in self._processes:
            await process.kill()
        for ours in self._ours:
            await ours.agent.stop()


@asynccontextmanager
async def world(directory: Path) -> AsyncIterator[World]:
    async with asyncio.TaskGroup() as group:
        made = World(directory, group)
        try:
            yield made
        finally:
            await made.end()


class Process:
    """Its output is kept."""

    def __init__(self, *command: str) -> None:
        self._command = command
        self.output = ""
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while data := await self._process.stdout.read(65_536):
            self.output += data.decode()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def kill(self) -> None:
        if self.running:
            self.signal(signal.SIGKILL)
        await self.wait()

    async def wait(self) -> int:
        if self._process is None:
            return 0
        async with asyncio.timeout(DEADLINE_S):
            code = await self._process.wait()
            if self._reading is not None:
                await self._reading
        return code


async def serf(*words: str, rpc: Address) -> str:
    """What a `serf` command prints."""
    assert SERF is not None
    process = Process(SERF, words[0], f"-rpc-addr={rpc.host}:{rpc.port}", *words[1:])
    await process.start()
    await process.wait()
    return process.output


class Watch(Process):
    """A `serf` command that goes on."""

    def __init__(self, *words: str) -> None:
        assert SERF is not None
        super().__init__(SERF, *words)


class Serf(Process):
    """A `serf agent`."""

    def __init__(self, name: str, keyring: Keyring | None, join: Address | None, options: tuple[str, ...]) -> None:
        assert SERF is not None
        self.name, self.address, self.rpc = name, free_address(), free_address()
        bind, rpc = (f"{address.host}:{address.port}" for address in (self.address, self.rpc))
        command = [
            SERF,
            "agent",
            f"-node={name}",
            f"-bind={bind}",
            f"-rpc-addr={rpc}",
            "-profile=local",
            "-tag=kind=serf",
        ]
        command += [f"-encrypt={key_as_text(keyring.primary)}"] if keyring else []
        command += [f"-join={join.host}:{join.port}"] if join else []
        super().__init__(*command, *options)

    async def start(self) -> None:
        await super().start()
        await until(lambda: "Serf agent running!" in self.output or not self.running, "serf agent's start")

    async def command(self, *words: str) -> str:
        return await serf(*words, rpc=self.rpc)

    async def members(self) -> dict[str, tuple[str, dict[str, str]]]:
        """Name → status and tags."""
        return members_in(await self.command("members", "-format=json"))

    async def view(self) -> dict[str, str]:
        return {name: status for name, (status, _) in (await self.members()).items()}


def members_in(text: str) -> dict[str, tuple[str, dict[str, str]]]:
    """Of `serf members -format=json`."""
    told = json.loads(text)["members"] or []
    return {member["name"]: (member["status"], member["tags"] or {}) for member in told}


async def until_told(ask: Callable[[], Any], expected: Any) -> None:
    """Asks (a coroutine) until the answer is as expected."""
    deadline = time.monotonic() + DEADLINE_S
    while (told := await ask()) != expected:
        assert time.monotonic() < deadline, f"told {told}, never {expected}"
        await asyncio.sleep(0.1)


class Child(Process):
    """An agent of ours in a process of its own, with the local profile; its first line of output is its address."""

    def __init__(self, name: str, directory: Path, join: Address, keyring: Keyring | None) -> None:
        key = key_as_text(keyring.primary) if keyring else ""
        super().__init__(
            sys.executable, "-m", "tests.dkv.gossip.agents", name, str(directory), f"{join.host}:{join.port}", key
        )

    async def start(self) -> None:
        await super().start()
        await until(lambda: "\n" in self.output, "the child's start")


def free_address() -> Address:
    """A port that nobody has at the moment, for a process that cannot choose one itself."""
    with socket.socket() as taken, socket.socket(type=socket.SOCK_DGRAM) as beside:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        try:
            beside.bind(("127.0.0.1", port))
        except OSError:
            return free_address()
        return Address("127.0.0.1", port)


async def _live(name: str, directory: str, join: str, key: str) -> None:
    async with asyncio.TaskGroup() as group:
        host, _, port = join.rpartition(":")
        keyring = Keyring(key_from_text(key)) if key else None
        ours = Ours(name, Path(directory), group, join=(Address(host, int(port)),), keyring=keyring)
        await ours.agent.start()
        print(ours.agent.address, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_live(*sys.argv[1:]))
