"""The file operations that durability rests on, as one seam.

``OS_FILES`` calls the operating system; ``dkv.faults.disk_files`` stands in its place where a disk is to lose power,
fill up or fail. Law: bytes are durable after ``sync``, names (new, renamed) after ``fsync_directory``, and nothing
else is.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

WRITEBACK_BYTES = 1024 * 1024
"""How much is written before the disk is told to begin with it."""


class Writable(Protocol):
    """A new file that grows at its end. Every method but ``close`` raises ``OSError``."""

    def write(self, data: bytes) -> None: ...

    def sync(self) -> None:
        """Everything written is on disk on return; the name is not yet."""
        ...

    def close(self) -> None: ...


class Readable(Protocol):
    """A file to read; stays readable when its name goes."""

    size_bytes: int

    def read_at(self, offset: int, size_bytes: int) -> bytes:
        """Fewer bytes only at the end of the file. From any thread."""
        ...

    def close(self) -> None: ...


class Files(Protocol):
    """Raises ``OSError`` everywhere; what was written can be read at once, durable or not."""

    def create(self, path: Path) -> Writable:
        """An empty file at ``path``, in the place of any other."""
        ...

    def open(self, path: Path) -> Readable: ...

    def names(self, directory: Path) -> list[str]: ...

    def rename(self, old: Path, new: Path) -> None: ...

    def unlink(self, path: Path) -> None: ...

    def fsync_directory(self, directory: Path) -> None:
        """Make names in ``directory`` (new, renamed, deleted) durable."""
        ...

    def free_bytes(self, directory: Path) -> int:
        """What an ordinary user may still write."""
        ...


def replace_file(files: Files, path: Path, data: bytes) -> None:
    """A small file's whole content, in one step, durable on return. Raises ``OSError``."""
    part = path.with_suffix(".part")
    file = files.create(part)
    try:
        file.write(data)
        file.sync()
    finally:
        file.close()
    files.rename(part, path)
    files.fsync_directory(path.parent)


def write_all(fd: int, data: bytes) -> None:
    """All of ``data`` at the file's position: a nearly full disk takes a part first, then fails."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


class OsFiles:
    """``Files`` as the operating system has them."""

    def create(self, path: Path) -> Writable:
        return _NewFile(path)

    def open(self, path: Path) -> Readable:
        return _OpenFile(path)

    def names(self, directory: Path) -> list[str]:
        return os.listdir(directory)

    def rename(self, old: Path, new: Path) -> None:
        os.rename(old, new)

    def unlink(self, path: Path) -> None:
        os.unlink(path)

    def fsync_directory(self, directory: Path) -> None:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def free_bytes(self, directory: Path) -> int:
        disk = os.statvfs(directory)
        return disk.f_bavail * disk.f_frsize


OS_FILES: Files = OsFiles()


class _NewFile:
    """Its pages are handed to the disk while they come. Otherwise all of them would wait for the one fsync at the end,
    and whoever else calls fsync on that disk (the log, every turn) would wait behind them."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        self._size_bytes = self._handed_over_bytes = 0

    def write(self, data: bytes) -> None:
        write_all(self._fd, data)
        self._size_bytes += len(data)
        pending_bytes = self._size_bytes - self._handed_over_bytes
        if pending_bytes >= WRITEBACK_BYTES and hasattr(os, "posix_fadvise"):
            # What Linux makes of it: begin to write these pages out, and do not wait.
            os.posix_fadvise(self._fd, self._handed_over_bytes, pending_bytes, os.POSIX_FADV_DONTNEED)
            self._handed_over_bytes = self._size_bytes

    def sync(self) -> None:
        os.fsync(self._fd)

    def close(self) -> None:
        os.close(self._fd)


class _OpenFile:
    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self.size_bytes = os.fstat(self._file.fileno()).st_size

    def read_at(self, offset: int, size_bytes: int) -> bytes:
        return os.pread(self._file.fileno(), size_bytes, offset)

    def close(self) -> None:
        self._file.close()
