"""The speed that was asked for, as data: what is measured in which cell, beside whom, and the limit. Pure.

``readings`` reads them off a run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.bench import statistics
from harness.bench.measurements import Cell, Sample
from harness.bench.names import look


class Of(StrEnum):
    """Which quantity of a sample."""

    RATE = "rate"
    P50 = "p50"
    P99 = "p99"


QUANTITIES: Mapping[Of, Callable[[Sample], float]] = {
    Of.RATE: statistics.rate,
    Of.P50: statistics.p50,
    Of.P99: statistics.p99,
}
UNITS: Mapping[Of, str] = {Of.RATE: "/s", Of.P50: "ms", Of.P99: "ms"}


@dataclass(frozen=True, slots=True)
class Beside:
    """Ours over a peer's, in the first of ``cells`` that has both."""

    cells: tuple[Cell, ...]
    peer: str
    of: Of = Of.RATE


@dataclass(frozen=True, slots=True)
class Alone:
    """Ours, in the first of ``cells`` that was measured."""

    cells: tuple[Cell, ...]
    of: Of = Of.RATE


@dataclass(frozen=True, slots=True)
class Once:
    """Our figure; with ``peer``, over the peer's. ``nodes`` and ``keys`` of 0: whatever they were."""

    name: str
    unit: str
    nodes: int = 0
    keys: int = 0
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Grown:
    """Our figure with so many keys over that with ``usual``, round by round."""

    name: str
    unit: str
    keys: int
    usual: int


Measure = Beside | Alone | Once | Grown


@dataclass(frozen=True, slots=True)
class Target:
    """``limit`` is the least value that meets it, or the greatest if not ``at_least``."""

    what: str
    measure: Measure
    limit: float
    at_least: bool = True

    @property
    def wanted(self) -> str:
        """``≥ 2.5 × etcd``, ``≤ 400 B``."""
        sign, measure = "≥" if self.at_least else "≤", self.measure
        if isinstance(measure, Beside) or (isinstance(measure, Once) and measure.peer):
            return f"{sign} {self.limit:.1f} × {look(measure.peer).label}"
        if isinstance(measure, Grown):
            return f"{sign} {self.limit:.1f} × that with {measure.usual:,}"
        return f"{sign} {self.limit:,g} {measure.unit if isinstance(measure, Once) else UNITS[measure.of]}".strip()

    def meets(self, value: float) -> bool:
        """Whether this median would do."""
        return value >= self.limit if self.at_least else value <= self.limit


def _cells(operation: str, connections: Sequence[int], target: str = "leader", level: str = "") -> tuple[Cell, ...]:
    return tuple(Cell(operation=operation, target=target, connections=many, level=level) for many in connections)


SET_1, SET_64, SET_256 = _cells("set", (1, 64, 256))
GET_64 = _cells("get", (64,), level="linearizable")
GET_FOLLOWER_64 = _cells("get", (64,), "follower", "linearizable")
STALE_64 = _cells("get", (64,), "follower", "none") + _cells("get", (64,), "leader", "none")
BATCH = _cells("batch-100", (64, 16, 256))

TARGETS: tuple[Target, ...] = (
    Target("set at the leader, 64 connections", Beside((SET_64,), "etcd"), 2.5),
    Target("set at the leader, 256 connections", Beside((SET_256,), "etcd"), 2.5),
    Target("set at the leader, 64 connections", Beside((SET_64,), "zookeeper"), 1.0),
    Target("set at the leader, 64 connections", Beside((SET_64,), "seed"), 1.0),
    Target("set at the leader, 64 connections: p99", Beside((SET_64,), "etcd", Of.P99), 1.0, at_least=False),
    Target("set at the leader, 256 connections: p99", Beside((SET_256,), "etcd", Of.P99), 1.0, at_least=False),
    Target("set at the leader, 1 connection: p50", Beside((SET_1,), "etcd", Of.P50), 1.0, at_least=False),
    Target("linearizable get at the leader, 64 connections", Beside(GET_64, "etcd"), 2.5),
    Target("linearizable get at the leader, 64 connections, when nothing else runs", Alone(GET_64), 36_000),
    Target("linearizable get at the leader, 64 connections: p99", Beside(GET_64, "etcd", Of.P99), 1.0, at_least=False),
    Target("linearizable get at a follower, 64 connections", Beside(GET_FOLLOWER_64, "etcd"), 2.0),
    Target("get `level=none`, 64 connections", Beside(STALE_64, "seed"), 0.8),
    Target("Raft and log path in process, 64 outstanding", Once("log-path-rate", "/s"), 40_000),
    Target("the same over 60 s, checkpoints of 1e6 keys included", Once("log-path-sustained-rate", "/s"), 30_000),
    Target("the same: p99", Once("log-path-p99", "ms"), 15, at_least=False),
    Target("batches of 100 sets: sets", Alone(BATCH), 100_000),
    Target("leader killed → next acknowledged write", Once("failover", "s"), 0.4, at_least=False),
    Target("leader killed → next acknowledged write", Once("failover", "s", peer="zookeeper"), 1.0, at_least=False),
    Target("false elections in 10 minutes under full load", Once("false-elections", ""), 0, at_least=False),
    Target("start of 5 nodes → first write", Once("first-write", "s", nodes=5), 1.5, at_least=False),
    Target(
        "memory per key per node (1e6 keys of 100 B)", Once("memory-per-key", "B", keys=1_000_000), 400, at_least=False
    ),
    Target("restart with 1e6 keys", Once("restart", "s", keys=1_000_000), 5, at_least=False),
    Target("set at the leader, 64 connections, 1e6 keys", Grown("rate-by-keys", "/s", 1_000_000, 1_000), 0.9),
    Target("p99 of sets while a snapshot of 1e6 keys is installed", Once("install-p99-ratio", "×"), 3, at_least=False),
)
