"""ZooKeeper's client protocol, as far as a load needs it: a session, and create, setData, getData, sync, multi. Pure.

Jute: big-endian integers, strings and buffers with their length before them; each packet behind its own length.
Replies of one connection come in the order of its requests, so requests can be made beforehand, all under one number
(``XID``).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from harness.bench.dialects import LINEARIZABLE, Pairs, Request

XID = 1
_CREATE, _GET_DATA, _SET_DATA, _SYNC, _MULTI = 1, 4, 5, 9, 14
_CLOSE = -11
OK, NODE_EXISTS = 0, -110
_ANY_VERSION = -1
_INT, _REPLY = struct.Struct(">i"), struct.Struct(">iqi")
_WORLD_ANYTHING = struct.pack(">ii", 1, 31) + b"".join(_INT.pack(len(word)) + word for word in (b"world", b"anyone"))
"""One access rule: whoever comes may do everything."""
PACKET_BYTES_MAX = 1 << 20
"""jute.maxbuffer: what a server takes."""
EXISTING = "k"
"""Keys that begin so are there (``traffic.key``); all others are created when they are written first."""


def connect(timeout_ms: int) -> bytes:
    """The first packet of a connection: a new session."""
    return _framed(struct.pack(">iqiq", 0, 0, timeout_ms, 0) + _buffer(b"\0" * 16) + b"\0")


def create(key: str, value: str) -> bytes:
    """A persistent node; NODE_EXISTS if it is there."""
    return _request(_CREATE, _creation(key, value))


def creations(pairs: Pairs) -> Request:
    """All of them created, or none if any is there."""
    return Request("", _multi(_CREATE, [_creation(*pair) for pair in pairs]), len(pairs))


def close() -> bytes:
    """Ends the session, whose expiry the servers would otherwise wait for."""
    return _request(_CLOSE, b"")


class ZooKeeperDialect:
    """See ``dialects.Dialect``: bodies are packets, and a linearizable read is a sync and a getData, two of them."""

    def set(self, key: str, value: str, *, anywhere: bool = False) -> Request:
        there = key.startswith(EXISTING)
        return Request("", _request(_SET_DATA, _setting(key, value)) if there else create(key, value))

    def get(self, key: str, level: str) -> Request:
        read = _request(_GET_DATA, _buffer(_path(key)) + b"\0")
        return Request("", _request(_SYNC, _buffer(_path(key))) + read if level == LINEARIZABLE else read)

    def batch(self, pairs: Pairs, *, anywhere: bool = False) -> Request:
        return Request("", _multi(_SET_DATA, [_setting(*pair) for pair in pairs]), len(pairs))


def packets(body: bytes) -> int:
    """How many replies a request's bytes ask for."""
    count = place = 0
    while place < len(body):
        place += 4 + _INT.unpack_from(body, place)[0]
        count += 1
    return count


class Replies:
    """Bytes in, (error, number of the transaction) of each whole reply out. The session's own has neither."""

    def __init__(self) -> None:
        self._rest = b""
        self._connected = False

    def feed(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Raises ValueError for bytes that are no reply."""
        buffer, place = self._rest + data if self._rest else data, 0
        while len(buffer) - place >= 4:
            (length,) = _INT.unpack_from(buffer, place)
            if not 0 < length <= 2 * PACKET_BYTES_MAX:
                raise ValueError(f"a packet of {length} bytes: this is no ZooKeeper, or it is out of step")
            if len(buffer) - place < 4 + length:
                break
            yield self._reply(buffer, place + 4)
            place += 4 + length
        self._rest = buffer[place:]

    def _reply(self, buffer: bytes, place: int) -> tuple[int, int]:
        if not self._connected:
            self._connected = True
            return OK, 0
        _, transaction, error = _REPLY.unpack_from(buffer, place)
        return error, transaction


def _path(key: str) -> bytes:
    return f"/{key.replace('/', '.')}".encode()


def _setting(key: str, value: str) -> bytes:
    return _buffer(_path(key)) + _buffer(value.encode()) + _INT.pack(_ANY_VERSION)


def _creation(key: str, value: str) -> bytes:
    return _buffer(_path(key)) + _buffer(value.encode()) + _WORLD_ANYTHING + _INT.pack(0)


def _buffer(data: bytes) -> bytes:
    return _INT.pack(len(data)) + data


def _multi(kind: int, bodies: Sequence[bytes]) -> bytes:
    parts = [struct.pack(">i?i", kind, False, -1) + body for body in bodies]
    return _request(_MULTI, b"".join(parts) + struct.pack(">i?i", -1, True, -1))


def _request(kind: int, body: bytes) -> bytes:
    return _framed(struct.pack(">ii", XID, kind) + body)


def _framed(packet: bytes) -> bytes:
    return _INT.pack(len(packet)) + packet


def mode(told: str) -> tuple[bool, int] | None:
    """Of the four letters ``srvr``: whether it leads, and its epoch; None while it does neither lead nor follow."""
    fields = dict(line.split(": ", 1) for line in told.splitlines() if ": " in line)
    if fields.get("Mode") not in ("leader", "follower"):
        return None
    return fields["Mode"] == "leader", int(fields["Zxid"], 16) >> 32
