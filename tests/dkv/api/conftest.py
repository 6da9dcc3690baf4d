"""A node's edge on a real socket, over fakes that answer as they are told."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
import uvloop

from dkv.api.handling import OnFollower
from dkv.api.limits import Limits
from dkv.api.server import ApiServer
from dkv.errors import LeaderHint
from dkv.joining import JoinAnswer, JoinRequest
from dkv.kv.commands import Batch, Command, Result, encode_batch
from dkv.kv.state_machine import KeyValue
from dkv.levels import Level
from dkv.metrics import Metrics
from dkv.views import ReadReply, View


@dataclass
class FakeStore:
    """One node's state machine. ``fail``: raised by every call. ``gate``: what every call waits for first."""

    name: str = "n1"
    leader: LeaderHint | None = field(default_factory=lambda: LeaderHint("n1", "127.0.0.1:1"))
    fail: BaseException | None = None
    gate: asyncio.Event | None = None
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    machine: KeyValue = field(default_factory=KeyValue)
    index: int = 10
    writes: list[tuple[Command, ...]] = field(default_factory=list)
    reads: list[dict[str, Any]] = field(default_factory=list)
    deadlines: list[float] = field(default_factory=list)
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    def view(self) -> View:
        return View(self.name, self.leader, 7, self.index)

    async def _meet(self, deadline: float) -> None:
        self.deadlines.append(deadline)
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.fail is not None:
            raise self.fail

    async def write(self, commands: Sequence[Command], *, deadline: float) -> list[Result]:
        await self._meet(deadline)
        self.writes.append(tuple(commands))
        self.index += 1
        return self.machine.apply(self.index, encode_batch(Batch(1, list(commands))))

    async def read(
        self,
        keys: Sequence[str],
        level: Level,
        *,
        deadline: float,
        min_index: int = 0,
        freshness_s: float | None = None,
    ) -> ReadReply:
        await self._meet(deadline)
        self.reads.append({"keys": list(keys), "level": level, "min_index": min_index, "freshness_s": freshness_s})
        return ReadReply([self.machine.get(key) for key in keys], self.index, level)

    def begin_write(self, commands: Sequence[Command], ticket: Any, *, deadline: float) -> None:
        self._begin(self.write(commands, deadline=deadline), ticket)

    def begin_read(self, keys: Sequence[str], level: Level, ticket: Any, **options: Any) -> None:
        self._begin(self.read(keys, level, **options), ticket)

    def _begin(self, call: Any, ticket: Any) -> None:
        """Like a router: refused at once, answered at once, or answered later."""
        task = asyncio.ensure_future(call)
        self.tasks.add(task)
        task.add_done_callback(lambda done: self._end(done, ticket))

    def _end(self, task: asyncio.Task[Any], ticket: Any) -> None:
        self.tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            ticket.fail(error)
        elif not task.cancelled():
            ticket.complete(task.result())


@dataclass
class FakeOperations:
    """Answers, and remembers what it was asked. ``fail``: raised by what changes something."""

    known_leader: LeaderHint | None = field(default_factory=lambda: LeaderHint("n1", "127.0.0.1:1"))
    checks: dict[str, str] = field(default_factory=lambda: {"leader": "ok", "disk": "ok"})
    fail: BaseException | None = None
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def status(self) -> dict[str, Any]:
        return {"id": "n1", "role": "leader"}

    def nodes(self) -> dict[str, Any]:
        return {"members": ["n1"]}

    def leader(self) -> LeaderHint | None:
        return self.known_leader

    def hashkv(self) -> dict[str, Any]:
        return {"index": 3, "digest": "ab"}

    async def readiness(self, deadline: float) -> dict[str, str]:
        return self.checks

    async def transfer(self, target: str | None, deadline: float) -> LeaderHint:
        self._call("transfer", target)
        return LeaderHint("n2", "127.0.0.1:2")

    async def join(self, request: JoinRequest, deadline: float) -> JoinAnswer:
        self._call("join", request)
        return JoinAnswer("c", "n1.00000000", "n1.00000000")

    async def leave(self, deadline: float) -> None:
        self._call("leave")

    async def remove(self, name: str, deadline: float) -> None:
        self._call("remove", name)

    def _call(self, *call: Any) -> None:
        if self.fail is not None:
            raise self.fail
        self.calls.append(call)


@dataclass
class Edge:
    """A running server, and a client that follows no redirects."""

    port: int
    server: ApiServer
    store: FakeStore
    operations: FakeOperations
    session: aiohttp.ClientSession
    fatal: list[BaseException]

    @property
    def rest(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def ask(self, method: str, target: str, body: Any = None, **headers: str) -> Answer:
        """``body``: bytes as they are, anything else as JSON. ``headers``: underscores for hyphens."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        data = {} if body is None else {"data": io.BytesIO(content)}
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        url = f"http://{self.rest}{target}"
        request = self.session.request(method, url, headers=named, allow_redirects=False, **data)
        async with request as response:
            content = await response.read()
            is_json = response.content_type == "application/json" and content
            return Answer(response.status, json.loads(content) if is_json else content, response.headers)


@dataclass
class Answer:
    """What came back; ``body`` is decoded if it is JSON."""

    status: int
    body: Any
    headers: Mapping[str, str]


def pytest_asyncio_loop_factories(config: Any, item: Any) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that nodes run on: its transports differ from asyncio's own."""
    return {"uvloop": uvloop.new_event_loop}


StartEdge = Callable[..., AbstractAsyncContextManager[Edge]]


@pytest.fixture(params=[True, False], ids=["lane", "full"])
def start_edge(request: pytest.FixtureRequest) -> StartEdge:
    """``async with start_edge(...) as edge``; several can run at once. Every test runs with and without the lane."""
    with_lane = request.param

    @asynccontextmanager
    async def start(
        store: FakeStore | None = None,
        operations: FakeOperations | None = None,
        limits: Limits | None = None,
        on_follower: OnFollower = OnFollower.REDIRECT,
        fast_lane: bool = with_lane,
    ) -> AsyncIterator[Edge]:
        store, operations = store or FakeStore(), operations or FakeOperations()
        fatal: list[BaseException] = []
        server = ApiServer(
            store,
            operations,
            Metrics("0.0.0"),
            on_fatal=fatal.append,
            on_follower=on_follower,
            limits=limits or Limits(drain_timeout_s=0.2),
            fast_lane=fast_lane,
        )
        port = await server.start("127.0.0.1", 0)
        try:
            async with aiohttp.ClientSession() as session:
                yield Edge(port, server, store, operations, session, fatal)
        finally:
            await server.stop()

    return start
