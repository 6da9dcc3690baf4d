"""``host:port``, the only way in which dkv writes down where something listens."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple


class Address(NamedTuple):
    """Port 0 lets the kernel choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def loopback_source(host: str) -> tuple[str, int] | None:
    """The address to dial from for whoever listens on ``host``; None: whichever the kernel takes.

    A node that was given a loopback address of its own (127.0.0.2) is known by it in both directions, so that a
    firewall's rules can tell nodes of one machine apart. Where there are networks, routing knows better than we do.
    """
    try:
        own = ipaddress.IPv4Address(host)
    except ValueError:
        return None
    return (host, 0) if own.is_loopback and host != "127.0.0.1" else None


def parse_address(text: str) -> Address:
    """``127.0.0.1:30001``, ``localhost:80`` or ``[::1]:80``. Raises ``ValueError``."""
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r}: expected HOST:PORT, as in 127.0.0.1:30001.")
    return Address(host, int(port))
