"""The two ends of a link, as asyncio protocols: ``Outbound`` sends frames, ``Inbound`` receives them.

A link is a TCP connection that carries frames one way only, from the dialler to the acceptor, in order. Its law: what
was sent on a live link arrives in order and without a gap, or the link dies; a full send queue therefore kills it.
The acceptor's only words after the handshake are u64 counts of the bytes that it has received: at once when pinged (an
empty frame of ``LINK_GROUP``), and while much comes in. They tell the dialler that somebody listens, and how far away.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol, TypeVar, cast

from dkv.clock import Clock
from dkv.net.frames import LINK_GROUP, Frame, FrameDecoder, FrameError, encode
from dkv.net.handshake import Acceptor, Dialler, HandshakeRefused
from dkv.net.options import Options

OnFrame = Callable[[str, int, bytes], None]

ACK_INTERVAL_BYTES = 256 * 1024
"""Progress is reported at least so often (one read of asyncio's), so a long queue does not look like silence."""

RTT_WEIGHT = 0.125
"""Of a new sample in the estimate (RFC 6298 §2)."""

ACK = struct.Struct(">Q")
PING = encode([(LINK_GROUP, b"")])
_RESETS = (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)
_KEEPALIVE_S = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 3}
"""The kernel finds a vanished machine within 8 s, for the direction in which we have nothing to say."""


L_contra = TypeVar("L_contra", bound="Link", contravariant=True)


class Owner(Protocol[L_contra]):
    """Who keeps links: told of each once when it is made, proven and lost, in that order and only by the loop."""

    def link_made(self, link: L_contra) -> None: ...
    def link_up(self, link: L_contra) -> None: ...
    def link_lost(self, link: L_contra) -> None: ...


class Link(asyncio.Protocol):
    """What both ends share: the handshake with its deadline, and how a connection ends."""

    def __init__(self, owner: Owner[Any], handshake: Dialler | Acceptor, options: Options) -> None:
        loop = asyncio.get_running_loop()
        self.peer: str | None = None
        """Who proved to be at the other end; None before that."""
        self.ended: str | None = None
        """Why the link is over; None while it is not."""
        self.reset = False
        """The other side closed or reset it: a hint that its process died."""
        self.closed: asyncio.Future[None] = loop.create_future()
        self.remote = "an unknown address"
        self._owner, self._handshake, self._options = owner, handshake, options
        self._transport: asyncio.Transport
        self._write: Callable[[bytes], None]
        """Onto the transport, what is no frame."""
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._write = self.writer()
        self.remote = "{}:{}".format(*(transport.get_extra_info("peername") or ("?", "?"))[:2])
        deadline_s = self._options.handshake_deadline_s
        self._deadline = asyncio.get_running_loop().call_later(
            deadline_s, self.abort, f"the handshake was not complete after {deadline_s:g} s"
        )
        self._owner.link_made(self)
        _configure(transport.get_extra_info("socket"))

    def writer(self) -> Callable[[bytes], None]:
        """The transport's own; a seam for links that are told to behave badly."""
        return self._transport.write

    def data_received(self, data: bytes) -> None:
        if self.ended is not None:
            return
        if self.peer is not None:
            self.received(data)
        else:
            self._shake_hands(data)

    def received(self, data: bytes) -> None:
        """Bytes that came after the handshake."""
        raise NotImplementedError

    def _shake_hands(self, data: bytes) -> None:
        try:
            reply = self._handshake.feed(data)
        except HandshakeRefused as refused:
            if refused.reply:
                self._write(refused.reply)
                self.finish(str(refused))
            else:
                self.abort(str(refused))
            return
        if self._handshake.peer is not None:
            assert self._deadline is not None, "bytes came before the connection was made"
            self._deadline.cancel()
            self.peer = self._handshake.peer
            self._owner.link_up(self)
        # The owner may have ended it: then the other side must not be welcomed.
        if self.ended is None:
            self._write(reply)

    def eof_received(self) -> bool | None:
        # Not left to asyncio: it would wait for our queue to drain, into a process that may be dead.
        self.reset = self.ended is None
        self.abort("closed by the other side")
        return None

    def finish(self, why: str) -> None:
        """Say no more; the other side reads the rest and closes. The caller, or the deadline, bounds the wait for that.

        Half-closed, because a close with unread acknowledgements is a reset, which destroys what is on its way.
        """
        self.ended = self.ended or why
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:  # TLS
            self._transport.close()

    def abort(self, why: str) -> None:
        """Close now; what is queued is lost. ``link_lost`` follows from the loop, never from within this call."""
        self.ended = self.ended or why
        self._transport.abort()

    def forsake(self, why: str) -> None:
        """``abort``, for a connection that the loop gave up by itself: uvloop then closes it without saying so."""
        self.abort(why)
        self.connection_lost(None)

    def connection_lost(self, error: Exception | None) -> None:
        if self.closed.done():  # forsaken before
            return
        if self._deadline is not None:
            self._deadline.cancel()
        if self.ended is None:
            self.reset = isinstance(error, _RESETS)
            self.ended = "closed" if error is None else str(error) or type(error).__name__
        self.closed.set_result(None)
        self._owner.link_lost(self)


class Outbound(Link):
    """The dialler's end: ``send`` while ``peer`` is known and ``ended`` is not."""

    def __init__(self, owner: Owner[Outbound], handshake: Dialler, options: Options, clock: Clock) -> None:
        super().__init__(owner, handshake, options)
        self.sent_bytes = 0
        self.sent_frames = 0
        self.rtt_s: float | None = None
        """Smoothed round trip through the peer's loop, seconds."""
        self._clock = clock
        self._hello = handshake.hello()
        self._acked_bytes = 0
        self._ack = bytearray()
        self._pinged_at: float | None = None
        """When a sign of life was asked for that has not come yet."""
        self._ping_end_bytes = 0
        self._silent_pings = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._write(self._hello)

    @property
    def queued_bytes(self) -> int:
        """Accepted by ``send``, not yet by the kernel."""
        return self._transport.get_write_buffer_size()

    def send(self, frames: Sequence[Frame]) -> bool:
        """One write of all frames. False: they are lost, and so is the link (or it was already)."""
        assert self.peer is not None, "nothing may be sent before the handshake is complete"
        if self.ended is not None or self._transport.is_closing():
            return False
        data = encode(frames)
        if self._transport.get_write_buffer_size() + len(data) > self._options.send_queue_bytes_max:
            self.abort(f"its send queue exceeded {self._options.send_queue_bytes_max} bytes")
            return False
        self._transport.write(data)
        self.sent_bytes += len(data)
        self.sent_frames += len(frames)
        return True

    def ping(self) -> None:
        """Once every ``ping_interval_s``: ask for a sign of life, or count the interval that passed without one."""
        if self.ended is not None:
            return
        if self._pinged_at is None:
            self._pinged_at = self._clock.now()
            self.ask()
            return
        self._silent_pings += 1
        if self._silent_pings >= self._options.silent_pings_max:
            silent_s = self._options.silent_pings_max * self._options.ping_interval_s
            self.abort(f"no sign of life for {silent_s:g} s")

    def ask(self) -> None:
        """Send a ping."""
        self._write(PING)
        self.sent_bytes += len(PING)
        self._ping_end_bytes = self.sent_bytes

    def received(self, data: bytes) -> None:
        self._ack += data
        whole = len(self._ack) // ACK.size * ACK.size
        if not whole:
            return
        (acked,) = ACK.unpack_from(self._ack, whole - ACK.size)
        del self._ack[:whole]
        if not self._acked_bytes <= acked <= self.sent_bytes:
            self.abort(f"it acknowledges {acked} bytes, {self.sent_bytes} were sent")
            return
        if acked > self._acked_bytes:
            self._silent_pings = 0
        self._acked_bytes = acked
        if self._pinged_at is not None and acked >= self._ping_end_bytes:
            self._sample(self._clock.now() - self._pinged_at)
            self._pinged_at = None

    def _sample(self, rtt_s: float) -> None:
        self.rtt_s = rtt_s if self.rtt_s is None else self.rtt_s + RTT_WEIGHT * (rtt_s - self.rtt_s)


class Inbound(Link):
    """The acceptor's end: hands each frame of a proven peer to ``on_frame``, in order."""

    def __init__(self, owner: Owner[Inbound], handshake: Acceptor, options: Options, on_frame: OnFrame) -> None:
        super().__init__(owner, handshake, options)
        self.received_bytes = 0
        self.received_frames = 0
        self._on_frame = on_frame
        self._decoder = FrameDecoder()
        self._acked_bytes = 0

    def received(self, data: bytes) -> None:
        self.received_bytes += len(data)
        try:
            frames = self._decoder.feed(data)
        except FrameError as error:
            self.abort(str(error))
            return
        self.take(frames)

    def take(self, frames: Sequence[Frame]) -> None:
        """Frames that have come."""
        assert self.peer is not None, "frames of nobody"
        pinged = False
        for group, body in frames:
            if group == LINK_GROUP:
                pinged = True
            else:
                self.received_frames += 1
                self._on_frame(self.peer, group, body)
        if pinged or self.received_bytes - self._acked_bytes >= ACK_INTERVAL_BYTES:
            self._acknowledge()

    def _acknowledge(self) -> None:
        # The counts are cumulative: to skip one that the kernel would not take bounds the queue and loses nothing.
        if not self._transport.is_closing() and not self._transport.get_write_buffer_size():
            self._acked_bytes = self.received_bytes
            self._write(ACK.pack(self.received_bytes))


async def close_all(links: Collection[Link], deadline_s: float) -> None:
    """Let queued bytes leave for at most ``deadline_s`` (0: not at all); then every transport is closed."""
    if not links:
        return
    closed = [link.closed for link in links]
    if deadline_s:
        for link in links:
            link.finish("this node stops")
        await asyncio.wait(closed, timeout=deadline_s)
    for link in links:
        if not link.closed.done():
            link.abort("this node stops")
    await asyncio.wait(closed)


def _configure(sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE_S.items():
        if hasattr(socket, name):  # absent on some systems
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
