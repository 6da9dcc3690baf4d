"""A file in the making: written under a name that nobody looks for, until it is complete and durable.

Its pages are handed to the disk while they come. Otherwise all of them would wait for the one fsync at the
end, and whoever else calls fsync on that disk (the log, every turn) would wait behind them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dkv.raft.data_directory import disk_errors, fsync_directory, write_all

WRITEBACK_BYTES = 1024 * 1024
"""How much is written before the disk is told to begin with it."""


class PartFile:
    """Open for writing at ``path`` until ``rename`` or ``abort``; any error aborts it.

    Every method: ``DiskFull``, or ``FatalError`` for any other failure of the disk.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self._handed_over_bytes = 0
        with disk_errors(path):
            self._fd = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)

    def write(self, data: bytes) -> None:
        """Add ``data``."""
        with self._aborting():
            write_all(self._fd, data)
            self.size_bytes += len(data)
            pending_bytes = self.size_bytes - self._handed_over_bytes
            if pending_bytes >= WRITEBACK_BYTES and hasattr(os, "posix_fadvise"):
                # What Linux makes of it: begin to write these pages out, and do not wait.
                os.posix_fadvise(self._fd, self._handed_over_bytes, pending_bytes, os.POSIX_FADV_DONTNEED)
                self._handed_over_bytes = self.size_bytes

    def sync(self) -> None:
        """Everything written is on disk on return; the name is not yet."""
        with self._aborting():
            os.fsync(self._fd)

    def rename(self, path: Path) -> None:
        """The end: give it its name, for good on return. Only after ``sync``."""
        with self._aborting():
            os.rename(self.path, path)
            fsync_directory(path.parent)
        self._close()

    def abort(self) -> None:
        """The other end: remove it. Harmless when it has ended already."""
        if self._fd >= 0:
            with suppress(FileNotFoundError):
                self.path.unlink()
            self._close()

    def _close(self) -> None:
        os.close(self._fd)
        self._fd = -1

    @contextmanager
    def _aborting(self) -> Iterator[None]:
        try:
            with disk_errors(self.path):
                yield
        except BaseException:
            self.abort()
            raise
