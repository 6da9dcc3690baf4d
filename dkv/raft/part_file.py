"""A file in the making: written under a name that nobody looks for, until it is complete and durable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dkv.files import Files
from dkv.raft.data_directory import disk_errors


class PartFile:
    """Open for writing at ``path`` until ``rename`` or ``abort``; any error aborts it.

    Every method: ``DiskFull``, or ``FatalError`` for any other failure of the disk.
    """

    def __init__(self, path: Path, files: Files) -> None:
        self.path = path
        self._files = files
        with disk_errors(path):
            self._file = files.create(path)
        self._is_open = True

    def write(self, data: bytes) -> None:
        """Add ``data``."""
        with self._aborting():
            self._file.write(data)

    def sync(self) -> None:
        """Everything written is on disk on return; the name is not yet."""
        with self._aborting():
            self._file.sync()

    def rename(self, path: Path) -> None:
        """The end: give it its name, for good on return. Only after ``sync``."""
        with self._aborting():
            self._files.rename(self.path, path)
            self._files.fsync_directory(path.parent)
        self._close()

    def abort(self) -> None:
        """The other end: remove it. Harmless when it has ended already."""
        if self._is_open:
            with suppress(FileNotFoundError):
                self._files.unlink(self.path)
            self._close()

    def _close(self) -> None:
        self._is_open = False
        self._file.close()

    @contextmanager
    def _aborting(self) -> Iterator[None]:
        try:
            with disk_errors(self.path):
                yield
        except BaseException:
            self.abort()
            raise
