"""Clients keep to their times, one thing at a time; late ones skip nothing, and what is left is counted."""

from __future__ import annotations

import asyncio

import msgspec

from harness.history.events import Event, EventType
from harness.plan.plan import Operation
from harness.systems.base import Version
from harness.workloads.clients import IMPATIENT_S, Clients, News, NodeReads
from harness.workloads.deeds import Known
from harness.workloads.recorder import Recorder
from tests.harness.virtual_time import run


class Slow:
    """Takes its time for everything."""

    node: str | None = "n1"

    def __init__(self, takes_s: float, closed: list[bool]) -> None:
        self.takes_s, self.closed = takes_s, closed

    async def read(self, key: str) -> Version:
        await asyncio.sleep(self.takes_s)
        return Version(None, 0)

    async def write(self, key: str, value: str) -> Version:
        await asyncio.sleep(self.takes_s)
        return Version(value, 1)

    async def cas(self, key: str, expected: Version, value: str) -> Version:
        return await self.write(key, value)

    async def delete(self, key: str) -> bool | None:
        await asyncio.sleep(self.takes_s)
        return None

    async def close(self) -> None:
        self.closed.append(True)


def worked(takes_s: float, operations: list[Operation], end_s: float) -> tuple[list[Event], Clients, list[bool]]:
    events: list[Event] = []
    closed: list[bool] = []

    async def body() -> Clients:
        recorder = Recorder(asyncio.get_running_loop().time, (events.append,))
        clients = Clients(recorder, "register", lambda _: Slow(takes_s, closed), 1.0, end_s)
        await clients.run(operations)
        return clients

    return events, run(body()), closed


def every(seconds: float, count: int, client: int = 0) -> list[Operation]:
    return [Operation(seconds * number, client, "write", "k", f"v{client}.{number}") for number in range(count)]


def test_operations_begin_at_their_times() -> None:
    events, clients, closed = worked(0.01, every(1.0, 5), 10.0)
    assert [round(e.time_s, 6) for e in events if e.type is EventType.INVOKE] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert (clients.punctuality.begun, clients.punctuality.late, clients.punctuality.undone) == (5, 0, 0)
    assert closed == [True]


def test_who_is_late_skips_nothing() -> None:
    events, clients, _ = worked(1.0, every(0.5, 4), 100.0)
    assert [round(e.time_s, 6) for e in events if e.type is EventType.INVOKE] == [0.0, 1.0, 2.0, 3.0]
    assert clients.punctuality.late == 3
    assert clients.punctuality.latest_s == 1.5


def test_what_is_not_begun_in_time_stays_undone() -> None:
    events, clients, _ = worked(1.0, every(0.1, 50), 3.0)
    assert clients.punctuality.begun == 3
    assert clients.punctuality.undone == 47
    assert len(events) == 6


def test_each_client_is_a_process_of_its_own_and_sequential() -> None:
    operations = sorted([*every(0.1, 20, 0), *every(0.1, 20, 1)], key=lambda operation: operation.time_s)
    events, _, closed = worked(0.15, operations, 100.0)
    assert {event.process for event in events} == {0, 1}
    assert closed == [True, True]
    for process in (0, 1):
        types = [event.type for event in events if event.process == process]
        assert types == [EventType.INVOKE, EventType.OK] * 20


def test_reads_at_a_node_tell_what_could_not_be_read() -> None:
    events: list[Event] = []

    async def body() -> list[str]:
        recorder = Recorder(asyncio.get_running_loop().time, (events.append,))
        reads = NodeReads(recorder, "register", lambda _: Slow(0.01, []), Known())
        return await reads.read("n1", ["a", "b"])

    assert run(body()) == []
    assert [event.key for event in events if event.type is EventType.OK] == ["a", "b"]


def test_every_third_client_is_impatient() -> None:
    patience: list[float] = []

    async def body() -> None:
        recorder = Recorder(asyncio.get_running_loop().time, ())

        def client(timeout_s: float) -> Slow:
            patience.append(timeout_s)
            return Slow(0.01, [])

        await Clients(recorder, "register", client, 2.0, 10.0).run([e for c in range(6) for e in every(0.1, 2, c)])

    run(body())
    assert sorted(patience) == [IMPATIENT_S] * 2 + [2.0] * 4


def test_every_node_is_read_all_the_time_also_those_that_come_later() -> None:
    asked: list[str] = []
    nodes = ["n1", "n2"]

    async def body() -> None:
        recorder = Recorder(asyncio.get_running_loop().time, ())

        def client_at(node: str) -> Slow:
            asked.append(node)
            return Slow(0.01, [])

        reads = NodeReads(recorder, "register", client_at, Known())
        asyncio.get_running_loop().call_later(1.0, nodes.append, "n3")
        await reads.keep_reading(lambda: nodes, lambda: ["a", "b"], 3.0)
        assert 30 <= recorder.counts[EventType.OK] <= 60

    run(body())
    assert asked == ["n1", "n2", "n3"]


def test_news_wake_everybody_once() -> None:
    async def body() -> tuple[list[float], str]:
        loop, news = asyncio.get_running_loop(), News()
        ok = Event(process=1, type=EventType.OK, f="write", key="k", value="v", time_s=0.0)
        loop.call_later(0.1, news, ok)
        loop.call_later(0.2, news, msgspec.structs.replace(ok, f="read", key="other"))
        began, woken = loop.time(), list[float]()

        async def wait() -> None:
            for _ in range(2):
                await news.wait(1.0)
                woken.append(round(loop.time() - began, 3))

        await asyncio.gather(wait(), wait())
        return woken, news.key

    assert run(body()) == ([0.1, 0.1, 1.1, 1.1], "k")
