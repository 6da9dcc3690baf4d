"""One client connection: aiohttp's, but for what it says to those who do not speak HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

MalformedHandler = Callable[[web.BaseRequest, str], web.StreamResponse]


class Connection(web.RequestHandler):
    """Answers garbage in our envelope instead of in plain text, and does not log a traceback for it."""

    __slots__ = ("_on_malformed",)

    def __init__(self, server: web.Server, *, on_malformed: MalformedHandler, **options: Any) -> None:
        super().__init__(server, **options)
        self._on_malformed = on_malformed

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Called by aiohttp for bytes that are no HTTP request."""
        return self._on_malformed(request, message or str(exc) or "unreadable")

    def log_exception(self, *args: Any, **fields: Any) -> None:
        """aiohttp tells of bodies that break off or are mis-framed, after we have answered: the client's fault."""
        self.logger.debug(*args, **{"exc_info": True, **fields})
