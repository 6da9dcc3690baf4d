"""One client connection that aiohttp serves, with our words for those who do not speak HTTP; and how many there may be.

It began in the lane (``dkv.api.lane``), which took its place.
"""

from __future__ import annotations

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

    def take(self) -> bool:
        """Whether there was one; each call is followed by one ``free``, also where there was none."""
        self.taken += 1
        return self.taken <= self.limit

    def free(self) -> None:
        self.taken -= 1
        assert self.taken >= 0, "a connection was lost twice"


class Connection(web.RequestHandler):
    """Answers garbage in our envelope instead of in plain text, and does not log a traceback for it."""

    __slots__ = ("_on_malformed", "_places")

    def __init__(self, server: web.Server, *, places: Places, on_malformed: MalformedHandler, **options: Any) -> None:
        super().__init__(server, **options)
        self._places = places
        self._on_malformed = on_malformed

    def connection_lost(self, exc: BaseException | None) -> None:
        """The place that the lane took is free again."""
        self._places.free()
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
