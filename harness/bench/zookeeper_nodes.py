"""ZooKeeper as a contender, over its own protocol: Debian's ``libzookeeper-java`` and any Java."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from harness.bench import filling, zookeeper_load
from harness.bench.contenders import STATUS_S, Contender, Standing
from harness.bench.dialects import NONE
from harness.bench.loads import Counted
from harness.bench.measurements import Cell
from harness.bench.traffic import Traffic, Values, key
from harness.bench.zookeeper_node import ARCHIVE
from harness.bench.zookeeper_wire import (
    NODE_EXISTS,
    OK,
    Replies,
    ZooKeeperDialect,
    close,
    connect,
    create,
    creations,
    mode,
)
from harness.errors import HarnessError, Refused
from harness.startup import PROBE_KEY

TERMINATED = 128 + 15
SESSION_MS = 10_000
FILL_SESSIONS = 16
FILL_S = 600.0
"""For one portion: a busy machine has taken a tenth of it."""
PORTION = 100_000
"""Keys that are loaded at once: a hundred bytes each, sent to the generator's process."""


class ZooKeeperNodes(Contender):
    """See ``Contender``."""

    name: ClassVar[str] = "zookeeper"
    durability: ClassVar[str] = "fsync on a majority of disks before the answer (forceSync, its default)"
    two_peer_ports: ClassVar[bool] = True
    batch_max: ClassVar[int] = 100
    dialect = ZooKeeperDialect()

    def __init__(self, path: Path, count: int, port_offset: int = 0) -> None:
        self.find()
        self._created = 0
        """So many of the keys are there."""
        super().__init__(path, count, (sys.executable, "-m", "harness.bench.zookeeper_node"), java_sign, port_offset)

    @staticmethod
    def find() -> None:
        """Raises Refused where it is not."""
        if shutil.which("java") is None:
            raise Refused("no program java on PATH: Debian has one in default-jre-headless")
        if not Path(ARCHIVE).exists():
            raise Refused(f"no {ARCHIVE}: Debian has it in libzookeeper-java")

    def version(self) -> str:
        """``ZooKeeper 3.8.0``, by the name that Debian gives its archive."""
        archive = Path(ARCHIVE)
        names = (path.stem for path in archive.parent.glob("zookeeper-[0-9]*.jar") if path.samefile(archive))
        return f"ZooKeeper {next(names, archive.stem).removeprefix('zookeeper-')}"

    def standing(self, address: str) -> Standing | None:
        """By the four letters ``srvr``."""
        try:
            told = _four_letters(address, b"srvr")
        except OSError:
            return None
        found = mode(told)
        return None if found is None else Standing(*found)

    def acknowledges(self, address: str, timeout_s: float = STATUS_S) -> bool:
        """A session, which is a transaction, and a write in it."""
        try:
            return _ask(address, create(PROBE_KEY, "serving"), timeout_s) in (OK, NODE_EXISTS)
        except (OSError, ValueError):
            return False

    def holds(self, address: str, key: str) -> bool:
        """By a session of this server."""
        try:
            return _ask(address, self.dialect.get(key, NONE).body, STATUS_S) == OK
        except (OSError, ValueError):
            return False

    def crashes(self) -> Sequence[str]:
        """Java ends with this code by a SIGTERM that it was sent."""
        return [sentence for sentence in super().crashes() if f"exit code {TERMINATED} when" not in sentence]

    def generator(self, cell: Cell) -> str:
        """Ours."""
        return zookeeper_load.NAME

    async def load(self, cell: Cell, traffic: Traffic, addresses: Sequence[str], duration_s: float) -> Counted:
        """A closed loop of sessions."""
        return await zookeeper_load.load(addresses, cell.connections, traffic, duration_s)

    async def fill(self, keys: int, values: Values) -> None:
        """Nodes must be created before they can be set: those that an earlier call made are there."""
        leader = await self.wait_settled()
        most = max(1, min(self.batch_max, filling.BATCH_BYTES_MAX // (values.size_bytes + 1)))
        for start in range(0, keys, PORTION):
            pairs = [(name, values.of(name)) for name in map(key, range(start, min(start + PORTION, keys)))]
            there = max(0, self._created - start)
            requests = [self.dialect.batch(chunk) for chunk in _chunks(pairs[:there], most)]
            requests += [creations(chunk) for chunk in _chunks(pairs[there:], most)]
            load = Traffic(tuple(requests), tuple(range(len(requests))))
            counted = await zookeeper_load.load([self.address(leader.name)], FILL_SESSIONS, load, FILL_S, once=True)
            if counted.failed or counted.latencies.total != len(requests):
                raise HarnessError(f"ZooKeeper refused {counted.failed} keys of {len(pairs)} that were loaded")
        self._created = max(self._created, keys)


def _chunks(pairs: Sequence[tuple[str, str]], most: int) -> Iterator[Sequence[tuple[str, str]]]:
    return (pairs[start : start + most] for start in range(0, len(pairs), most))


def java_sign(line: str) -> str | None:
    """What a bad line looks like: the machine itself, or a server that gave up."""
    marks = ("OutOfMemoryError", "Unexpected exception, exiting abnormally", "fatal error has been detected")
    return line.strip() if any(mark in line for mark in marks) else None


def _connection(address: str, timeout_s: float) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=timeout_s)


def _four_letters(address: str, letters: bytes) -> str:
    with _connection(address, STATUS_S) as link:
        link.sendall(letters)
        parts = []
        while part := link.recv(4_096):
            parts.append(part)
    return b"".join(parts).decode(errors="replace")


def _ask(address: str, request: bytes, timeout_s: float) -> int:
    """One request in a session of its own → its error. Raises OSError, ValueError."""
    replies, told = Replies(), list[tuple[int, int]]()
    with _connection(address, timeout_s) as link:
        link.sendall(connect(SESSION_MS) + request + close())
        while len(told) < 2:
            part = link.recv(4_096)
            if not part:
                raise ConnectionResetError("the server closed the connection")
            told += replies.feed(part)
    return told[1][0]
