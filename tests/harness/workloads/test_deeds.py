"""One operation of each kind: what the client is asked, and what the history says of every way in which it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.history.events import Event, EventType
from harness.plan.plan import Operation
from harness.systems.base import Mismatch, NotApplied, Unknown, Version
from harness.workloads.deeds import ATTEMPTS_MAX, CONTENTION, Known, perform
from harness.workloads.recorder import Recorder
from tests.harness.virtual_time import run

OK, FAIL, INFO, INVOKE = EventType.OK, EventType.FAIL, EventType.INFO, EventType.INVOKE


class Store:
    """One key; ``troubles`` are raised one after the other, by name of the method, None: none."""

    node: str | None = "n2"

    def __init__(self, value: str | None = None, **troubles: list[Exception | None]) -> None:
        self.version = Version(value, 5 if value is not None else 0)
        self.troubles = troubles
        self.calls: list[str] = []

    def _called(self, name: str) -> None:
        self.calls.append(name)
        waiting = self.troubles.get(name, [])
        if waiting and (trouble := waiting.pop(0)) is not None:
            raise trouble

    async def read(self, key: str) -> Version:
        self._called("read")
        return self.version

    async def write(self, key: str, value: str) -> Version:
        self._called("write")
        self.version = Version(value, self.version.token + 1)
        return self.version

    async def cas(self, key: str, expected: Version, value: str) -> Version:
        self._called("cas")
        if expected.token != self.version.token:
            raise Mismatch("CAS_MISMATCH", "n3")
        return await self.write(key, value)

    async def delete(self, key: str) -> bool | None:
        self._called("delete")
        self.version = Version(None, 0)
        return True

    async def close(self) -> None:
        return None


def told(
    store: Store, f: str, value: Any = None, workload: str = "register", known: Known | None = None
) -> tuple[list[Event], EventType]:
    events: list[Event] = []
    clock = iter(range(1000))
    recorder = Recorder(lambda: float(next(clock)), (events.append,))
    actor = recorder.actor()
    operation = Operation(0.0, 0, f, "k", value)
    end = run(perform(operation, workload, store, actor, known or Known()))
    run(perform(operation, workload, Store(), actor, Known()))  # who acts next
    return events, end


CASES: dict[str, tuple[Store, str, Any, str, Any, EventType, Any, str | None]] = {
    "read": (Store("a"), "read", None, "register", None, OK, "a", None),
    "read of nothing": (Store(), "read", None, "register", None, OK, None, None),
    "read in vain": (Store(read=[Unknown("TIMEOUT", "n1")]), "read", None, "register", None, FAIL, None, "TIMEOUT"),
    "write": (Store(), "write", "a", "register", "a", OK, "a", None),
    "write refused": (Store(write=[NotApplied("NO_LEADER")]), "write", "a", "register", "a", FAIL, "a", "NO_LEADER"),
    "write lost": (Store(write=[Unknown("TIMEOUT")]), "write", "a", "register", "a", INFO, "a", "TIMEOUT"),
    "delete": (Store("a"), "delete", None, "register", None, OK, True, None),
    "delete lost": (Store("a", delete=[Unknown("TIMEOUT")]), "delete", None, "register", None, INFO, None, "TIMEOUT"),
    "append to nothing": (Store(), "append", "a", "append", "a", OK, "a", None),
    "append": (Store('["x"]'), "append", "a", "append", "a", OK, "a", None),
    "append, again": (Store(cas=[Mismatch("CAS_MISMATCH")]), "append", "a", "append", "a", OK, "a", None),
    "append, unread": (Store(read=[Unknown("TIMEOUT")]), "append", "a", "append", "a", FAIL, "a", "TIMEOUT"),
    "append lost": (Store(cas=[Unknown("TIMEOUT")]), "append", "a", "append", "a", INFO, "a", "TIMEOUT"),
    "list": (Store('["x"]'), "read", None, "append", None, OK, ["x"], None),
    "no list": (Store(), "read", None, "set", None, OK, [], None),
    "increment": (Store("4"), "increment", 2, "counter", 2, OK, 2, None),
    "count": (Store("4"), "read", None, "counter", None, OK, 4, None),
    "no count": (Store(), "read", None, "counter", None, OK, 0, None),
}


NAMES = ("store", "f", "value", "workload", "asked", "type", "result", "error")


@pytest.mark.parametrize(NAMES, CASES.values(), ids=CASES)
def test_how_an_operation_ends(
    store: Store, f: str, value: Any, workload: str, asked: Any, type: EventType, result: Any, error: str | None
) -> None:
    (invoke, end, later, _), returned = told(store, f, value, workload)
    assert (invoke.type, invoke.f, invoke.key, invoke.value) == (INVOKE, f, "k", asked)
    assert (end.type, end.value, end.error) == (type, result, error)
    assert returned is type
    assert end.time_s > invoke.time_s
    assert (later.process == end.process) is (type is not INFO), "after an unknown outcome somebody new goes on"


def test_a_cas_expects_what_was_seen_last() -> None:
    known = Known()
    known.saw("k", Version("a", 5))
    (invoke, end, *_), _ = told(Store("a"), "cas", "b", known=known)
    assert invoke.value == ["a", "b"]
    assert (end.type, end.value) == (OK, ["a", "b"])
    assert known.versions["k"] == Version("b", 6)


def test_a_mismatch_is_an_observation_and_teaches() -> None:
    known = Known()
    (invoke, end, *_), _ = told(Store("a"), "cas", "b", known=known)
    assert invoke.value == [None, "b"]
    assert (end.type, end.value, end.error, end.node) == (FAIL, [None, "b"], "CAS_MISMATCH", "n3")
    assert known.versions["k"] == Version("a", 5), "the next cas has a chance"


def test_a_loop_that_always_loses_gives_up_for_certain() -> None:
    store = Store(cas=[Mismatch("CAS_MISMATCH")] * (2 * ATTEMPTS_MAX))
    (_, end, *_), _ = told(store, "append", "a", "append")
    assert (end.type, end.error) == (FAIL, CONTENTION)
    assert store.calls.count("cas") == ATTEMPTS_MAX


def test_what_is_stored() -> None:
    store = Store('["x"]')
    told(store, "append", "a", "append")
    assert store.version.value == '["x","a"]'
    counter = Store("4")
    told(counter, "increment", 3, "counter")
    assert counter.version.value == "7"


@pytest.mark.parametrize("make", [lambda: NotApplied("X"), lambda: Unknown("X"), lambda: Mismatch("X")])
def test_who_answered_is_told(make: Callable[[], Exception]) -> None:
    (_, end, *_), _ = told(Store(write=[make()]), "write", "a")
    assert end.node == "n2"
