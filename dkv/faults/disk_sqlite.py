"""SQLite's own files (database, WAL, rollback journal) on a faulty disk: a VFS over the platform's.

Only used by a ``Storage`` that was given faults. Locks, sector size and deletion stay the platform's; reads, writes,
sizes and flushes pass through ``FaultyFile``, and its ``OSError`` becomes the code that the platform's VFS would have
returned.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import apsw

from dkv.faults.disk import DiskFaults
from dkv.faults.disk_file import FaultyFile

if TYPE_CHECKING:
    from typing_extensions import Buffer


class FaultyVfs(apsw.VFS):
    """Registered under ``name`` from construction to ``unregister``."""

    def __init__(self, disk: DiskFaults) -> None:
        self.name = f"dkv-faults-{id(self):x}"
        self._disk = disk
        super().__init__(self.name, base="")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _DatabaseFile(name, flags, self._disk)


class _Base:
    """The platform's file as a ``RawFile``."""

    def __init__(self, file: apsw.VFSFile) -> None:
        self._file = file

    def read_at(self, offset: int, size_bytes: int) -> bytes:
        return apsw.VFSFile.xRead(self._file, size_bytes, offset)

    def write_at(self, offset: int, data: bytes) -> None:
        apsw.VFSFile.xWrite(self._file, data, offset)

    def truncate(self, size_bytes: int) -> None:
        apsw.VFSFile.xTruncate(self._file, size_bytes)

    def size_bytes(self) -> int:
        return apsw.VFSFile.xFileSize(self._file)

    def sync(self) -> None:
        apsw.VFSFile.xSync(self._file, apsw.SQLITE_SYNC_NORMAL)


class _DatabaseFile(apsw.VFSFile):
    """The names are SQLite's."""

    def __init__(self, name: str | apsw.URIFilename | None, flags: list[int], disk: DiskFaults) -> None:
        super().__init__("", name, flags)
        self._file = FaultyFile(_Base(self), disk)

    def xRead(self, amount: int, offset: int) -> bytes:
        return self._file.read_at(offset, amount)

    def xWrite(self, data: Buffer, offset: int) -> None:
        with _as_sqlite(apsw.SQLITE_IOERR_WRITE):
            self._file.write_at(offset, bytes(data))

    def xTruncate(self, newsize: int) -> None:
        with _as_sqlite(apsw.SQLITE_IOERR_TRUNCATE):
            self._file.truncate(newsize)

    def xFileSize(self) -> int:
        return self._file.size_bytes()

    def xSync(self, flags: int) -> None:
        with _as_sqlite(apsw.SQLITE_IOERR_FSYNC):
            self._file.sync()

    def xClose(self) -> None:
        self._file.close()
        super().xClose()


@contextmanager
def _as_sqlite(code: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        failure = apsw.exception_for(apsw.SQLITE_FULL if error.errno == errno.ENOSPC else code)
        failure.args = (str(error),)
        raise failure from error
