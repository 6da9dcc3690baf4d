"""What the clients do and when, drawn from a seed: an open loop, so that a slow cluster is asked no less.

Each workload gives unique values, and keys that are used for a while and then replaced: a key has at most
KEY_OPERATIONS_MAX operations and KEY_CLIENTS_MAX clients, which keeps every key quick to judge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.faults.fault import milli
from harness.plan.plan import Operation

if TYPE_CHECKING:
    import random

KEY_OPERATIONS_MAX = 1000
KEY_CLIENTS_MAX = 10
LIST_OPERATIONS_MAX = 160
"""Of a key that holds a whole list, which each operation reads and writes."""


@dataclass(frozen=True, slots=True)
class Workload:
    """``weights``: operation → least and most of its share before the seed draws. ``keys``: used at a time by a group
    of clients. ``operations``: of a key before it is replaced."""

    weights: dict[str, tuple[float, float]]
    keys: tuple[int, int]
    operations: tuple[int, int]


WORKLOADS: dict[str, Workload] = {
    "register": Workload(
        {"read": (0.3, 0.6), "write": (0.2, 0.5), "cas": (0.1, 0.4), "delete": (0.02, 0.1)},
        keys=(2, 8),
        operations=(100, KEY_OPERATIONS_MAX),
    ),
    "append": Workload({"append": (0.3, 0.7), "read": (0.3, 0.6)}, keys=(2, 6), operations=(40, LIST_OPERATIONS_MAX)),
    "set": Workload({"add": (0.5, 0.8), "read": (0.1, 0.3)}, keys=(2, 6), operations=(40, LIST_OPERATIONS_MAX)),
    "counter": Workload({"increment": (0.4, 0.7), "read": (0.3, 0.5)}, keys=(2, 6), operations=(40, 400)),
}


@dataclass(frozen=True, slots=True)
class Mix:
    """What this seed drew: shares of the operations, keys at a time, operations a key."""

    shares: dict[str, float]
    keys: int
    operations: int

    def described(self) -> dict[str, Any]:
        return {"shares": self.shares, "keys_at_a_time": self.keys, "operations_a_key": self.operations}


def draw_mix(rng: random.Random, workload: str) -> Mix:
    """UsageError for a workload that there is not."""
    if workload not in WORKLOADS:
        raise UsageError(f"no workload is called {workload!r}: there are {', '.join(WORKLOADS)}")
    kind = WORKLOADS[workload]
    shares = {f: milli(rng.uniform(*bounds)) for f, bounds in kind.weights.items()}
    return Mix(shares, rng.randint(*kind.keys), rng.randint(*kind.operations))


@dataclass
class _Slot:
    """A key in use; ``left``: operations before it is replaced."""

    key: str
    left: int


def operations(rng: random.Random, mix: Mix, clients: int, rate: float, duration_s: float) -> list[Operation]:
    """``rate`` a second of all clients together, evenly with jitter, in the order of time."""
    count = int(rate * duration_s)
    fresh = _fresh_keys(mix)
    groups = [list(range(first, min(first + KEY_CLIENTS_MAX, clients))) for first in range(0, clients, KEY_CLIENTS_MAX)]
    slots = [[fresh() for _ in range(mix.keys)] for _ in groups]
    names, weights = list(mix.shares), list(mix.shares.values())
    order = list(range(clients))
    drawn = []
    for number in range(count):
        if number % clients == 0:
            rng.shuffle(order)
        client = order[number % clients]
        slot = _take(rng, slots[client // KEY_CLIENTS_MAX], fresh)
        (f,) = rng.choices(names, weights)
        time_s = milli((number + rng.random()) / rate)
        drawn.append(Operation(time_s, client, f, slot.key, _value(f, number)))
    return drawn


def _fresh_keys(mix: Mix) -> Callable[[], _Slot]:
    count = 0

    def fresh() -> _Slot:
        nonlocal count
        count += 1
        return _Slot(f"k{count}", mix.operations)

    return fresh


def _take(rng: random.Random, slots: list[_Slot], fresh: Callable[[], _Slot]) -> _Slot:
    place = rng.randrange(len(slots))
    if slots[place].left == 0:
        slots[place] = fresh()
    slots[place].left -= 1
    return slots[place]


def _value(f: str, number: int) -> str | int | None:
    if f == "increment":
        return 1 + number % 3
    return f"v{number}" if f in ("write", "cas", "append", "add") else None


def keys_of(drawn: Sequence[Operation]) -> list[str]:
    """Every key, in the order of first use."""
    return list(dict.fromkeys(operation.key for operation in drawn))
