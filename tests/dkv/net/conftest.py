"""Nodes on real loopback sockets that write down what happens to them; tests wait for facts, not for time."""

import asyncio
import logging
import random
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio

from dkv.clock import MonotonicClock
from dkv.net.handshake import NONCE_BYTES, Dialler
from dkv.net.peers import Peers

PATIENCE_S = 30.0
"""Only a hanging test meets it."""


class Node:
    """A ``Peers`` and its events: ("up", node), ("down", node, reset), ("inbound lost", node)."""

    def __init__(self, net: "Net", me: str, cluster: str, secret: bytes | None, **more: Any) -> None:
        self.me = me
        self.events: list[tuple[object, ...]] = []
        self.frames: list[tuple[str, int, bytes]] = []
        self._net = net
        self.peers = Peers(
            me,
            cluster,
            secret,
            on_frame=lambda node, group, body: self._note(self.frames, (node, group, body)),
            on_up=lambda node: self._note(self.events, ("up", node)),
            on_down=lambda node, *, reset: self._note(self.events, ("down", node, reset)),
            on_inbound_lost=lambda node: self._note(self.events, ("inbound lost", node)),
            clock=MonotonicClock(),
            rng=random.Random(me),
            **more,
        )

    def _note(self, notes: list[Any], note: tuple[object, ...]) -> None:
        notes.append(note)
        self._net.changed.set()

    @property
    def host_port(self) -> tuple[str, int]:
        host, port = self.peers.address.split(":")
        return host, int(port)

    def bodies_from(self, node: str) -> list[bytes]:
        return [body for sender, _, body in self.frames if sender == node]


class Net(logging.Handler):
    """All nodes of a test. A call-back or a line of the log wakes who waits in ``until``."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.changed = asyncio.Event()
        self.nodes: list[Node] = []
        self.failures: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.changed.set()

    async def until(self, fact: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not fact():
                self.changed.clear()
                await self.changed.wait()

    async def node(
        self,
        me: str,
        cluster: str = "c1",
        secret: bytes | None = b"secret",
        *,
        listener: socket.socket | None = None,
        **more: Any,
    ) -> Node:
        node = Node(self, me, cluster, secret, **more)
        self.nodes.append(node)
        await node.peers.start(listener)
        return node

    def introduce(self, *nodes: Node) -> None:
        directory = {node.me: node.peers.address for node in nodes}
        for node in nodes:
            node.peers.set_addresses(directory)

    async def all_up(self, *nodes: Node) -> None:
        """Every sending link between ``nodes`` is up."""
        await self.until(lambda: all(is_up(one, other) for one in nodes for other in nodes if one is not other))

    async def close_nodes(self) -> None:
        for node in self.nodes:
            await node.peers.close()


def is_up(one: Node, other: Node) -> bool:
    status, up = one.peers.status().get(other.me), one.peers.is_up(other.me)
    assert up == (status is not None and status.state == "up"), "the short question and the long one"
    return up


class Caller:
    """A member's dialling side by hand, for what ``Peers`` would never do."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, to: Node) -> "Caller":
        return cls(*await asyncio.open_connection(*to.host_port))

    async def shake_hands(self, me: str, to: Node, cluster: str = "c1", secret: bytes | None = b"secret") -> None:
        dialler = Dialler(cluster, secret, me, bytes(NONCE_BYTES), expected=to.me)
        self.writer.write(dialler.hello())
        while dialler.peer is None:
            answer = await self.reader.read(512)
            if not answer:
                raise ConnectionResetError("closed during the handshake")
            self.writer.write(dialler.feed(answer))

    async def read_to_end(self) -> bytes:
        """All that comes until the other side closes; b"" as well when it resets the connection."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self.reader.read(-1)
        except ConnectionError:
            return b""

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            pass


@pytest.fixture
def caller() -> type[Caller]:
    return Caller


@pytest.fixture
def node_is_up() -> Callable[[Node, Node], bool]:
    return is_up


@pytest.fixture
def net_log() -> Iterator[logging.Logger]:
    logger = logging.getLogger("dkv.net")
    level = logger.level
    logger.setLevel(logging.INFO)
    yield logger
    logger.setLevel(level)


@pytest_asyncio.fixture
async def net(net_log: logging.Logger) -> AsyncIterator[Net]:
    """Closes every node at the end; then nothing of theirs is left on the loop, and nothing went wrong in it."""
    net, loop = Net(), asyncio.get_running_loop()
    before = asyncio.all_tasks()
    loop.set_exception_handler(lambda _, context: net.failures.append(context))
    net_log.addHandler(net)
    try:
        yield net
        await net.close_nodes()
    finally:
        net_log.removeHandler(net)
    assert net.failures == []
    assert {task for task in asyncio.all_tasks() if task.get_name().startswith("peer")} - before == set()
