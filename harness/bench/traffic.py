"""A block's load as data: the distinct requests, and the order in which they are sent, over and over. Pure.

Keys go in turn, so that no system is helped by a cache line that is always warm; YCSB's by Zipf's law with theta 0.99,
over shuffled keys, as YCSB has it. Every draw is of the ``random.Random`` that is given.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from harness.bench.dialects import Dialect, Request
from harness.bench.matrix import BATCH, READS_PER_CENT, kind
from harness.bench.measurements import Cell

if TYPE_CHECKING:
    import random

THETA = 0.99
"""YCSB's constant of Zipf's law."""
DRAWS = 50_000
"""Length of an order that is drawn: a block of four seconds begins anew with it once or twice."""
DISTINCT_MAX = 50_000
"""Requests that a generator keeps ready: of a million keys so many are drawn."""
RECENT_AFTER = 1_000
"""Of YCSB D: a key is read at the earliest so many requests after its insertion was sent, so that it is there."""
PLACES = 65_521
"""Where a value may begin in the text: a prime, so that a checksum spreads over all of them."""
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True)
class Traffic:
    """``order``: indices of ``requests``; whoever has sent the last begins again."""

    requests: tuple[Request, ...]
    order: tuple[int, ...]

    def part(self, number: int, parts: int) -> Traffic:
        """The same load begun elsewhere, so that generators beside each other do not send the same keys."""
        start = len(self.order) * number // parts
        return Traffic(self.requests, self.order[start:] + self.order[:start])


class _Writer:
    """Each distinct request once; ``append`` one to the order."""

    def __init__(self) -> None:
        self._index: dict[tuple[str, str], int] = {}
        self._requests: list[Request] = []
        self.order: list[int] = []

    def append(self, verb: str, key: str, make: Callable[[], Request]) -> None:
        index = self._index.setdefault((verb, key), len(self._requests))
        if index == len(self._requests):
            self._requests.append(make())
        self.order.append(index)

    def done(self) -> Traffic:
        return Traffic(tuple(self._requests), tuple(self.order))


def key(number: int) -> str:
    """Of the keys that are there before a block: k0000000 …"""
    return f"k{number:07d}"


class Values:
    """A value for each key, of so many characters of one byte: parts of one text that was drawn, so that none is like
    another and a million of them take no time."""

    def __init__(self, size_bytes: int, rng: random.Random) -> None:
        self.size_bytes = size_bytes
        self._text = "".join(rng.choices(_LETTERS, k=size_bytes + PLACES))

    def of(self, name: str) -> str:
        """Always the same of one key."""
        place = zlib.crc32(name.encode()) % PLACES
        return self._text[place : place + self.size_bytes]


def generate(cell: Cell, dialect: Dialect, rng: random.Random) -> Traffic:
    """The requests of one block of this cell."""
    operation, writer = cell.operation, _Writer()
    anywhere = cell.target != "leader"
    values = Values(cell.value_bytes, rng)

    def get(name: str) -> None:
        writer.append("get", name, lambda: dialect.get(name, cell.level))

    def put(name: str) -> None:
        writer.append("set", name, lambda: dialect.set(name, values.of(name), anywhere=anywhere))

    if kind(operation) == "batch":
        return _batches(cell, dialect, values, rng)
    if kind(operation) == "mix":
        _mixed(cell, get, put, rng)
    else:
        for number in _in_turn(cell.keys, rng):
            (put if operation == "set" else get)(key(number))
    return writer.done()


def _in_turn(keys: int, rng: random.Random) -> Sequence[int]:
    return range(keys) if keys <= DISTINCT_MAX else rng.sample(range(keys), DISTINCT_MAX)


def _batches(cell: Cell, dialect: Dialect, values: Values, rng: random.Random) -> Traffic:
    keys = [key(number) for number in _in_turn(cell.keys, rng)]
    chunks = [keys[start : start + BATCH] for start in range(0, len(keys), BATCH)]
    anywhere = cell.target != "leader"
    requests = tuple(dialect.batch([(name, values.of(name)) for name in chunk], anywhere=anywhere) for chunk in chunks)
    return Traffic(requests, tuple(range(len(requests))))


def _mixed(cell: Cell, get: Callable[[str], None], put: Callable[[str], None], rng: random.Random) -> None:
    reads, draw = READS_PER_CENT[cell.operation] / 100, _drawer(cell, rng)
    inserted, prefix = 0, f"new{rng.randrange(10**6):06d}-"  # a block before this one has inserted others
    for place in range(DRAWS):
        reading = rng.random() < reads
        if cell.operation == "ycsb-d":
            if reading:
                get(_recent(place, inserted, reads, draw(), prefix))
            else:
                put(f"{prefix}{inserted:06d}")
                inserted += 1
            continue
        name = key(draw())
        if reading or cell.operation == "ycsb-f":
            get(name)
        if not reading:
            put(name)


def _recent(place: int, inserted: int, reads: float, back: int, prefix: str) -> str:
    """The key so far ``back`` among those that are surely there; the old ones come after the first new one."""
    there = max(0, inserted - int(RECENT_AFTER * (1 - reads)) - 1) if place > RECENT_AFTER else 0
    return f"{prefix}{there - 1 - back:06d}" if back < there else key(back - there)


def _drawer(cell: Cell, rng: random.Random) -> Callable[[], int]:
    """The next key's number: in turn, by Zipf's law over shuffled keys, or (YCSB D) over how long ago it came."""
    if not cell.operation.startswith("ycsb-"):
        turn = iter(number % cell.keys for number in range(DRAWS))
        return lambda: next(turn)
    weights = list(accumulate(1 / rank**THETA for rank in range(1, cell.keys + 1)))
    numbers = list(range(cell.keys))
    if cell.operation != "ycsb-d":
        rng.shuffle(numbers)
    drawn = iter(rng.choices(numbers, cum_weights=weights, k=DRAWS))
    return lambda: next(drawn)
