"""A scripted node, and both clients behind one face."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import pytest

from dkv.client import AsyncClient, Client


@dataclass
class Answer:
    """What a scripted node does with a request. ``body``: JSON, or bytes as they are."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    close: bool = False
    """Close the connection after the reply without having said so."""
    cut_to: int | None = None
    """Send so many bytes of the reply only, then reset the connection."""
    silent: bool = False

    def encode(self) -> bytes:
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        headers = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        return f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def command(self) -> Any:
        return json.loads(self.body)


class ScriptedNode:
    """Answers by a script; its last line is repeated. ``seen``: all requests, in order."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.seen: list[Seen] = []
        self.script: list[Answer] = [Answer(body={"val": "v", "revision": 7, "found": True})]
        self.connections = 0
        self._arrived = threading.Condition()
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            try:
                while (request := read_request(stream)) is not None:
                    with self._arrived:
                        self.seen.append(request)
                        self._arrived.notify_all()
                    if not self._act(connection, self.script.pop(0) if len(self.script) > 1 else self.script[0]):
                        return
            except OSError:
                return

    def _act(self, connection: socket.socket, answer: Answer) -> bool:
        if answer.silent:
            return True
        data = answer.encode()
        if answer.cut_to is not None:
            connection.sendall(data[: answer.cut_to])
            if answer.cut_to == 0:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        connection.sendall(data)
        return not answer.close

    def wait_for_requests(self, count: int) -> None:
        """Until so many have come in all."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.seen) >= count, timeout=30)

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join(10)


def read_request(stream: Any) -> Seen | None:
    line = stream.readline().decode().split()
    if len(line) != 3:
        return None
    headers: dict[str, str] = {}
    while (header := stream.readline().decode().strip()) != "":
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    return Seen(line[0], line[1], headers, stream.read(int(headers.get("content-length", "0"))))


class Face(Protocol):
    """Either client: ``face("set", "k", "v")``."""

    def __call__(self, method: str, *args: Any, **more: Any) -> Any: ...


class SyncFace:
    def __init__(self, nodes: list[str], **more: Any) -> None:
        self.client = Client(nodes, rng=random.Random(1), **more)

    def __call__(self, method: str, *args: Any, **more: Any) -> Any:
        return getattr(self.client, method)(*args, **more)

    def close(self) -> None:
        self.client.close()


class AsyncFace:
    def __init__(self, nodes: list[str], **more: Any) -> None:
        self._runner = asyncio.Runner()
        self.client = AsyncClient(nodes, rng=random.Random(1), **more)

    def __call__(self, method: str, *args: Any, **more: Any) -> Any:
        return self._runner.run(getattr(self.client, method)(*args, **more))

    def close(self) -> None:
        self._runner.run(self.client.close())
        self._runner.close()


@pytest.fixture
def node() -> Iterator[ScriptedNode]:
    node = ScriptedNode()
    yield node
    node.stop()


@pytest.fixture
def other_node() -> Iterator[ScriptedNode]:
    node = ScriptedNode()
    yield node
    node.stop()


@pytest.fixture
def dead_address() -> Iterator[str]:
    """Nobody listens there, and nobody else gets the port meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture(params=[SyncFace, AsyncFace], ids=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """``connect(address, …, timeout=…)`` → a ``Face``, closed at the end."""
    faces: list[Any] = []

    def make(*nodes: str, **more: Any) -> Any:
        faces.append(request.param(list(nodes), **more))
        return faces[-1]

    yield make
    for face in faces:
        face.close()
