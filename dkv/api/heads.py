"""Heads of hot requests: bytes → ``Head``, or None for whatever is not plainly one of them. The door to httptools.

A request is hot if its method and path are those of a key or a command, it says how long its body is, and no header in
it changes how it must be read. Clients that keep a connection send the same bytes again and again, so heads without
anything unique in them are kept, parsed. Law: None costs a client speed and nothing else; what is refused here is read
again by the full parser, which says what is wrong with it.
"""

from __future__ import annotations

from typing import Final

import httptools

from dkv.api.exchange import CONTENT_TYPE, FORWARDED_BY, IDEMPOTENCY_KEY, MIN_INDEX, REQUEST_ID, TIMEOUT
from dkv.api.plans import BY_KEY, COMMAND, COMMAND_TARGET, KEY_PREFIX, Method

HEAD_BYTES_MAX: Final = 4096
"""Longer ones carry something that is not for us; half of what the full parser takes."""

KEPT_HEADS_MAX: Final = 1024
KEPT_HEAD_BYTES_MAX: Final = 512
"""Half a megabyte of heads at most, and each with a parsed twin of about the same size."""

_VALUED: Final = {
    bytes(name.lower(), "ascii"): name
    for name in (CONTENT_TYPE, FORWARDED_BY, IDEMPOTENCY_KEY, MIN_INDEX, REQUEST_ID, TIMEOUT)
}
"""What a handler may look at."""
_UNIQUE: Final = frozenset({IDEMPOTENCY_KEY, MIN_INDEX, REQUEST_ID})
"""Another value with each request: not worth keeping."""
_FRAMING: Final = frozenset({b"transfer-encoding", b"content-encoding", b"expect", b"upgrade", b"trailer", b"te"})
"""Whoever sends one of these wants more than the lane can do."""
_CONNECTION: Final = frozenset({b"keep-alive", b"close"})
_VERSIONS: Final = {"1.0": 0, "1.1": 1}
_GRAPHIC: Final = frozenset(range(0x21, 0x7F))


class Head:
    """``argument``: of the path of a key, still encoded; ``headers``: those that a handler may look at;
    ``is_command``: ``POST /``, else a key's resource."""

    __slots__ = (
        "argument",
        "content_length",
        "headers",
        "is_command",
        "keep_alive",
        "method",
        "minor_version",
        "name",
        "query",
        "target",
    )

    def __init__(
        self,
        name: str,
        method: Method,
        target: str,
        headers: dict[str, str],
        content_length: int,
        *,
        keep_alive: bool,
        minor_version: int,
    ) -> None:
        self.name = name
        self.method = method
        self.target = target
        self.headers = headers
        self.content_length = content_length
        self.keep_alive = keep_alive
        self.minor_version = minor_version
        path, _, self.query = target.partition("?")
        self.argument = path[len(KEY_PREFIX) :]
        self.is_command = method is COMMAND


class Heads:
    """The parser, and the heads it has seen."""

    def __init__(self) -> None:
        self._kept: dict[bytes, Head | None] = {}

    def read(self, raw: bytes) -> Head | None:
        """``raw`` ends with the empty line."""
        if raw in self._kept:
            return self._kept[raw]
        head = _parse(raw)
        if len(raw) <= KEPT_HEAD_BYTES_MAX and (head is None or _UNIQUE.isdisjoint(head.headers)):
            if len(self._kept) >= KEPT_HEADS_MAX:
                self._kept.clear()
            self._kept[raw] = head
        return head


class _Listener:
    """Collects what the parser calls out; ``plain`` ends as soon as something is not."""

    def __init__(self) -> None:
        self.target = b""
        self.headers: dict[str, str] = {}
        self.content_length: int | None = None
        self.connections = 0
        self.plain = True
        self.complete = False
        self.keep_alive = False
        self.parser = httptools.HttpRequestParser(self)

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        valued = _VALUED.get(name)
        if valued is not None:
            self.plain &= valued not in self.headers and bool(value) and _GRAPHIC.issuperset(value.replace(b" ", b"-"))
            self.plain &= value == value.strip()
            self.headers[valued] = value.decode("latin-1")
        elif name == b"content-length":
            self.plain &= self.content_length is None and value.isdigit()
            self.content_length = int(value) if self.plain else 0
        elif name == b"connection":
            self.connections += 1
            self.plain &= self.connections == 1 and value.lower() in _CONNECTION
        elif name in _FRAMING:
            self.plain = False

    def on_headers_complete(self) -> None:
        self.complete = True
        self.keep_alive = self.parser.should_keep_alive()  # at the message's end it has forgotten


def _parse(raw: bytes) -> Head | None:
    listener = _Listener()
    parser = listener.parser
    try:
        parser.feed_data(raw)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    finally:
        del listener.parser  # each holds the other, and nobody should need the collector for a head
    minor_version = _VERSIONS.get(parser.get_http_version())
    if not (listener.plain and listener.complete) or minor_version is None:
        return None
    name, target = parser.get_method().decode("ascii"), listener.target
    if not _GRAPHIC.issuperset(target) or b"#" in target:
        return None
    method = _method(name, target.decode("ascii"))
    content_length = listener.content_length or 0
    if method is None or (content_length and not method.takes_body):
        return None
    return Head(
        name,
        method,
        target.decode("ascii"),
        listener.headers,
        content_length,
        keep_alive=listener.keep_alive,
        minor_version=minor_version,
    )


def _method(name: str, target: str) -> Method | None:
    if target.startswith(KEY_PREFIX):
        return BY_KEY.get(name)
    return COMMAND if name == "POST" and target.partition("?")[0] == COMMAND_TARGET else None
