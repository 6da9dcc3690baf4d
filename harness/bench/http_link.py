"""One connection that speaks HTTP/1.1 as a client: bytes that were made before go out, statuses come back in order.

It knows no time and keeps no queue: whoever sends decides when. Parsed by httptools (llhttp), so that one core can
keep up with servers that use the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

OnReply = Callable[[int, bytes], None]
"""Told the status and the body of each reply; status 0: the connection was lost, and nothing more will come."""


class Link(asyncio.Protocol):
    """``keep_bodies``: else ``on_reply`` is told b""."""

    def __init__(self, on_reply: OnReply, *, keep_bodies: bool = False) -> None:
        self._on_reply, self._keep_bodies = on_reply, keep_bodies
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._on_reply(0, b"")

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def send(self, request: bytes) -> None:
        """The bytes of one request. Must be connected."""
        assert self._transport is not None, "a lost connection was told of"
        self._transport.write(request)

    def close(self) -> None:
        """Nothing more is told but the loss."""
        if self._transport is not None:
            self._transport.abort()

    def on_message_begin(self) -> None:
        """Called by the parser, as are the two below."""
        self._body.clear()

    def on_body(self, data: bytes) -> None:
        if self._keep_bodies:
            self._body.append(data)

    def on_message_complete(self) -> None:
        self._on_reply(self._parser.get_status_code(), b"".join(self._body))


async def connect(address: str, on_reply: OnReply, *, keep_bodies: bool = False) -> Link:
    """To ``host:port``. Raises OSError."""
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    _, link = await loop.create_connection(lambda: Link(on_reply, keep_bodies=keep_bodies), host, int(port))
    return link
