"""A contender: N nodes of one system on loopback with its durable defaults, and what a benchmark does to them.

All contenders of a stage are up at once, and those whose turn it is not are stopped by SIGSTOP: idle clusters cost
processor time (three nodes at rest, measured: dkv 0.06 cores, etcd 0.04, PySyncObj 0.02, ZooKeeper 0.01; more while
they tidy up after a load) that would be taken from whoever is measured. One that goes on may elect anew, so
``wait_settled`` waits until one leader has been followed by all for a while and has acknowledged a write.
"""

from __future__ import annotations

import asyncio
import subprocess
import threading
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import psutil

from harness import ports, roster, startup
from harness.bench.dialects import Dialect
from harness.bench.loads import Counted
from harness.bench.measurements import Cell
from harness.bench.traffic import Traffic, Values
from harness.control import ask
from harness.errors import NodeDied, Refused, Undecided
from harness.rundir import RunDir
from harness.systems.crashes import Sign
from harness.systems.supervised import Supervised

SERVE_S = 60.0
"""For the first write of a new cluster."""
SETTLE_S = 30.0
"""For a leader that everybody follows, after nodes were let go on or started again."""
STEADY_S = 0.3
"""So long nothing must change before a cluster counts as settled: some heartbeats of every system."""
POLL_S = 0.02
ATTEMPT_S = 0.25
"""Before an attempt to write is given up, where what matters is when one is first acknowledged."""
STATUS_S = 1.0
"""A node that runs answers within milliseconds."""
LOG_LINES = 20


class Unmeasurable(Refused):
    """This load makes no sense on this contender, which is as well as before."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a node says of itself. ``term``: or epoch, whatever the system counts its leaders by."""

    leads: bool
    term: int


@dataclass(frozen=True, slots=True)
class Leader:
    """Who leads, and since which election."""

    name: str
    term: int


class Contender(Supervised):
    """``count`` nodes under ``path``, which must be empty.

    ``durability``: what an acknowledged write survives.
    """

    name: ClassVar[str]
    durability: ClassVar[str]
    dialect: Dialect
    two_peer_ports: ClassVar[bool] = False
    """Whether a node needs another port for its peers: it gets the one that is a fault port's elsewhere."""
    batch_max: ClassVar[int]
    """Most sets in one request, where many keys are loaded."""

    def __init__(self, path: Path, count: int, command: tuple[str, ...], sign: Sign, port_offset: int = 0) -> None:
        super().__init__(RunDir(path), sign)
        self.count = count
        self.first_write_s = 0.0
        """From the start of the supervisor to the first acknowledged write."""
        self._command, self._port_offset = command, port_offset
        self._began = 0.0

    # ---- what each system has its own way of

    @abstractmethod
    def version(self) -> str:
        """By the program's own word."""

    @abstractmethod
    def standing(self, address: str) -> Standing | None:
        """Of the node there, now; None if it does not say, or neither leads nor follows. Blocks for a moment."""

    @abstractmethod
    def acknowledges(self, address: str, timeout_s: float = STATUS_S) -> bool:
        """Whether a write that is sent to this node is acknowledged. Blocks for so long at most."""

    @abstractmethod
    def holds(self, address: str, key: str) -> bool:
        """Whether the node has the key in its own state, by a read of level none. Blocks for STATUS_S at most."""

    @abstractmethod
    async def load(self, cell: Cell, traffic: Traffic, addresses: Sequence[str], duration_s: float) -> Counted:
        """The cell's load on these nodes. Raises HarnessError."""

    @abstractmethod
    async def fill(self, keys: int, values: Values) -> None:
        """Give the first ``keys`` keys (``traffic.key``) their values. Raises HarnessError."""

    @abstractmethod
    def generator(self, cell: Cell) -> str:
        """What makes this cell's load."""

    # ---- processes

    async def start(self) -> None:
        """From nothing to a write that was acknowledged through every node. Raises HarnessError."""
        self._fresh()
        offset = ports.choose_offset(
            range(1, self.count + 1), ports.is_free, ports.is_claimed, first_offset=self._port_offset
        )
        nodes = roster.new_roster(self.count, offset, self._command, system=self.name, fault_ports=self.two_peer_ports)
        self._began = time.monotonic()
        self._launch(replace(nodes, founded=True))  # all at once: none of these waits for a founder
        await self._serving(self._wait_serving)

    def _wait_serving(self, supervisor: subprocess.Popen[bytes]) -> None:
        """All nodes are tried beside each other: one that holds an attempt back must not hide who would answer."""
        deadline = time.monotonic() + SERVE_S
        startup.wait_supervisor(self.run_dir, supervisor, deadline)
        addresses = [node["rest"] for node in ask(self.run_dir, "state")["nodes"]]
        over = threading.Event()
        with ThreadPoolExecutor(len(addresses)) as pool:
            attempts = [pool.submit(self._acknowledged, address, over) for address in addresses]
            try:
                while wait(attempts, POLL_S).not_done:
                    self._raise_if_dead()
                    if time.monotonic() > deadline:
                        raise Undecided(f"{self.name}: not every node acknowledged a write within {SERVE_S:g} s")
            finally:
                over.set()
        self.first_write_s = min(attempt.result() for attempt in attempts) - self._began

    def _acknowledged(self, address: str, over: threading.Event) -> float:
        """When the node first acknowledged a write, or the time when nobody waited for that any more."""
        while not self.acknowledges(address, ATTEMPT_S) and not over.wait(POLL_S):
            pass
        return time.monotonic()

    def _raise_if_dead(self) -> None:
        for node in ask(self.run_dir, "state")["nodes"]:
            if node["exit_code"] is not None:
                raise NodeDied(node["name"], node["exit_code"], self.run_dir.log_tail(node["name"], LOG_LINES))

    async def pause_all(self) -> None:
        """Nothing of it runs until ``resume_all``."""
        await self.pause(self.nodes)

    async def resume_all(self) -> Leader:
        """It goes on, and is settled. Raises HarnessError."""
        await self.resume(self.nodes)
        return await self.wait_settled()

    async def wait_settled(self, timeout_s: float = SETTLE_S) -> Leader:
        """Until one leader has been followed by all for STEADY_S and acknowledged a write. Raises HarnessError."""
        return await asyncio.to_thread(self._wait_settled, timeout_s)

    def _wait_settled(self, timeout_s: float) -> Leader:
        deadline, since, last = time.monotonic() + timeout_s, 0.0, None
        while time.monotonic() < deadline:
            leader, now = self._agreed(), time.monotonic()
            if leader != last:
                last, since = leader, now
            elif leader is not None and now - since >= STEADY_S and self.acknowledges(self.address(leader.name)):
                return leader
            self._raise_if_dead()
            time.sleep(POLL_S)
        raise Undecided(
            f"{self.name} has had no steady leader for {timeout_s:g} s; its logs are in {self.run_dir.path}"
        )

    async def leader(self) -> Leader | None:
        """Who leads now, if all nodes agree in that."""
        return await asyncio.to_thread(self._agreed)

    def _agreed(self) -> Leader | None:
        told = {name: self.standing(self.address(name)) for name in self.nodes}
        leaders = [Leader(name, said.term) for name, said in told.items() if said is not None and said.leads]
        return leaders[0] if len(leaders) == 1 and all(told.values()) else None

    # ---- where it is, and what it takes

    def address(self, name: str) -> str:
        """``host:port`` where clients are served."""
        return str(self._facts[name]["rest"])

    def pid(self, name: str) -> int:
        """Of the node's living process."""
        pid = self._facts[name]["pid"]
        assert pid is not None, f"{name} of {self.name} runs"
        return int(pid)

    def peer_ports(self) -> frozenset[int]:
        """Those on which the nodes hear each other's consensus."""
        addresses = [node[port] for node in self._facts.values() for port in ("raft", "fault") if node[port]]
        return frozenset(int(address.rpartition(":")[2]) for address in addresses)

    def targets(self, cell: Cell, leader: Leader) -> list[str]:
        """The addresses that the cell's load goes to."""
        others = [name for name in self.nodes if name != leader.name]
        names = {"leader": [leader.name], "follower": others[:1] or [leader.name], "spread": list(self.nodes)}
        return [self.address(name) for name in names[cell.target]]

    async def refresh(self) -> None:
        """Learn the process ids anew, after nodes were started."""
        await self._refresh()

    def configuration(self) -> Mapping[str, Any]:
        """For the manifest: version, durability, and the command of every node as the kernel has it."""
        commands = {name: psutil.Process(self.pid(name)).cmdline() for name in self.nodes}
        home = str(self.run_dir.path)
        return {
            "version": self.version(),
            "durability": self.durability,
            "nodes": {name: _anywhere(words, home) for name, words in commands.items()},
        }


def _anywhere(words: Sequence[str], home: str) -> list[str]:
    """A command line without what is only true of this machine."""
    return [Path(words[0]).name, *(word.replace(home, "DIR") for word in words[1:])]
