"""``dkv.files.Files`` on a faulty disk: for checkpoints, snapshots and hints.

A file whose last handle was closed before it was flushed stays unflushed, as in a page cache: it is kept here, open,
until somebody flushes or deletes it, or the process dies.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dkv.faults.disk_file import FaultyFile, OsRawFile
from dkv.faults.disk_renames import Renames
from dkv.files import OS_FILES, Readable, Writable

if TYPE_CHECKING:
    from dkv.faults.disk import DiskFaults

Inode = tuple[int, int]


class FaultyFiles:
    """Every method raises ``OSError``, the disk's faults among them."""

    def __init__(self, disk: DiskFaults) -> None:
        self._disk = disk
        self._renames = Renames()
        self._written: dict[Inode, _NewFile] = {}
        """Open for writing, or not flushed."""

    def create(self, path: Path) -> Writable:
        """As in ``Files``."""
        with self._disk.lock:
            self._disk.check_io()
            self._settle(path)
            self._forget(path)
            fd = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600)
            inode = _inode(os.fstat(fd))
            file = self._written[inode] = _NewFile(self, inode, OsRawFile(fd), self._disk)
            return file

    def open(self, path: Path) -> Readable:
        """As in ``Files``."""
        with self._disk.lock:
            return _OpenFile(self, self._on_disk(path))

    def names(self, directory: Path) -> list[str]:
        """As in ``Files``."""
        with self._disk.lock:
            return self._renames.seen(directory, os.listdir(directory))

    def rename(self, old: Path, new: Path) -> None:
        """As in ``Files``."""
        with self._disk.lock:
            self._disk.check_io()
            self._on_disk(old)
            self._renames.add(old, new)
            if not self._disk.state.volatile:
                self.flush()

    def unlink(self, path: Path) -> None:
        """As in ``Files``."""
        with self._disk.lock:
            self._on_disk(path)
            self._settle(path)
            self._forget(path)
            os.unlink(path)

    def fsync_directory(self, directory: Path) -> None:
        """As in ``Files``."""
        self._disk.before_sync()
        with self._disk.lock:
            _rename_all(self._renames.take_into(directory))
        OS_FILES.fsync_directory(directory)

    def free_bytes(self, directory: Path) -> int:
        """As in ``Files``."""
        return 0 if self._disk.state.full else OS_FILES.free_bytes(directory)

    def flush(self) -> None:
        """Do what is only pending; close what nobody else has open. The bytes were flushed before."""
        for directory in self._renames.directories():
            _rename_all(self._renames.take_into(directory))
        for file in list(self._written.values()):
            file.release()

    # ---- what the open files ask

    def size_bytes(self, inode: Inode, fd: int) -> int:
        """As a program sees it."""
        with self._disk.lock:
            written = self._written.get(inode)
            return os.fstat(fd).st_size if written is None else written.file.size_bytes()

    def read_at(self, inode: Inode, fd: int, offset: int, size_bytes: int) -> bytes:
        """As a program sees it. ``fd``: open for reading."""
        with self._disk.lock:
            written = self._written.get(inode)
            return os.pread(fd, size_bytes, offset) if written is None else written.file.read_at(offset, size_bytes)

    def released(self, inode: Inode) -> None:
        """Flushed, and closed by whoever wrote it."""
        self._written.pop(inode, None)

    def _on_disk(self, path: Path) -> Path:
        found = self._renames.on_disk(path)
        if found is None:
            raise FileNotFoundError(f"{path} was renamed")
        os.stat(found)
        return found

    def _settle(self, path: Path) -> None:
        # Whoever uses the name again must not meet the file that still bears it on disk.
        _rename_all(self._renames.take_of(path))

    def _forget(self, path: Path) -> None:
        if path.exists() and (file := self._written.get(_inode(path.stat()))) is not None:
            file.deleted()


class _NewFile:
    """A file that grows at its end; ``dkv.files.Writable``."""

    def __init__(self, files: FaultyFiles, inode: Inode, raw: OsRawFile, disk: DiskFaults) -> None:
        self.file = FaultyFile(raw, disk)
        self._files, self._inode, self._fd, self._disk = files, inode, raw.fd, disk
        self._at = 0
        self._closed = False

    def write(self, data: bytes) -> None:
        self.file.write_at(self._at, bytes(data))
        self._at += len(data)

    def sync(self) -> None:
        self.file.sync()

    def close(self) -> None:
        with self._disk.lock:
            self._closed = True
            self.release()

    def release(self) -> None:
        """Let the file go if nobody needs it."""
        if self._closed and self.file.is_flushed:
            self.file.discard()
            self._files.released(self._inode)
            os.close(self._fd)

    def deleted(self) -> None:
        """Its name is about to go, and what is not flushed of it with the name."""
        self.file.discard()
        self.release()


class _OpenFile:
    """A file to read; ``dkv.files.Readable``."""

    def __init__(self, files: FaultyFiles, path: Path) -> None:
        self._files = files
        self._file = path.open("rb", buffering=0)
        self._inode = _inode(os.fstat(self._file.fileno()))
        self.size_bytes = files.size_bytes(self._inode, self._file.fileno())

    def read_at(self, offset: int, size_bytes: int) -> bytes:
        return self._files.read_at(self._inode, self._file.fileno(), offset, size_bytes)

    def close(self) -> None:
        self._file.close()


def _rename_all(pairs: list[tuple[Path, Path]]) -> None:
    for old, new in pairs:
        os.rename(old, new)


def _inode(stat: os.stat_result) -> Inode:
    return stat.st_dev, stat.st_ino
