"""Links that obey ``LinkFaults``: the same two ends, with a lane before and behind the transport.

Messages pass a lane one by one, so each can be lost, doubled or overtaken; pings and acknowledgements can be lost, and
a ping is therefore repeated; handshakes are only late. What a cut link holds is bounded as the link always is: by its
send queue, and by the signs of life that fail to come; so a cut of less than ``silent_pings_max`` intervals loses
nothing, a longer one costs the link. While the way out is cut a link ends without a word to the other side.
A receiver whose way is cut does not read, so the kernel holds what comes and nothing of it, not even its end, is seen.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from functools import partial

from dkv.clock import Clock
from dkv.faults.links import Direction, LinkFaults, name_in
from dkv.faults.pipe import Kind
from dkv.net.frames import Frame, encode
from dkv.net.handshake import Acceptor, Dialler
from dkv.net.links import ACK, PING, Inbound, Link, OnFrame, Outbound, Owner
from dkv.net.options import Options

READ_AHEAD_BYTES = 8 * 1024 * 1024
"""What a slow receiving lane may hold before reading pauses and TCP holds the rest: a full window of appends."""

_FRAME_BYTES = 12
"""Of a frame beside its body."""


class Lanes:
    """Both directions between this node and one peer, for one link."""

    def __init__(self, faults: LinkFaults, peer: str, changed: Callable[[], None]) -> None:
        """``peer``: an identity. ``changed``: called when the rules have changed."""
        self.name = name_in(peer)
        self.send = faults.lane(self.name, Direction.SEND)
        self.receive = faults.lane(self.name, Direction.RECEIVE)
        self._faults, self._changed = faults, changed
        faults.watch(changed)

    def close(self) -> None:
        self._faults.unwatch(self._changed)
        self._faults.close_lane(self.send)
        self._faults.close_lane(self.receive)


class _Shaped(Link):
    """What both ends share. ``_lanes`` is None before the peer is known, and when the link is over."""

    _faults: LinkFaults
    _lanes: Lanes | None = None
    _paused = False
    _gone = False
    """The transport has closed and that is still under way to us, or it was buried: nothing may be written any more."""

    _finished = False
    """We have said that we say no more: messages that this overtook are lost."""

    def _enter(self, peer: str) -> Lanes:
        self._lanes = Lanes(self._faults, peer, self._follow)
        asyncio.get_running_loop().call_soon(self._follow)  # uvloop begins to read only after ``connection_made``
        return self._lanes

    def _leave(self) -> Lanes | None:
        lanes, self._lanes = self._lanes, None
        if lanes is not None:
            lanes.close()
        return lanes

    def _follow(self) -> None:
        """Read, or do not, as the rules and what waits have it."""
        lanes = self._lanes
        if lanes is None or self._transport.is_closing():
            return
        pause = lanes.receive.is_cut or lanes.receive.waiting_bytes > READ_AHEAD_BYTES
        if pause != self._paused:
            self._paused = pause
            self._transport.pause_reading() if pause else self._transport.resume_reading()

    def _arrive(self, call: Callable[[], object], size_bytes: int, kind: Kind) -> None:
        """``call`` takes what has come, when the receiving lane lets it out."""
        if self._lanes is not None:
            self._lanes.receive.put(partial(self._take_out, call), size_bytes, kind)
            self._follow()

    def _take_out(self, call: Callable[[], object]) -> None:
        call()
        self._follow()

    def _wire(self, data: bytes) -> None:
        if not self._gone and not self._finished and not self._transport.is_closing():
            self._transport.write(data)

    def writer(self) -> Callable[[bytes], None]:
        return self._write_stream

    def _write_stream(self, data: bytes) -> None:
        if self._lanes is None:
            self._wire(data)
        else:
            self._lanes.send.put(partial(self._wire, data), len(data), Kind.STREAM)

    # ---- how it ends

    def eof_received(self) -> bool | None:
        if self._lanes is None or self._lanes.receive.is_straight:
            return super().eof_received()
        self._lanes.receive.put(super().eof_received, 0, Kind.STREAM)
        return True  # not closed yet: what came before the end is still under way

    def connection_lost(self, error: Exception | None) -> None:
        if self._lanes is not None and self.ended is None and not self._lanes.receive.is_straight:
            self._gone = True
            self._lanes.receive.put(partial(self._lose, error), 0, Kind.STREAM)
        else:
            self._lose(error)

    def _lose(self, error: Exception | None) -> None:
        self._leave()
        super().connection_lost(error)

    def finish(self, why: str) -> None:
        if self._lanes is None or self._lanes.send.is_straight:
            self._finished = True
            super().finish(why)
        else:
            self.ended = self.ended or why
            self._lanes.send.put(self._finish_stream, 0, Kind.STREAM)

    def _finish_stream(self) -> None:
        if not self._gone and not self._transport.is_closing():
            self._finished = True
            super().finish("")

    def abort(self, why: str) -> None:
        lanes = self._leave()
        if lanes is None and self._gone:
            return  # over already
        if lanes is not None and (self._gone or lanes.send.is_cut):
            self.ended = self.ended or why
            if not self._gone:
                self._gone = True
                if not self._paused and not self._transport.is_closing():
                    self._transport.pause_reading()
                self._faults.bury(lanes.name, self._transport)
            asyncio.get_running_loop().call_soon(self.connection_lost, None)
        else:
            super().abort(why)


class ShapedOutbound(_Shaped, Outbound):
    """The dialler's end."""

    def __init__(
        self,
        owner: Owner[Outbound],
        handshake: Dialler,
        options: Options,
        clock: Clock,
        faults: LinkFaults,
        peer: str,
    ) -> None:
        super().__init__(owner, handshake, options, clock)
        self._faults, self._expected = faults, peer
        self._ack_bytes = 0
        """Of an acknowledgement that has come in part."""

    def writer(self) -> Callable[[bytes], None]:
        self._enter(self._expected)
        return super().writer()

    @property
    def queued_bytes(self) -> int:
        held = self._lanes.send.waiting_bytes if self._lanes is not None else 0
        return super().queued_bytes + held

    def send(self, frames: Sequence[Frame]) -> bool:
        if self._lanes is None or self._lanes.send.is_straight:
            return super().send(frames)
        if self.ended is not None or self._transport.is_closing():
            return False
        size_bytes = sum(len(body) + _FRAME_BYTES for _, body in frames)
        if self.queued_bytes + size_bytes > self._options.send_queue_bytes_max:
            self.abort(f"its send queue exceeded {self._options.send_queue_bytes_max} bytes")
            return False
        for frame in frames:
            self._lanes.send.put(partial(self._depart, frame), len(frame[1]) + _FRAME_BYTES, Kind.MESSAGE)
        return True

    def _depart(self, frame: Frame) -> None:
        data = encode([frame])
        self._wire(data)
        self.sent_bytes += len(data)
        self.sent_frames += 1

    def ping(self) -> None:
        asked = self._pinged_at is not None
        if not asked:
            self._ping_end_bytes = sys.maxsize  # until it has left
        super().ping()
        if asked and self.ended is None:
            self.ask()  # again: the question, or the answer, may be lost

    def ask(self) -> None:
        assert self._lanes is not None, "a ping on a link that is over"
        self._lanes.send.put(self._asked, len(PING), Kind.SIGN)

    def _asked(self) -> None:
        self._wire(PING)
        self.sent_bytes += len(PING)
        self._ping_end_bytes = min(self._ping_end_bytes, self.sent_bytes)

    def data_received(self, data: bytes) -> None:
        if self._lanes is None or self._lanes.receive.is_straight:
            super().data_received(data)
            return
        kind = Kind.STREAM
        if self.peer is not None:
            # Acknowledgements can be lost, but not a part of one.
            before, self._ack_bytes = self._ack_bytes, (self._ack_bytes + len(data)) % ACK.size
            kind = Kind.SIGN if not before and not self._ack_bytes else Kind.STREAM
        self._arrive(partial(super().data_received, data), len(data), kind)


class ShapedInbound(_Shaped, Inbound):
    """The acceptor's end; its rules are known as soon as the other side has said who it is, proven or not."""

    def __init__(
        self,
        owner: Owner[Inbound],
        handshake: Acceptor,
        options: Options,
        on_frame: OnFrame,
        faults: LinkFaults,
    ) -> None:
        super().__init__(owner, handshake, options, on_frame)
        self._faults, self._acceptor = faults, handshake

    def _write_stream(self, data: bytes) -> None:
        if self._lanes is None and self.ended is None and self._acceptor.claimed:
            # The answer to the first word, which should not have come so soon, or at all.
            lanes = self._enter(self._acceptor.claimed)
            lanes.receive.put(partial(super()._write_stream, data), len(data), Kind.STREAM)
        else:
            super()._write_stream(data)

    def _acknowledge(self) -> None:
        if self._lanes is None or self._lanes.send.is_straight:
            super()._acknowledge()
        else:
            self._acked_bytes = self.received_bytes
            self._lanes.send.put(partial(self._wire, ACK.pack(self.received_bytes)), ACK.size, Kind.SIGN)

    def data_received(self, data: bytes) -> None:
        if self._lanes is None or self.peer is not None or self._lanes.receive.is_straight:
            super().data_received(data)
        else:
            self._arrive(partial(super().data_received, data), len(data), Kind.STREAM)

    def take(self, frames: Sequence[Frame]) -> None:
        if self._lanes is None or self._lanes.receive.is_straight:
            super().take(frames)
            return
        for frame in frames:
            self._arrive(partial(super().take, [frame]), len(frame[1]) + _FRAME_BYTES, Kind.MESSAGE)
