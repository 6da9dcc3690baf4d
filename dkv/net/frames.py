"""Frames: how messages of many groups share one byte stream.

A frame is ``length u32 | crc32 u32 | group u32 | body``, big-endian; ``length`` counts the body, the checksum covers
group and body. The strategy of the decoder: whole frames are cut straight out of what came in; only the tail of the
last, incomplete one is kept, and it is looked at again when enough has come to complete it. So the cost is linear in
the bytes received, however they are cut up, and no more is kept than one frame. A stream that lies once is never
believed again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from zlib import crc32

Frame = tuple[int, bytes]
"""Group id and body."""

FRAME_BYTES_MAX = 9 * 1024 * 1024
"""Of a whole frame: an append of up to 4 MiB, plus the one entry (up to ~3 MiB) that may exceed it, plus slack."""

LINK_GROUP = 0xFFFF_FFFF
"""No group of data: frames of the link itself (an empty one asks for an acknowledgement)."""

_HEADER = struct.Struct(">III")
_GROUP = struct.Struct(">I")
_GROUP_OFFSET = 8
BODY_BYTES_MAX = FRAME_BYTES_MAX - _HEADER.size


class FrameError(Exception):
    """The stream holds something that no dkv node sends: the link must be closed."""


def encode(frames: Iterable[Frame]) -> bytes:
    """Frames → the bytes of all of them, for a single write."""
    parts: list[bytes] = []
    for group, body in frames:
        assert len(body) <= BODY_BYTES_MAX, f"a frame of {len(body)} bytes, the limit is {BODY_BYTES_MAX}"
        checksum = crc32(body, crc32(_GROUP.pack(group)))
        parts.append(_HEADER.pack(len(body), checksum, group))
        parts.append(body)
    return b"".join(parts)


class FrameDecoder:
    """Feed it bytes as they come; it gives back the frames that they complete, in order."""

    def __init__(self) -> None:
        self._tail = bytearray()
        self._needed_bytes = _HEADER.size
        self._broken: str | None = None

    @property
    def buffered_bytes(self) -> int:
        """What is kept of an incomplete frame; less than ``FRAME_BYTES_MAX``."""
        return len(self._tail)

    def feed(self, data: bytes) -> list[Frame]:
        """Bytes → the frames that are now complete. Raises ``FrameError``, then and ever after.

        Frames of the very chunk in which the stream breaks are not given: its link is closed anyway.
        """
        if self._broken is not None:
            raise FrameError(self._broken)
        if not self._tail:
            frames, offset = self._cut(data)
            self._tail += memoryview(data)[offset:]
            return frames
        self._tail += data
        if len(self._tail) < self._needed_bytes:
            return []
        frames, offset = self._cut(self._tail)
        del self._tail[:offset]
        return frames

    def _cut(self, data: bytes | bytearray) -> tuple[list[Frame], int]:
        """The complete frames in ``data``, and where the incomplete one begins."""
        frames: list[Frame] = []
        offset, size = 0, len(data)
        self._needed_bytes = _HEADER.size
        with memoryview(data) as view:
            while size - offset >= _HEADER.size:
                length, checksum, group = _HEADER.unpack_from(view, offset)
                if length > BODY_BYTES_MAX:
                    self._break(f"a frame that claims {length} bytes, the limit is {BODY_BYTES_MAX}")
                end = offset + _HEADER.size + length
                if end > size:
                    self._needed_bytes = end - offset
                    break
                if crc32(view[offset + _GROUP_OFFSET : end]) != checksum:
                    self._break(f"a frame of {length} bytes for group {group} with a wrong checksum")
                frames.append((group, bytes(view[offset + _HEADER.size : end])))
                offset = end
        return frames, offset

    def _break(self, why: str) -> None:
        self._broken = why
        self._tail = bytearray()
        raise FrameError(why)
