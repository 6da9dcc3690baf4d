"""The two sockets of a member, UDP and TCP on one port, as memberlist wants them."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from typing import Final, NamedTuple

from dkv.errors import StartupError
from dkv.gossip.wire.particulars import Address

ATTEMPTS_MAX: Final = 32
"""At finding a port that is free for both, when any will do: most are, so that the second one is rare."""

RECEIVE_BUFFER_BYTES: Final = 2 * 1024 * 1024
"""Memberlist's UDP buffer. It is halved until the system allows it; Linux's default limit is 208 KiB."""


class Sockets(NamedTuple):
    """Bound, not yet listening; ``address``: an IP address, and the real port."""

    udp: socket.socket
    tcp: socket.socket
    address: Address

    def close(self) -> None:
        self.udp.close()
        self.tcp.close()


def bind(address: Address) -> Sockets:
    """Take the port (0: any) on both. ``address.host`` may be a name. Raises ``StartupError``."""
    where = f"{address.host}:{address.port}"
    if not 0 <= address.port < 65536:
        raise StartupError(f"cannot use {where} for gossip: no such port")
    try:
        family, _, _, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise StartupError(f"cannot use {where} for gossip: {error}") from error
    host = str(place[0])
    for attempt in range(ATTEMPTS_MAX):
        try:
            return _bind_both(family, host, address.port)
        except OSError as error:
            if address.port or error.errno != errno.EADDRINUSE or attempt == ATTEMPTS_MAX - 1:
                raise StartupError(f"cannot listen on {where} for gossip: {error.strerror}") from error
    raise AssertionError("the last attempt neither succeeded nor failed")


def _bind_both(family: int, host: str, port: int) -> Sockets:
    tcp, udp = socket.socket(family, socket.SOCK_STREAM), socket.socket(family, socket.SOCK_DGRAM)
    try:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind((host, port))
        real = int(tcp.getsockname()[1])
        udp.bind((host, real))
        for each in (tcp, udp):
            each.setblocking(False)
        _enlarge(udp)
    except OSError:
        tcp.close()
        udp.close()
        raise
    return Sockets(udp, tcp, Address(host, real))


def _enlarge(udp: socket.socket) -> None:
    """What comes while we do something else must wait there: who loses an ack suspects its sender."""
    size_bytes = RECEIVE_BUFFER_BYTES
    while size_bytes > udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF):
        with suppress(OSError):
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size_bytes)
        size_bytes //= 2
