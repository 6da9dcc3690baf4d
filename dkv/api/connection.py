"""One client connection: aiohttp's, but for what it says to those who do not speak HTTP, and how many there may be."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

DESCRIPTORS_RESERVED: Final = 256
"""For the log, checkpoints and links to peers: clients must not be able to take the last file descriptor."""

MalformedHandler = Callable[[web.BaseRequest, str], web.StreamResponse]


class Places:
    """Open connections, against their limit."""

    def __init__(self, connections_max: int) -> None:
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        bounded = descriptors != resource.RLIM_INFINITY
        self.limit = max(1, min(connections_max, descriptors - DESCRIPTORS_RESERVED) if bounded else connections_max)
        self.taken = 0


class Connection(web.RequestHandler):
    """Answers garbage in our envelope instead of in plain text, and does not log a traceback for it."""

    __slots__ = ("_on_malformed", "_places")

    def __init__(self, server: web.Server, *, places: Places, on_malformed: MalformedHandler, **options: Any) -> None:
        super().__init__(server, **options)
        self._places = places
        self._on_malformed = on_malformed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Beyond the limit a connection is closed unheard: its client knows that nothing was done."""
        self._places.taken += 1
        if self._places.taken > self._places.limit:
            transport.close()
        else:
            super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Its place is free again."""
        self._places.taken -= 1
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Called by aiohttp for bytes that are no HTTP request (400); anything else would be a bug of ours."""
        if status != web.HTTPBadRequest.status_code:
            return super().handle_error(request, status, exc, message)
        return self._on_malformed(request, message or str(exc) or "unreadable")

    def log_exception(self, *args: Any, **fields: Any) -> None:
        """Bodies that turn out mis-framed after we have answered are the client's fault, and no news."""
        if not isinstance(fields.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **fields)
