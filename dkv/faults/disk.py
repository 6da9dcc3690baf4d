"""The node's disk as a fault: full, failing, slow, or one that loses what was not flushed when the power goes.

Everything that the node writes passes here: SQLite's files by ``disk_sqlite``, all others by ``disk_files``.
``volatile`` keeps what is written in this process's memory until it is flushed, so that SIGKILL *is* the power loss: no
byte that was not fsynced, and no rename whose directory was not, is on the disk that the next start finds. Only an
orderly end (``flush``) writes the rest out, as an operating system would.

``torn``: a real disk keeps any part of what was not flushed, in any order. So each unflushed write lets a prefix of
itself through at once, of a length that is no multiple of a sector; by a draw, the rest follows when the next write
comes. What a power loss leaves is then: some earlier writes whole, some in part, and the newest one in part. Bytes
outside of what was written never change (SQLite's "powersafe overwrite"), and what is flushed stays.

``full`` refuses every write, also over bytes that exist (as file systems that copy on write do); ``io_error`` refuses
new files, writes, renames and flushes, neither reads nor deletions. A flush that fails has flushed nothing.
"""

from __future__ import annotations

import errno
import os
import random
import threading
import time
from collections.abc import Callable
from typing import Annotated, Any

import msgspec

from dkv.faults.disk_file import FaultyFile, RawFile
from dkv.faults.disk_files import FaultyFiles
from dkv.faults.points import Points

FSYNC_DELAY_S_MAX = 60.0
"""A disk that needs longer is a paused process; and the fault port itself waits behind the turn's fsync."""

SECTOR_BYTES = 512


class DiskState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``PUT /faults/disk``; what is left out is healthy."""

    full: bool = False
    io_error: bool = False
    fsync_delay_s: Annotated[float, msgspec.Meta(ge=0.0, le=FSYNC_DELAY_S_MAX)] = 0.0
    volatile: bool = False
    torn: bool = False


class DiskFaults:
    """One node's disk. From any thread. ``files``: for all that is not SQLite's."""

    def __init__(
        self,
        points: Points,
        *,
        rng: random.Random | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.lock = threading.RLock()
        """Held while bytes move between memory and disk, never during an fsync."""
        self.state = DiskState()
        self.files = FaultyFiles(self)
        self.open_files: set[FaultyFile] = set()
        self._points, self._sleep = points, sleep
        self._rng = rng if rng is not None else random.Random()
        self._torn: tuple[RawFile, int, bytes] | None = None

    def set(self, document: dict[str, Any]) -> None:
        """Replaces all that was set before. ``ValueError``, and nothing changed, for what cannot be understood."""
        try:
            state = msgspec.convert(document, DiskState)
        except msgspec.ValidationError as error:
            raise ValueError(f"{error}; a disk has: {', '.join(DiskState.__struct_fields__)}") from None
        if state.torn and not state.volatile:
            raise ValueError("torn says what a power loss leaves of unflushed writes: set volatile as well")
        with self.lock:
            self.state = state
            self._torn = self._torn if state.torn else None
            if not state.volatile:
                self.flush()

    def heal(self) -> None:
        """A good disk again; nothing that was written is lost."""
        self.set({})

    def status(self) -> dict[str, Any]:
        """As set last, all fields."""
        state: dict[str, Any] = msgspec.to_builtins(self.state)
        return state

    def flush(self) -> None:
        """Write out, without fsync, what is only in memory, as the operating system does sooner or later."""
        with self.lock:
            for file in list(self.open_files):
                file.flush()
            self.files.flush()

    # ---- what the files ask

    def check_write(self) -> None:
        """Before bytes or names change. ``OSError``."""
        self.check_io()
        if self.state.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def check_io(self) -> None:
        """``OSError`` if the disk fails."""
        if self.state.io_error:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def before_sync(self) -> None:
        """Before a file or a directory is flushed: may take its time, die, or fail."""
        delay_s = self.state.fsync_delay_s
        if delay_s:
            self._sleep(delay_s)
        self._points.hit("fsync")
        self.check_io()

    def tear(self, raw: RawFile, offset: int, data: bytes) -> None:
        """Let a part of a write that stays in memory reach the disk all the same."""
        if self._torn is not None and self._rng.random() < 0.5:
            former, rest_at, rest = self._torn
            former.write_at(rest_at, rest)
        length = _torn_length(self._rng, len(data))
        raw.write_at(offset, data[:length])
        self._torn = raw, offset + length, data[length:]

    def forget(self, raw: RawFile) -> None:
        """Nothing of this file is torn any more: it was flushed, or is gone."""
        if self._torn is not None and self._torn[0] is raw:
            self._torn = None


def _torn_length(rng: random.Random, size_bytes: int) -> int:
    length = rng.randrange(size_bytes) if size_bytes else 0
    return length + 1 if length % SECTOR_BYTES == 0 and length + 1 < size_bytes else length
