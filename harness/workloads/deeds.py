"""One operation of a plan, done: register operations as they are; append, add and increment as a read and a cas.

What a loop's own reads saw is not recorded: the history tells of the one operation that the loop is.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from harness.history.events import EventType
from harness.plan.plan import Operation
from harness.systems.base import Client, Mismatch, NotApplied, Unknown, Version
from harness.workloads.order import Order
from harness.workloads.recorder import Actor

ATTEMPTS_MAX = 20
"""Of a read–cas loop; one that lost so many races ends as CONTENTION, certainly not applied."""
CONTENTION = "CONTENTION"
CAS_MISMATCH = "CAS_MISMATCH"
ABSENT = Version(None, 0)


@dataclass
class Known:
    """The version of each key that any client saw last: what a cas expects. Shared, so that some of them succeed.

    ``order``: of all writes' numbers, in real time.
    """

    versions: dict[str, Version] = field(default_factory=dict)
    order: Order = field(default_factory=Order)

    def saw(self, key: str, version: Version) -> None:
        if version.token >= self.versions.get(key, ABSENT).token or version.value is None:
            self.versions[key] = version


@dataclass(frozen=True, slots=True)
class Deed:
    """``invoked``: the history's value of the invocation; ``run`` gives that of the completion."""

    invoked: Any
    run: Callable[[], Awaitable[Any]]
    effect: bool = True


async def perform(operation: Operation, workload: str, client: Client, actor: Actor, known: Known) -> EventType:
    """Do it and record it; how it ended. Only what the system raises as its own answer is caught."""
    deed = _deed(operation, workload, client, known)
    f, key = operation.f, operation.key
    actor.invoke(f, key, deed.invoked)
    try:
        value = await deed.run()
    except NotApplied as error:
        code = CAS_MISMATCH if isinstance(error, Mismatch) else error.code
        return actor.end(EventType.FAIL, f, key, deed.invoked, error.node or client.node, code)
    except Unknown as error:
        # A read changes nothing, whatever it would have told.
        end = EventType.INFO if deed.effect else EventType.FAIL
        return actor.end(end, f, key, deed.invoked, error.node or client.node, error.code)
    return actor.end(EventType.OK, f, key, value, client.node)


def _deed(operation: Operation, workload: str, client: Client, known: Known) -> Deed:
    key, value = operation.key, operation.value
    if operation.f == "read":
        return Deed(None, lambda: _read(client, key, workload, known), effect=False)
    if operation.f == "delete":
        return Deed(None, lambda: _delete(client, key, known))
    if operation.f == "write":
        return Deed(value, lambda: _write(client, key, str(value), known))
    if operation.f == "cas":
        expected = known.versions.get(key, ABSENT)
        return Deed([expected.value, value], lambda: _cas(client, key, expected, str(value), known))
    change = _CHANGES[operation.f]
    return Deed(value, lambda: _loop(client, key, value, change, known))


async def _read(client: Client, key: str, workload: str, known: Known) -> Any:
    version = await client.read(key)
    known.saw(key, version)
    return shown(version.value, workload)


async def _write(client: Client, key: str, value: str, known: Known) -> Any:
    before = known.order.newest
    version = await client.write(key, value)
    known.order.acknowledged(before, key, version.token, client.node)
    known.saw(key, version)
    return value


async def _cas(client: Client, key: str, expected: Version, value: str, known: Known) -> Any:
    before = known.order.newest
    try:
        version = await client.cas(key, expected, value)
    except Mismatch:
        if known.versions.get(key, ABSENT) == expected:  # whoever tries next would be refused as well
            known.saw(key, await _seen(client, key, expected))
        raise
    known.order.acknowledged(before, key, version.token, client.node)
    known.saw(key, version)
    return [expected.value, value]


async def _seen(client: Client, key: str, otherwise: Version) -> Version:
    try:
        return await client.read(key)
    except (NotApplied, Unknown):
        return otherwise


async def _delete(client: Client, key: str, known: Known) -> Any:
    there = await client.delete(key)
    known.versions[key] = ABSENT
    return there


async def _loop(client: Client, key: str, value: Any, change: Callable[[str | None, Any], str], known: Known) -> Any:
    for _ in range(ATTEMPTS_MAX):
        before = known.order.newest
        try:
            version = await client.read(key)
        except Unknown as error:  # nothing was written yet
            raise NotApplied(error.code, error.node) from error
        try:
            written = await client.cas(key, version, change(version.value, value))
        except Mismatch:
            continue
        known.order.acknowledged(before, key, written.token, client.node)
        return value
    raise NotApplied(CONTENTION, client.node)


def _appended(text: str | None, element: Any) -> str:
    return json.dumps([*(json.loads(text) if text else []), element], separators=(",", ":"))


def _incremented(text: str | None, by: int) -> str:
    return str(int(text or 0) + by)


_CHANGES: dict[str, Callable[[str | None, Any], str]] = {
    "append": _appended,
    "add": _appended,
    "increment": _incremented,
}


def shown(text: str | None, workload: str) -> Any:
    """A stored value as the history's models have it: a list, a number, or the text itself."""
    if workload in ("append", "set"):
        return json.loads(text) if text else []
    return int(text or 0) if workload == "counter" else text
