"""One request on its way through the edge: its parts, read when (and only if) somebody needs them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from aiohttp import web
from multidict import istr

from dkv.api.admission import Admission
from dkv.api.limits import Limits
from dkv.api.parameters import Parameters, parse_flag, parse_integer, parse_query, parse_timeout
from dkv.errors import BadRequest, SlowRequest, TooLarge
from dkv.metrics import RouteMeter

# istr: header lookups that need not fold their case again.
TIMEOUT: Final = istr("X-DKV-Timeout")
MIN_INDEX: Final = istr("X-DKV-Min-Index")
IDEMPOTENCY_KEY: Final = istr("Idempotency-Key")
REQUEST_ID: Final = istr("X-Request-Id")
FORWARDED_BY: Final = istr("X-DKV-Forwarded-By")
CONTENT_TYPE: Final = istr("Content-Type")
_CONTENT_LENGTH: Final = istr("Content-Length")
_CONTENT_ENCODING: Final = istr("Content-Encoding")
_EXPECT: Final = istr("Expect")

SMALL_BODY_BYTES: Final = 64 * 1024
"""Bodies up to here are not counted against ``in_flight_body_bytes_max``: 1024 of them are 64 MiB."""

_NO_PARAMETERS: Final[Parameters] = {}


class Exchange:
    """``target``: path and query as they came (ASCII: the parser refuses all else). ``headers``: by the names above.
    ``argument``: what a prefix route left of the path, still encoded. ``meter``: counts it, once its route is known.
    ``forwardable``: the leader may be asked on the client's behalf. ``content``: the body, once it has arrived.
    ``mutates``: set before anything is done that may take effect; until then, every failure is ``not_applied``.
    """

    __slots__ = (
        "argument",
        "content",
        "forwardable",
        "headers",
        "meter",
        "method",
        "mutates",
        "parameters",
        "query",
        "request_id",
        "reserved_bytes",
        "started",
        "target",
    )

    def __init__(
        self, method: str, target: str, headers: Mapping[str, str], request_id: str, started: float, meter: RouteMeter
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.request_id = request_id
        self.started = started
        self.meter = meter
        self.query = ""
        self.argument = ""
        self.parameters = _NO_PARAMETERS
        self.mutates = False
        self.forwardable = False
        self.content: bytes | None = None
        self.reserved_bytes = 0

    def header(self, name: str) -> str | None:
        """As it came."""
        return self.headers.get(name)

    def parse_parameters(self, allowed: frozenset[str]) -> None:
        """Fill ``parameters`` from the query. Raises ``BadRequest`` for any that is not in ``allowed``."""
        self.forwardable = "forward" in allowed
        if self.query:
            self.parameters = parse_query(self.query, allowed)

    def flag(self, name: str) -> bool:
        """``?name``; absent: false. Raises ``BadRequest``."""
        text = self.parameters.get(name)
        return text is not None and parse_flag(name, text)

    def integer(self, name: str) -> int | None:
        """``?name=5``; absent: None. Raises ``BadRequest``."""
        text = self.parameters.get(name)
        return None if text is None else parse_integer(name, text)

    def deadline(self, default_s: float) -> float:
        """When whoever serves this must have answered, in the clock's time. Raises ``BadRequest``."""
        text = self.headers.get(TIMEOUT)
        return self.started + (default_s if text is None else parse_timeout(text))

    def min_index(self) -> int:
        """``X-DKV-Min-Index``. Raises ``BadRequest``."""
        text = self.headers.get(MIN_INDEX)
        return 0 if text is None else parse_integer("X-DKV-Min-Index", text)

    async def body(self) -> bytes:
        """The whole body. Raises ``BadRequest``, ``TooLarge``, ``SlowRequest`` or ``Busy``."""
        assert self.content is not None, "a request without a stream has its body from the beginning"
        return self.content

    @property
    def is_read(self) -> bool:
        """Whether nothing of its body is left on the connection."""
        return True


class StreamedExchange(Exchange):
    """One that aiohttp parsed: its body may still be on its way."""

    __slots__ = ("_admission", "_limits", "request")

    def __init__(
        self,
        request: web.BaseRequest,
        request_id: str,
        started: float,
        limits: Limits,
        admission: Admission,
        meter: RouteMeter,
    ) -> None:
        raw = request.raw_path
        # Absolute form (RFC 9112 §3.2.2) is for proxies; the part after the host is what counts.
        target = raw if raw.startswith("/") else str(request.rel_url)
        super().__init__(request.method, target, request.headers, request_id, started, meter)
        self.request = request
        self._limits = limits
        self._admission = admission

    @property
    def is_read(self) -> bool:
        return self.request.content.is_eof()

    async def body(self) -> bytes:
        """The whole body. Raises ``BadRequest``, ``TooLarge``, ``SlowRequest`` or ``Busy``."""
        if self.content is None:
            headers = self.request.headers
            if _CONTENT_ENCODING in headers and headers[_CONTENT_ENCODING].lower() != "identity":
                raise BadRequest("The body is compressed (Content-Encoding); send it as it is.")
            stream = self.request.content
            if stream.is_eof() and stream.total_bytes <= SMALL_BODY_BYTES:
                self.content = stream.read_nowait()  # it came with its header: no need to wait, or for a timer
            else:
                self.content = await self._arriving_body()
        return self.content

    async def _arriving_body(self) -> bytes:
        declared = self.request.headers.get(_CONTENT_LENGTH)
        self._check_size(int(declared) if declared is not None else 0)
        self._invite_body()
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_timeout_s):
                while chunk := await self.request.content.readany():
                    body += chunk
                    self._check_size(len(body))
        except TimeoutError:
            raise SlowRequest(
                f"The body did not arrive within {self._limits.body_timeout_s:g} s "
                f"({len(body)} bytes did). Nothing was done."
            ) from None
        except web.RequestPayloadError as error:
            raise BadRequest(f"The body is not well-formed HTTP: {error}") from None
        return bytes(body)

    def _check_size(self, size_bytes: int) -> None:
        limit = self._limits.body_bytes_max
        if size_bytes > limit:
            raise TooLarge(f"The body has more than {limit} bytes, which is the limit. Nothing was done.")
        if size_bytes > SMALL_BODY_BYTES and size_bytes > self.reserved_bytes:
            self._admission.reserve(size_bytes - self.reserved_bytes)
            self.reserved_bytes = size_bytes

    def _invite_body(self) -> None:
        """curl waits a second for this before it sends a larger body."""
        transport = self.request.transport
        if transport is not None and self.request.headers.get(_EXPECT, "").lower() == "100-continue":
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
