"""The fast lane: a connection whose requests are served without aiohttp, as long as they are hot.

One request at a time, in order; what comes meanwhile waits in the buffer. At the first request that is anything else
the connection becomes aiohttp's, with every byte that was not answered yet. Law: a byte is served by one of the two,
never by both: a request is handed over whole, before anything was done for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

from aiohttp import web

from dkv.api.connection import Places
from dkv.api.heads import HEAD_BYTES_MAX, Head, Heads
from dkv.api.hot import HotRoutes
from dkv.api.limits import Limits
from dkv.api.response import Response

BODY_BYTES_MAX: Final = 128 * 1024
"""A larger one is not hot: it must be counted, and timed while it arrives."""

BUFFER_BYTES_MAX: Final = HEAD_BYTES_MAX + BODY_BYTES_MAX
"""What a client may send ahead of its replies before it is no longer read."""

UNREAD_BYTES_MAX: Final = 64 * 1024
"""What may wait for a client to read before nothing more is served to it."""

PATIENCE_S: Final = 1.0
"""For the rest of a request that came in part. After that it is aiohttp's, whose time limits are the node's."""

SWEEP_S: Final = 0.5
"""How often idle and stuck connections are looked at: a timer for each would cost more than its request."""

_END: Final = b"\r\n\r\n"


class Lanes:
    """All connections of one node that are in the lane, and what they share."""

    def __init__(
        self,
        hot: HotRoutes | None,
        places: Places,
        limits: Limits,
        loop: asyncio.AbstractEventLoop,
        full: Callable[[], web.RequestHandler],
    ) -> None:
        """``full`` makes aiohttp's protocol for a connection that is handed over; without ``hot`` all of them are."""
        self.hot, self.places, self.limits, self.full = hot, places, limits, full
        self.heads = Heads()
        self.open: set[Lane] = set()
        self.now = 0.0
        """Of the last sweep: good enough for time limits of seconds."""
        self._loop = loop
        self._every_s = min(SWEEP_S, limits.keepalive_timeout_s / 2, limits.write_timeout_s / 2)
        self._timer: asyncio.TimerHandle | None = None

    def lane(self) -> Lane:
        """The protocol of a new connection."""
        return Lane(self)

    def begin(self, lane: Lane) -> None:
        """It is looked after from now on."""
        self.open.add(lane)
        if self._timer is None:
            self.now = self._loop.time()
            self._timer = self._loop.call_later(self._every_s, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        self.now = self._loop.time()
        for lane in list(self.open):
            lane.look(self.now)
        if self.open:
            self._timer = self._loop.call_later(self._every_s, self._sweep)

    def close(self) -> None:
        """The node stops: nobody is waited for any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for lane in list(self.open):
            lane.close()


class Lane(asyncio.Protocol):
    """One connection: ``hot.Asker`` for its current request."""

    __slots__ = (
        "_buffer",
        "_current",
        "_head",
        "_is_ahead",
        "_is_serving",
        "_lanes",
        "_since",
        "_transport",
        "_unread",
    )

    _transport: asyncio.Transport

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._buffer = b""
        self._current = b""
        self._head: Head | None = None
        self._is_serving = False
        self._is_ahead = False
        self._unread = False
        self._since = 0.0

    # ---- what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Beyond the limit a connection is closed unheard: its client knows that nothing was done."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has its methods, not its type
        if not self._lanes.places.take():
            transport.close()
            return
        self._transport.set_write_buffer_limits(high=UNREAD_BYTES_MAX)
        self._lanes.begin(self)
        self._since = self._lanes.now

    def connection_lost(self, exc: BaseException | None) -> None:
        """A request that is being served goes on; its reply will find nobody."""
        self._lanes.places.free()
        self._lanes.open.discard(self)
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if self._head is None and not self._unread:
            self._since = self._lanes.now
            self._go_on()
        elif len(self._buffer) > BUFFER_BYTES_MAX and not self._is_ahead:
            self._is_ahead = True
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        self._unread, self._since = True, self._lanes.now

    def resume_writing(self) -> None:
        self._unread, self._since = False, self._lanes.now
        if not self._is_serving:
            self._go_on()

    # ---- one request after the other

    def _go_on(self) -> None:
        """Serve what is in the buffer, until one request is not answered at once."""
        assert not self._is_serving, "a reply that came at once began another loop"
        self._is_serving = True
        while self._head is None and self._buffer and not self._unread and self._begin_next():
            pass
        self._is_serving = False

    def _begin_next(self) -> bool:
        """Whether a whole request was there, and was hot."""
        buffer = self._buffer
        hot = self._lanes.hot
        if hot is None:
            self._become_full(buffer)
            return False
        body_at = buffer.find(_END) + len(_END)
        if body_at < len(_END):
            return self._wait_for_more(HEAD_BYTES_MAX)
        head = self._lanes.heads.read(buffer[:body_at]) if body_at <= HEAD_BYTES_MAX else None
        if head is None or head.content_length > BODY_BYTES_MAX:
            self._become_full(buffer)
            return False
        end = body_at + head.content_length
        if len(buffer) < end:
            return self._wait_for_more(end)
        self._current, self._buffer = buffer[:end], buffer[end:]
        if self._is_ahead:
            self._read_on()
        self._head, self._since = head, self._lanes.now
        hot.serve(head, buffer[body_at:end], self)
        return True

    def _wait_for_more(self, size_bytes: int) -> bool:
        if len(self._buffer) > size_bytes:
            self._become_full(self._buffer)
        return False

    def reply(self, response: Response) -> None:
        """To the current request; then the next one."""
        head, self._head, self._since = self._head, None, self._lanes.now
        assert head is not None, "a reply to no request: a ticket was called twice"
        if self._transport.is_closing():
            return
        self._transport.write(response.encode(keep_alive=head.keep_alive, minor_version=head.minor_version))
        if response.closes:
            self._buffer = b""
            self._transport.close()
        elif self._buffer and not self._is_serving:
            self._go_on()

    def hand_over(self) -> None:
        """The current request, and the connection with it."""
        self._head = None
        if not self._transport.is_closing():
            self._become_full(self._current + self._buffer)

    def _become_full(self, unanswered: bytes) -> None:
        self._buffer = b""
        self._lanes.open.discard(self)
        full = self._lanes.full()
        self._transport.set_protocol(full)
        full.connection_made(self._transport)
        if self._is_ahead:
            self._read_on()
        full.data_received(unanswered)

    def _read_on(self) -> None:
        self._is_ahead = False
        if not self._transport.is_closing():
            self._transport.resume_reading()

    # ---- time

    def look(self, now: float) -> None:
        """End what has been idle or stuck for too long."""
        waited_s, limits = now - self._since, self._lanes.limits
        if self._unread:
            if waited_s > limits.write_timeout_s:
                self._transport.abort()
        elif self._head is not None:
            return
        elif self._buffer:
            if waited_s > min(PATIENCE_S, limits.keepalive_timeout_s):
                self._become_full(self._buffer)
        elif waited_s > limits.keepalive_timeout_s:
            self._transport.close()

    def close(self) -> None:
        """What was answered leaves; what was not is lost."""
        self._transport.close()
