"""What was written to one file and not flushed: the part of it that a power loss takes.

Pure. An ordered list of writes and truncations over the bytes on disk; reads see all of them, as a program sees the
page cache. How few there are at a time (a commit's frames, a checkpoint's blocks) is why a list suffices.
"""

from __future__ import annotations

from collections.abc import Callable

ReadAt = Callable[[int, int], bytes]
"""``(offset, size_bytes)`` → bytes, fewer at the end."""

_TRUNCATED = None


class Unflushed:
    """Changes to a file of ``size_bytes``, which becomes its size as a program sees it."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._base_bytes = size_bytes
        self._changes: list[tuple[int, bytes | None]] = []

    def write(self, offset: int, data: bytes) -> None:
        """``data`` at ``offset``; a gap before it reads as zeros."""
        self._changes.append((offset, data))
        self.size_bytes = max(self.size_bytes, offset + len(data))

    def truncate(self, size_bytes: int) -> None:
        """The file gets this size, shorter or longer."""
        self._changes.append((size_bytes, _TRUNCATED))
        self.size_bytes = size_bytes

    def read(self, offset: int, size_bytes: int, read_base: ReadAt) -> bytes:
        """As a program sees it. Bytes on disk beyond the former size (torn writes) do not count."""
        end = min(offset + size_bytes, self.size_bytes)
        if end <= offset:
            return b""
        seen = bytearray(size_bytes)
        base = read_base(offset, max(0, min(size_bytes, self._base_bytes - offset)))
        seen[: len(base)] = base
        for at, data in self._changes:
            if data is _TRUNCATED:
                cut = max(0, at - offset)
                seen[cut:] = bytes(max(0, size_bytes - cut))
            else:
                first, last = max(at, offset), min(at + len(data), offset + size_bytes)
                if first < last:
                    seen[first - offset : last - offset] = data[first - at : last - at]
        return bytes(seen[: end - offset])

    def replay(self, write_at: Callable[[int, bytes], None], truncate: Callable[[int], None]) -> None:
        """All of it, in order: the disk gets what the program saw."""
        for at, data in self._changes:
            if data is _TRUNCATED:
                truncate(at)
            else:
                write_at(at, data)
