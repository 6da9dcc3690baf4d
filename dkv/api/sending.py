"""A reply on its way through aiohttp: the methods that its server calls on every response (``prepare``, ``write_eof``,
``keep_alive``). It bounds how long a client may take to read.
"""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from dkv.api.response import Response

UNREAD_BYTES_MAX: Final = 64 * 1024
"""What may wait in the transport's buffer before we wait for the client: aiohttp's own number."""


class Sending(web.StreamResponse):
    """One response, sent whole in ``prepare``."""

    def __init__(self, response: Response, write_timeout_s: float) -> None:
        super().__init__(status=response.status)
        self._response = response
        self._write_timeout_s = write_timeout_s

    @property
    def keep_alive(self) -> bool:
        """Whether another request may follow."""
        return not self._response.closes

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send all of it. Raises ``ConnectionResetError`` if the client is gone, or does not read."""
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client closed its connection before the reply")
        transport.write(
            self._response.encode(
                keep_alive=bool(request.keep_alive),
                minor_version=request.version.minor,
                without_body=request.method == "HEAD",
            )
        )
        if transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            await self._wait_until_read(request, transport)
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to send."""

    async def _wait_until_read(self, request: web.BaseRequest, transport: asyncio.Transport) -> None:
        try:
            async with asyncio.timeout(self._write_timeout_s):
                await request.writer.drain()
        except TimeoutError:
            transport.abort()
            raise ConnectionResetError("the client did not read its reply in time") from None
