"""Faults of a store, as what its clients see: each a few operations that no correct store would answer so.

``script``: (f, value, outcome, result, begin, end), times in a moment of a larger history in which everything else goes
on; ``@a``, ``@b``, … stand for values that nobody else writes. ``quiet``: it is wrong only if nothing else is
on then, and everything has been told.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from harness.history.events import EventType
from harness.history.operations import MISMATCH, NEVER, Operation
from tests.harness.checker.histories import Store, simulated

OK, FAIL, INFO = EventType.OK, EventType.FAIL, EventType.INFO
Row = tuple[str, Any, EventType, Any, int, int]
GAP = 100


@dataclass(frozen=True)
class Fault:
    """``sentence``: a part of what must be said of it."""

    name: str
    model: str
    script: tuple[Row, ...]
    sentence: str
    quiet: bool = False


def wrote(value: str, begin: int, end: int) -> Row:
    return "write", value, OK, value, begin, end


def read(value: Any, begin: int, end: int) -> Row:
    return "read", None, OK, value, begin, end


def added(f: str, begin: int = 1, end: int = 2) -> Row:
    return f, "@a", OK, "@a", begin, end


def swapped(expected: str, new: str, begin: int, end: int) -> Row:
    return "cas", [expected, new], OK, [expected, new], begin, end


FAULTS = (
    Fault("stale read", "register", (wrote("@a", 1, 2), wrote("@b", 3, 4), read("@a", 5, 6)), "although"),
    Fault("lost write", "register", (wrote("@a", 1, 2), read(None, 5, 6)), "acknowledged", quiet=True),
    Fault(
        "resurrected value",
        "register",
        (wrote("@a", 1, 2), wrote("@b", 3, 4), ("delete", None, OK, True, 5, 6), read("@a", 7, 8)),
        "although",
    ),
    Fault(
        "lost delete",
        "register",
        (wrote("@a", 1, 2), ("delete", None, OK, True, 3, 4), read("@a", 5, 6)),
        "although the key had been deleted",
        quiet=True,
    ),
    Fault("dirty read", "register", (("write", "@a", FAIL, None, 1, 2), read("@a", 3, 4)), "write had failed"),
    Fault("thin air", "register", (read("@a", 1, 2),), "nobody ever wrote it"),
    Fault("read from the future", "register", (read("@a", 1, 2), wrote("@a", 3, 4)), "before its write began"),
    Fault(
        "read inversion",
        "register",
        (wrote("@a", 1, 2), wrote("@b", 3, 9), read("@b", 4, 5), read("@a", 6, 7)),
        "although",
    ),
    Fault(
        "cas twice",
        "register",
        (wrote("@a", 1, 2), swapped("@a", "@b", 3, 5), swapped("@a", "@c", 4, 6)),
        "two cas of key k from @a succeeded",
    ),
    Fault(
        "cas from an overwritten value",
        "register",
        (wrote("@a", 1, 2), wrote("@b", 3, 4), swapped("@a", "@c", 5, 6)),
        "let a cas of key k from @a to @c succeed although",
    ),
    Fault(
        "refused cas took effect",
        "register",
        (wrote("@a", 1, 2), ("cas", ["@a", "@b"], FAIL, None, 3, 4), read("@b", 5, 6)),
        "refused",
    ),
    Fault(
        "cas refused without a reason",
        "register",
        (wrote("@a", 1, 2), ("cas", ["@a", "@b"], FAIL, None, 3, 4)),
        "refused a cas of key k because @a was not there although a write of @a had been acknowledged",
        quiet=True,
    ),
    Fault(
        "retry applied twice",
        "register",
        (("write", "@a", INFO, None, 1, 1), read("@a", 2, 3), wrote("@b", 4, 5), read("@b", 6, 7), read("@a", 8, 9)),
        "although",
    ),
    Fault(
        "delete that found nothing",
        "register",
        (wrote("@a", 1, 2), ("delete", None, OK, False, 3, 4)),
        "said that a delete of key k found nothing although @a had been acknowledged",
        quiet=True,
    ),
    Fault(
        "deleted twice",
        "register",
        (wrote("@a", 1, 2), ("delete", None, OK, True, 3, 4), ("delete", None, OK, True, 5, 6)),
        "found something although the key had been deleted",
        quiet=True,
    ),
    Fault("lost append", "append", (added("append"), read("…", 3, 4)), "without @a although its append", quiet=True),
    Fault(
        "append that shrank",
        "append",
        (read("… @a", 3, 4), read("…", 5, 6), ("append", "@a", OK, "@a", 1, 9)),
        "although one of",
        quiet=True,
    ),
    Fault(
        "appends in two orders",
        "append",
        (added("append", 1, 9), ("append", "@b", OK, "@b", 1, 9), read("… @a @b", 3, 5), read("… @b @a", 4, 6)),
        "neither comes from the other",
        quiet=True,
    ),
    Fault("append applied twice", "append", (added("append"), read("… @a @a", 3, 4)), "twice", quiet=True),
    Fault(
        "append of a failed one",
        "append",
        (("append", "@a", FAIL, None, 1, 2), read("… @a", 3, 4)),
        "adding it had failed",
        quiet=True,
    ),
    Fault("lost add", "set", (added("add"), read("…", 3, 4)), "without @a although its add", quiet=True),
    Fault("lost increment", "counter", (("increment", 1, OK, 1, 1, 2), read(-1, 3, 4)), "although", quiet=True),
    Fault("increment applied twice", "counter", (read(+1, 3, 4),), "had been asked for", quiet=True),
)


def broken(fault: Fault, rng: random.Random, count: int, clients: int) -> list[Operation]:
    """A correct history with the fault in the middle of it, or, if it needs quiet, at its end."""
    unknown = 0.0 if fault.quiet else 0.01
    store = Store(fault.model)
    operations = simulated(rng, fault.model, count, clients, unknown=unknown, store=store)
    for operation in operations:
        operation.invoked *= GAP
        operation.returned = operation.returned if operation.returned == NEVER else operation.returned * GAP
    ends = sorted(operation.returned for operation in operations if operation.returned != NEVER)
    moment = ends[-1] if fault.quiet else ends[len(ends) * 2 // 3]
    for number, row in enumerate(fault.script):
        operations.append(_operation(fault.model, row, moment, 9_000 + number, store.state))
    return sorted(operations, key=lambda operation: operation.invoked)


def _operation(model: str, row: Row, moment: int, process: int, state: Any) -> Operation:
    f, value, type, result, begin, end = row
    unknown = type is INFO
    begin, end = moment + 5 * begin + process % 5, moment + 5 * end + process % 5
    return Operation(
        process, f, "k", value, begin, begin / 100_000, type, _answer(model, f, result, state),
        NEVER if unknown else end, None if unknown else end / 100_000, f"n{process % 5 + 1}",
        MISMATCH if f == "cas" and type is FAIL else None,
    )  # fmt: skip


def _answer(model: str, f: str, result: Any, state: Any) -> Any:
    if f == "read" and model in ("append", "set"):
        return (*state, *result.split()[1:])
    return state + result if f == "read" and model == "counter" else result
