"""Benchmarks out of thin air: run directories as the bench leaves them, by a formula for a machine of two cores.

No figure here was ever measured. The same seed gives the same bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from hdrh.histogram import HdrHistogram

from harness.bench.measurements import Cell, Figure, Loop, Sample

SPEEDS = {"dkv": 19_000.0, "etcd": 7_200.0, "zookeeper": 17_000.0, "pysyncobj": 1_900.0}
"""Of sets by an endless number of connections."""
FLOOR_MS = {"dkv": 0.8, "etcd": 1.0, "zookeeper": 1.1, "pysyncobj": 100.0}
FAILOVER_S = {"dkv": 0.06, "etcd": 1.3, "zookeeper": 0.41, "pysyncobj": 1.5}
MANIFEST: dict[str, Any] = {
    "kind": "bench",
    "began": "2026-11-23T12:00:00+00:00",
    "git": "0123456",
    "command": "dkv-harness bench --matrix full",
    "seed": 7,
    "host": {"system": "Linux-6.18", "processors": 2, "memory_bytes": 24 * 2**30, "load_average_before": 0.31},
    "versions": {"dkv": "0.1.0", "etcd": "3.4.23", "zookeeper": "3.8.0"},
    "missing": ["rqlite is not installed"],
    "configurations": {"dkv, 3 nodes": {"version": "0.1.0", "durability": "fsync on a majority", "nodes": {}}},
    "ended": "complete",
}


def set_cell(connections: int = 64, **changes: Any) -> Cell:
    """At the leader, unless told otherwise."""
    return msgspec.structs.replace(Cell(operation="set", target="leader", connections=connections), **changes)


def cells() -> tuple[Cell, ...]:
    """One of each kind."""
    get: dict[str, Any] = {"operation": "get", "level": "linearizable"}
    return (
        *(set_cell(connections) for connections in (1, 16, 64, 256)),
        *(set_cell(connections, target="spread") for connections in (16, 64)),
        *(set_cell(connections, **get) for connections in (1, 16, 64, 256)),
        set_cell(64, **get, target="follower"),
        set_cell(64, operation="get", level="none", target="follower"),
        *(set_cell(64, operation=f"ycsb-{letter}", level="linearizable") for letter in "abcdf"),
        *(set_cell(64, operation=f"mixed-{share}", level="linearizable") for share in (95, 50)),
        set_cell(16, operation="batch-100"),
        *(set_cell(64, value_bytes=size) for size in (1_024, 65_536)),
        *(set_cell(64, nodes=nodes) for nodes in (5, 7)),
        set_cell(64, keys=1_000_000),
        *(set_cell(64, loop=Loop.OPEN, offered_per_s=offered) for offered in (500, 4_000)),
    )


def sample(rng: Random, system: str, cell: Cell, round_: int, luck: float = 1.0, **changes: Any) -> Sample:
    """One block of five seconds; ``luck`` is what the machine did to everybody in that round."""
    ceiling = SPEEDS[system] * {"get": 2.1, "batch-100": 6.0}.get(cell.operation, 1.0)
    ceiling *= (3 / cell.nodes) ** 0.5 * (16 / cell.value_bytes) ** 0.12 * (1_000 / cell.keys) ** 0.012
    rate = min(ceiling, cell.connections * 1_000 / FLOOR_MS[system]) * luck * rng.uniform(0.95, 1.05)
    rate = min(rate, cell.offered_per_s) if cell.offered_per_s else rate
    histogram = HdrHistogram(1, 120_000_000, 3)
    typical_us = 1e6 * cell.connections / rate / (20 if cell.offered_per_s else 1)
    for _ in range(150):
        histogram.record_value(round(typical_us * math.exp(rng.gauss(0, 0.35)) + (rng.random() < 0.006) * 9e3), 800)
    places = [histogram.get_value_at_percentile(percentile) / 1_000 for percentile in (50, 90, 99, 99.9, 100)]
    taken = Sample(
        system=system, cell=cell, round=round_, started_s=float(round_), duration_s=5.0, generator="wrk",
        completed=round(rate * 5), failed=0, p50_ms=places[0], p90_ms=places[1], p99_ms=places[2], p999_ms=places[3],
        max_ms=places[4], generator_cores=min(0.95, rate / 42_000), server_cores=1.4, busiest_cores=0.9,
        load_average=2.5, histogram="" if system == "zookeeper" else histogram.encode().decode(),
    )  # fmt: skip
    return msgspec.structs.replace(taken, **changes)


def samples(
    rng: Random, rounds: int = 5, systems: Sequence[str] = tuple(SPEEDS), of: Iterable[Cell] | None = None
) -> list[Sample]:
    """Of all cells, systems in turn."""
    found = []
    for cell in cells() if of is None else of:
        for round_ in range(rounds):
            luck = rng.uniform(0.85, 1.05)
            found += [
                sample(rng, system, cell, round_, luck)
                for system in systems
                if system != "pysyncobj" or (cell.operation == "set" and cell.loop is Loop.CLOSED)
            ]
    return found


def figures(rng: Random, systems: Sequence[str] = tuple(SPEEDS)) -> list[Figure]:
    """Twenty kills, starts, and what only dkv is asked for."""
    found = [
        Figure(
            system=system,
            name="failover",
            round=kill,
            value=FAILOVER_S[system] * math.exp(rng.gauss(0, 0.25)),
            unit="s",
        )
        for kill in range(20)
        for system in systems
    ]
    found += [
        Figure(system=system, name="first-write", round=one, value=rng.uniform(0.9, 2.2), unit="s", nodes=nodes)
        for nodes in (3, 5)
        for one in range(5)
        for system in systems
    ]
    found += [
        Figure(
            system="dkv",
            name="restart",
            round=one,
            value=rng.uniform(0.8, 1.2) * (1 + keys / 3e5),
            unit="s",
            nodes=1,
            keys=keys,
        )
        for keys in (100_000, 1_000_000)
        for one in range(3)
    ]
    found += [
        Figure(system=system, name=name, round=one, value=rng.uniform(6e3, 9e3), unit="/s", nodes=nodes, keys=keys)
        for name, nodes, keys in (
            *(("rate-by-nodes", nodes, 1_000) for nodes in (3, 5, 7)),
            *(("rate-by-keys", 3, keys) for keys in (1_000, 100_000, 1_000_000)),
        )
        for one in range(5)
        for system in systems[:2]
    ]
    found.append(Figure(system="dkv", name="memory-per-key", round=0, value=371.0, unit="B", keys=1_000_000))
    return found


def write(
    directory: Path, samples: Iterable[Sample], figures: Iterable[Figure] = (), manifest: dict[str, Any] | None = None
) -> Path:
    """As the bench writes a run."""
    directory.mkdir(parents=True, exist_ok=True)
    encoder = msgspec.json.Encoder()
    for name, values in (("samples.jsonl", samples), ("figures.jsonl", figures)):
        (directory / name).write_bytes(b"".join(encoder.encode(value) + b"\n" for value in values))
    (directory / "manifest.json").write_text(json.dumps(MANIFEST if manifest is None else manifest, indent=1))
    return directory
