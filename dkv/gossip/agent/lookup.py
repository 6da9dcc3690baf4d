"""Where a place is that an operator named: ``HOST:PORT``, ``HOST``, or an address."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address

from dkv.gossip.wire.particulars import U16_MAX, Address


class NotFound(Exception):
    """The text is the reason, for people."""


def read_place(place: str, default_port: int) -> Address:
    """``10.0.0.1:7946``, ``db``, ``[::1]:7946``, ``::1`` → host and port. Raises ``NotFound``."""
    host, port = place, str(default_port)
    if place.startswith("["):
        host, _, rest = place[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif place.count(":") == 1:
        host, _, port = place.partition(":")
    if not host or not port.isascii() or not port.isdecimal() or not 0 < int(port) <= U16_MAX:
        raise NotFound("not a HOST:PORT")
    return Address(host, int(port))


async def look_up(place: str, default_port: int) -> Address:
    """With an IP address. Raises ``NotFound``."""
    return await resolve(read_place(place, default_port))


async def resolve(address: Address) -> Address:
    """The host's first IP address, if it is a name. Raises ``NotFound``."""
    try:
        return Address(str(ip_address(address.host)), address.port)
    except ValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise NotFound(f"no such host ({reason})" if reason else "no such host") from None
    return Address(str(found[0][4][0]), address.port)
