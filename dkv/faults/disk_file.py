"""One file on a faulty disk: what is written stays in memory while the disk is volatile, and is flushed by ``sync``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from dkv.faults.disk_unflushed import Unflushed

if TYPE_CHECKING:
    from dkv.faults.disk import DiskFaults


class RawFile(Protocol):
    """The file beneath: the operating system's, or SQLite's. Offsets and sizes in bytes."""

    def read_at(self, offset: int, size_bytes: int) -> bytes: ...
    def write_at(self, offset: int, data: bytes) -> None: ...
    def truncate(self, size_bytes: int) -> None: ...
    def size_bytes(self) -> int: ...
    def sync(self) -> None: ...


class FaultyFile:
    """Every method but ``read_at``, ``size_bytes`` and ``flush`` meets the disk's faults as ``OSError``."""

    def __init__(self, raw: RawFile, disk: DiskFaults) -> None:
        self._raw, self._disk = raw, disk
        self._unflushed: Unflushed | None = None
        disk.open_files.add(self)

    @property
    def is_flushed(self) -> bool:
        """Nothing of it is only in memory."""
        return self._unflushed is None

    def read_at(self, offset: int, size_bytes: int) -> bytes:
        """What was written, flushed or not."""
        with self._disk.lock:
            if self._unflushed is None:
                return self._raw.read_at(offset, size_bytes)
            return self._unflushed.read(offset, size_bytes, self._raw.read_at)

    def size_bytes(self) -> int:
        with self._disk.lock:
            return self._raw.size_bytes() if self._unflushed is None else self._unflushed.size_bytes

    def write_at(self, offset: int, data: bytes) -> None:
        with self._disk.lock:
            self._disk.check_write()
            if not self._disk.state.volatile:
                self._raw.write_at(offset, data)
                return
            self._changes().write(offset, data)
            if self._disk.state.torn:
                self._disk.tear(self._raw, offset, data)

    def truncate(self, size_bytes: int) -> None:
        with self._disk.lock:
            self._disk.check_io()
            if self._disk.state.volatile:
                self._changes().truncate(size_bytes)
            else:
                self._raw.truncate(size_bytes)

    def sync(self) -> None:
        """All of it is on disk on return. The true fsync too: a fault must not make the disk safer than it is."""
        self._disk.before_sync()
        self.flush()
        self._raw.sync()

    def flush(self) -> None:
        """Hand to the file beneath what is only in memory."""
        with self._disk.lock:
            if self._unflushed is not None:
                self._unflushed.replay(self._raw.write_at, self._raw.truncate)
            self._drop()

    def close(self) -> None:
        """An orderly end: nothing is lost."""
        self.flush()
        self.discard()

    def discard(self) -> None:
        """It was deleted, or nobody has it open and all of it is flushed."""
        with self._disk.lock:
            self._drop()
            self._disk.open_files.discard(self)

    def _changes(self) -> Unflushed:
        if self._unflushed is None:
            self._unflushed = Unflushed(self._raw.size_bytes())
        return self._unflushed

    def _drop(self) -> None:
        self._unflushed = None
        self._disk.forget(self._raw)


class OsRawFile:
    """A file descriptor as a ``RawFile``."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def read_at(self, offset: int, size_bytes: int) -> bytes:
        return os.pread(self.fd, size_bytes, offset)

    def write_at(self, offset: int, data: bytes) -> None:
        done = 0
        while done < len(data):
            done += os.pwrite(self.fd, data[done:], offset + done)

    def truncate(self, size_bytes: int) -> None:
        os.ftruncate(self.fd, size_bytes)

    def size_bytes(self) -> int:
        return os.fstat(self.fd).st_size

    def sync(self) -> None:
        os.fsync(self.fd)
