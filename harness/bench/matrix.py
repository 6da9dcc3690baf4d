"""What is measured: the quick matrix (what the speed table needs) and the full one, as tables of cells. Pure.

A cell that a system cannot do is left out for it, and the run says so: ``ABLE`` is the whole truth about that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase

from harness.bench.dialects import LINEARIZABLE, NONE
from harness.bench.measurements import Cell, Loop
from harness.errors import UsageError

CONNECTIONS = (1, 16, 64, 256)
BUSY = 64
"""Connections where one number has to do: from here on it is CPU that decides, and no longer the wait for the disk."""
KEYS, MANY_KEYS = 1_000, 1_000_000
KIB = 1_024
BATCH = 100
OFFERED_PER_S = (500, 2_000, 4_000)
"""Of open loops: what every peer can serve on two cores, so that latencies and not queues are compared."""
READS_PER_CENT = {"mixed-95": 95, "mixed-50": 50, "ycsb-a": 50, "ycsb-b": 95, "ycsb-c": 100, "ycsb-d": 95, "ycsb-f": 50}
"""Mixed loads. The mixed ones take keys in turn, YCSB's by Zipf's law; what is no read in F is a read and a write."""

ABLE: dict[str, frozenset[tuple[str, str]]] = {
    system: frozenset(pair for pair in pairs)
    for system, pairs in {
        "dkv": [("batch", ""), ("set", ""), ("mix", LINEARIZABLE), ("get", LINEARIZABLE), ("get", NONE)],
        "etcd": [("batch", ""), ("set", ""), ("mix", LINEARIZABLE), ("get", LINEARIZABLE), ("get", NONE)],
        # A sync before each get: the nearest that it has, since a sync is not committed (ZOOKEEPER-1675).
        "zookeeper": [("batch", ""), ("set", ""), ("mix", LINEARIZABLE), ("get", LINEARIZABLE), ("get", NONE)],
        "pysyncobj": [("set", ""), ("get", NONE)],
    }.items()
}
"""System → (kind of operation, level of its reads) that it has."""


def kind(operation: str) -> str:
    """set, get, batch or mix."""
    return "batch" if operation.startswith("batch-") else "mix" if operation in READS_PER_CENT else operation


def is_able(system: str, cell: Cell) -> bool:
    """Whether the system has that operation at that level, and the generator that loop."""
    return (kind(cell.operation), cell.level) in ABLE[system] and (
        cell.loop is Loop.CLOSED or system != "zookeeper"  # its load is of a protocol of its own, in a closed loop
    )


def quick() -> tuple[Cell, ...]:
    """What the speed table asks for."""
    return (
        *(_set(connections) for connections in (1, BUSY, 256)),
        *(_get("leader", connections) for connections in (1, BUSY)),
        _get("follower", BUSY),
        _get("follower", BUSY, NONE),
        _batch(16),
    )


def full() -> tuple[Cell, ...]:
    """Everything; cells of one cluster stand together."""
    cells = [_set(connections, target) for target in ("leader", "spread") for connections in CONNECTIONS]
    cells += [_get(target, connections) for target in ("leader", "follower", "spread") for connections in CONNECTIONS]
    cells += [_get(target, connections, NONE) for target in ("leader", "follower") for connections in CONNECTIONS]
    cells += [_mix(operation) for operation in READS_PER_CENT]
    cells += [_batch(connections) for connections in (1, 16, BUSY)]
    for value_bytes in (KIB, 64 * KIB):
        cells += [_set(BUSY, value_bytes=value_bytes), _get("leader", BUSY, value_bytes=value_bytes)]
    cells += [_open(offered) for offered in OFFERED_PER_S]
    for nodes in (5, 7):
        cells += [_set(BUSY, nodes=nodes), _get("leader", BUSY, nodes=nodes), _get("follower", BUSY, NONE, nodes=nodes)]
    cells += [_set(BUSY, keys=MANY_KEYS), _get("leader", BUSY, keys=MANY_KEYS)]
    return tuple(cells)


MATRICES: dict[str, Callable[[], tuple[Cell, ...]]] = {"quick": quick, "full": full, "none": lambda: ()}


def name(cell: Cell) -> str:
    """A word a property, as people read it and ``--only`` matches it: ``get-none@follower 64c 16B 3n 1000keys``."""
    level = f"-{cell.level}" if cell.level and kind(cell.operation) == "get" else ""
    words = [f"{cell.operation}{level}@{cell.target}", f"{cell.connections}c", f"{cell.value_bytes}B", f"{cell.nodes}n"]
    words += [f"{cell.keys}keys"] + ([f"{cell.offered_per_s}/s"] if cell.loop is Loop.OPEN else [])
    return " ".join(words)


def narrowed(cells: Sequence[Cell], only: Iterable[str]) -> tuple[Cell, ...]:
    """Those that every word of one of ``only`` fits (``set@leader 64c``, ``get*``). UsageError if none is left."""
    patterns = [pattern.split() for pattern in only]
    chosen = tuple(cell for cell in cells if not patterns or any(_fits(cell, pattern) for pattern in patterns))
    if cells and not chosen:
        raise UsageError(f"--only leaves nothing of: {', '.join(name(cell) for cell in cells)}")
    return chosen


def _fits(cell: Cell, pattern: Sequence[str]) -> bool:
    words = name(cell).split()
    operation = words[0].partition("@")[0]
    return all(any(fnmatchcase(word, wanted) for word in (operation, *words)) for wanted in pattern)


def _set(connections: int, target: str = "leader", *, value_bytes: int = 16, nodes: int = 3, keys: int = KEYS) -> Cell:
    return Cell(
        operation="set", target=target, connections=connections, value_bytes=value_bytes, nodes=nodes, keys=keys
    )


def _get(
    target: str,
    connections: int,
    level: str = LINEARIZABLE,
    *,
    value_bytes: int = 16,
    nodes: int = 3,
    keys: int = KEYS,
) -> Cell:
    return Cell(
        operation="get",
        target=target,
        connections=connections,
        level=level,
        value_bytes=value_bytes,
        nodes=nodes,
        keys=keys,
    )


def _mix(operation: str) -> Cell:
    return Cell(operation=operation, target="leader", connections=BUSY, level=LINEARIZABLE)


def _batch(connections: int) -> Cell:
    return Cell(operation=f"batch-{BATCH}", target="leader", connections=connections)


def _open(offered_per_s: int) -> Cell:
    return Cell(operation="set", target="leader", connections=BUSY, loop=Loop.OPEN, offered_per_s=offered_per_s)
