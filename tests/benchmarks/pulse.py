"""The pulse of nodes: ``/livez`` every few milliseconds, from a process of its own, which nothing else slows down.

A node answers ``/livez`` from its event loop and looks at nothing else, so a slow answer is a loop that stood still, or
a machine that gave it no processor. ``late_s`` tells the two apart: how late the watcher itself woke up.
"""

from __future__ import annotations

import multiprocessing
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType

EVERY_S = 0.005
ANSWER_S = 30.0
REQUEST = b"GET /livez HTTP/1.1\r\nHost: node\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Beat:
    """Asked ``at_s`` (``time.monotonic``), answered ``took_s`` later, by a watcher that woke up ``late_s`` too late."""

    at_s: float
    took_s: float
    late_s: float


class Pulse:
    """As a context: watch the node at ``host:port``. A node that does not listen yet is waited for."""

    def __init__(self, address: str) -> None:
        self.address = address
        context = multiprocessing.get_context("spawn")
        self._line, theirs = context.Pipe()
        self._process = context.Process(target=_watch, args=(address, theirs), daemon=True)
        self._beats: list[Beat] = []

    def __enter__(self) -> Pulse:
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.send("stop")
        self._beats = [Beat(*beat) for beat in self._line.recv()]
        self._process.join()

    def between(self, from_s: float, to_s: float) -> list[Beat]:
        """The beats that overlap this time; after the end of the context."""
        return [beat for beat in self._beats if beat.at_s <= to_s and beat.at_s + beat.took_s >= from_s]


def summary(name: str, beats: Sequence[Beat]) -> str:
    """One line of a table: answers, percentiles and the three longest in ms, the watcher's own worst delay."""
    if not beats:
        return f"{name:44s}  (no answers)"
    took = sorted(beat.took_s * 1000 for beat in beats)
    longest = ", ".join(f"{ms:.0f}" for ms in reversed(took[-4:]))
    late = max(beat.late_s for beat in beats) * 1000
    over = sum(ms > 50 for ms in took)
    return (
        f"{name:44s} {len(took):6d} {took[len(took) // 2]:7.1f} {took[len(took) * 99 // 100]:7.1f} {over:6d}   "
        f"{longest:24s} {late:6.0f}"
    )


HEAD = f"{'':44s} {'beats':>6s} {'p50 ms':>7s} {'p99 ms':>7s} {'>50 ms':>6s}   {'longest ms':24s} {'noise':>6s}"


def _watch(address: str, line: Connection) -> None:
    host, _, port = address.rpartition(":")
    beats: list[tuple[float, float, float]] = []
    connection: socket.socket | None = None
    late_s = 0.0
    while not line.poll():
        began = time.monotonic()
        try:
            if connection is None:
                connection = socket.create_connection((host, int(port)), ANSWER_S)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(REQUEST)
            if not _answered(connection):
                raise ConnectionError("closed")
            beats.append((began, time.monotonic() - began, late_s))
        except OSError:
            connection = None
        due = max(began + EVERY_S, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()) or EVERY_S)
        late_s = max(0.0, time.monotonic() - due - EVERY_S)
    line.send(beats)


def _answered(connection: socket.socket) -> bool:
    """One whole reply: its body is the JSON object that the headers announce."""
    data = b""
    while not data.endswith(b"}"):
        more = connection.recv(4096)
        if not more:
            return False
        data += more
    return True
