"""Kept-alive HTTP connections to nodes on blocking sockets, with ``http.client`` as the parser.

Law: ``NOT_SENT`` is reported only when no byte can have left. The time of an exchange is bounded as a whole,
also against a node that trickles its reply byte by byte. Works under gevent: no lock is held while waiting.
"""

from __future__ import annotations

import io
import select
import socket
import threading
import time
from http.client import HTTPException, HTTPResponse

from dkv.client.core import Failed, Failure, Send
from dkv.client.protocol import REPLY_BYTES_MAX, Reply, Request

IDLE_PER_NODE_MAX = 32
"""Connections kept for later, a node. As many threads can share one client without dialling anew."""


class _Lost(Exception):
    """The connection broke after the request had begun to leave."""


class _TimedReader(io.RawIOBase):
    """Reads of one socket that together end by ``deadline`` (``time.monotonic``)."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._sock.settimeout(_left_s(self._deadline))
        return self._sock.recv_into(buffer)


class _TimedSocket:
    """The one method of a socket that ``HTTPResponse`` asks for."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._reader = _TimedReader(sock, deadline)

    def makefile(self, mode: str) -> io.BufferedReader:
        assert mode == "rb", mode
        return io.BufferedReader(self._reader)


class Connection:
    """One TCP connection to one node; one exchange at a time."""

    def __init__(self, node: str, timeout_s: float) -> None:
        host, _, port = node.rpartition(":")
        self._node = node
        self._sock = socket.create_connection((host.strip("[]"), int(port)), timeout_s)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reusable = True

    def exchange(self, request: Request, deadline: float) -> Reply:
        """Send and read the whole reply by ``deadline`` (``time.monotonic``); raises ``TimeoutError`` or
        ``_Lost``.
        """
        self.reusable = False
        try:
            self._sock.settimeout(_left_s(deadline))
            self._sock.sendall(_head(self._node, request) + request.body)
            response = HTTPResponse(_TimedSocket(self._sock, deadline), method=request.method)  # type: ignore[arg-type]
            with response:
                response.begin()
                body = response.read(REPLY_BYTES_MAX)
                self.reusable = response.isclosed() and not response.will_close
                if response.length:
                    raise _Lost(f"the reply ended {response.length} bytes early, or has more than {REPLY_BYTES_MAX}")
        except TimeoutError:
            raise
        except (OSError, HTTPException, ValueError) as error:
            raise _Lost(str(error) or type(error).__name__) from error
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, body)

    def is_dropped(self) -> bool:
        """Whether the node closed the idle connection, or spoke out of turn: it is not used again."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Idempotent."""
        self._sock.close()


class Pool:
    """Connections by node, shared by threads (or greenlets): each is out of the pool while it is in use."""

    def __init__(self) -> None:
        self._idle: dict[str, list[Connection]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def exchange(self, send: Send) -> Reply | Failed:
        """Perform one step of an operation."""
        deadline = time.monotonic() + send.timeout_s
        connection = self._take(send.node)
        if connection is None:
            try:
                connection = Connection(send.node, send.connect_timeout_s)
            except (OSError, UnicodeError) as error:  # the latter: a host name that cannot be one
                return Failed(Failure.NOT_SENT, getattr(error, "strerror", None) or str(error))
        try:
            return connection.exchange(send.request, deadline)
        except TimeoutError:
            return Failed(Failure.SILENT, "timed out")
        except _Lost as error:
            return Failed(Failure.LOST, str(error))
        finally:
            self._give_back(send.node, connection)

    def close(self) -> None:
        """Close what is idle now; what is in use is closed when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.close()

    def _take(self, node: str) -> Connection | None:
        for _ in range(IDLE_PER_NODE_MAX):
            with self._lock:
                connections = self._idle.get(node)
                connection = connections.pop() if connections else None
            if connection is None or not connection.is_dropped():
                return connection
            connection.close()
        return None

    def _give_back(self, node: str, connection: Connection) -> None:
        with self._lock:
            idle = self._idle.setdefault(node, [])
            keep = connection.reusable and not self._closed and len(idle) < IDLE_PER_NODE_MAX
            if keep:
                idle.append(connection)
        if not keep:
            connection.close()


def _left_s(deadline: float) -> float:
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s


def _head(node: str, request: Request) -> bytes:
    lines = [
        f"{request.method} {request.path} HTTP/1.1",
        f"Host: {node}",
        f"Content-Length: {len(request.body)}",
    ]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    head = "\r\n".join(lines)
    assert head.count("\n") == len(lines) - 1, f"a line break inside a header: {head!r}"
    return f"{head}\r\n\r\n".encode("latin-1")
