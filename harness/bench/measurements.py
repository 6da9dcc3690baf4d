"""What a benchmark leaves behind: a sample for each block of load, a figure for each thing that happens once. Values.

Everything that is shown (medians, spreads, ratios, plots) is computed from these, and they are kept, so that it can be
computed again. Samples of one cell and one round were taken in turn, system by system: ratios are taken pair by pair.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Loop(StrEnum):
    """Closed: each connection sends when it was answered. Open: at intended times, whatever became of the last."""

    CLOSED = "closed"
    OPEN = "open"


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One place of the matrix. ``operation``: set, get, batch-100, ycsb-a … ``level``: of its reads, "" without any.
    ``target``: leader, follower or spread (over all nodes). ``offered_per_s``: of an open loop, 0 of a closed one."""

    operation: str
    target: str
    connections: int
    level: str = ""
    value_bytes: int = 16
    nodes: int = 3
    keys: int = 1_000
    loop: Loop = Loop.CLOSED
    offered_per_s: int = 0


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One system under one cell's load for ``duration_s``, ``started_s`` after its part of the run began. Latencies in
    ms, of what succeeded (open loop: from the intended start); CPU in cores. ``completed`` counts operations: a batch
    of 100 is 100. ``histogram``: HDR V2 encoded, microseconds, "" where the generator gives none."""

    system: str
    cell: Cell
    round: int
    started_s: float
    duration_s: float
    generator: str
    completed: int
    failed: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    generator_cores: float
    server_cores: float
    busiest_cores: float
    load_average: float
    histogram: str = ""
    part: int = 1
    """Of a run that was measured in parts (``bench --into``)."""

    @property
    def rate_per_s(self) -> float:
        """Operations that succeeded, a second."""
        return self.completed / self.duration_s


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement of one thing: ``name`` (failover, first-write, restart, memory-per-key, …) in ``unit``."""

    system: str
    name: str
    round: int
    value: float
    unit: str
    nodes: int = 3
    keys: int = 0
    note: str = ""
    part: int = 1
