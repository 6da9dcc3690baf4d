"""The one SQLite file of a node, and what its failures mean.

WAL mode with ``synchronous=FULL``: a transaction is on disk when its block ends. The WAL is copied into the database
here and not by SQLite, which would do it silently: a disk that fails there would go unnoticed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

from dkv.errors import FatalError, StartupError
from dkv.faults.disk_sqlite import FaultyVfs
from dkv.raft.contracts import DiskFull
from dkv.raft.data_directory import disk_full, has_room

if TYPE_CHECKING:
    from dkv.faults.disk import DiskFaults

PAGE_BYTES = 8192
WAL_BYTES = 4 * 1024 * 1024
WAL_PAGES = WAL_BYTES // PAGE_BYTES
"""The commit that makes the WAL this long copies its pages into the database before it returns. Measured on
ext4 over a virtual disk: 4 MiB of 8 KiB pages stall that commit for 4-7 ms (of 4 KiB pages 6-8 ms; 16 MiB
9-23 ms), one commit in some 200 at 6 KiB. The file is then overwritten in place, which keeps fsync cheap (no
new blocks); hence a limit of twice as much, which cuts off only what an unusually large commit left behind.
"""

BUSY_TIMEOUT_MS = 1000
"""Somebody who only looks at the file (a backup) may keep a start waiting for so long."""

PRAGMAS = (
    f"page_size = {PAGE_BYTES}",
    # Nobody else may open the file: no reader can hold up the copying of the WAL; no shared memory.
    "locking_mode = EXCLUSIVE",
    "journal_mode = WAL",
    "synchronous = FULL",
    f"journal_size_limit = {2 * WAL_BYTES}",
    # Some builds of SQLite overwrite what is deleted with zeros: a trim would write the whole log again.
    "secure_delete = OFF",
)

DatabaseError = apsw.Error
"""What reading a damaged file raises."""

Binding = int | bytes


class Database:
    """Open from construction to ``close``, and locked against every other connection. One caller at a time."""

    def __init__(self, path: Path, disk: DiskFaults | None) -> None:
        """Raises ``DatabaseError``, ``StartupError``. ``disk``: the faulty one of a node under test."""
        if not _is_utf8(path):
            raise StartupError(f"{str(path)!a} is not UTF-8, which SQLite's paths must be: choose another --data-dir")
        self._path = path
        self._wal_pages = 0
        self._vfs = None if disk is None else FaultyVfs(disk)
        try:
            self._connection = apsw.Connection(str(path), vfs=self._vfs.name if self._vfs else None)
        except BaseException:
            self._unregister()
            raise
        self.execute = self._connection.execute
        self.executemany = self._connection.executemany
        try:
            self._connection.set_busy_timeout(BUSY_TIMEOUT_MS)
            for pragma in PRAGMAS:
                self.select(f"PRAGMA {pragma}")
            # In the place of SQLite's own hook, which copies; the pragma for that would take this one away again.
            self._connection.set_wal_hook(self._follow_wal)
        except BaseException:
            self.close()
            raise

    def select(self, query: str, bindings: tuple[Binding, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows."""
        return self.execute(query, bindings).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What the block executes is on disk when it ends. ``DiskFull``: nothing was written; ``FatalError``."""
        try:
            self.execute("BEGIN IMMEDIATE")
            yield
            self.execute("COMMIT")
        except apsw.Error as error:
            with suppress(apsw.Error):  # SQLite has already rolled back by itself after most errors.
                self.execute("ROLLBACK")
            raise self._meaning(error) from error
        if self._wal_pages >= WAL_PAGES:
            self._copy_wal()

    def close(self) -> None:
        """Give the file back. What cannot be copied from the WAL now stays there for the next start."""
        with suppress(apsw.Error):
            self._connection.close(force=True)
        self._unregister()

    def _unregister(self) -> None:
        if self._vfs is not None:
            self._vfs.unregister()

    def _follow_wal(self, connection: apsw.Connection, name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _copy_wal(self) -> None:
        try:
            self._connection.wal_checkpoint()
        except apsw.Error as error:
            meaning = self._meaning(error)
            # The transaction itself is durable. While there is no room for the copy the WAL grows, if it can.
            if not isinstance(meaning, DiskFull):
                raise meaning from error

    def _meaning(self, error: apsw.Error) -> Exception:
        """SQLite names a full disk, but no used-up quota or file size limit: those are found by trying."""
        code = getattr(error, "extendedresult", None)
        if code == apsw.SQLITE_FULL:
            return disk_full(self._path)
        files = [path for path in (self._path, Path(f"{self._path}-wal")) if path.exists()]
        longest = max((path.stat().st_size for path in files), default=0)
        if code == apsw.SQLITE_IOERR_WRITE and not has_room(self._path.parent, longest, 2 * WAL_BYTES):
            return disk_full(self._path)
        return FatalError(
            f"{self._path}: a commit failed ({error}); nobody knows what is on disk until it is read again"
        )


def _is_utf8(path: Path) -> bool:
    try:
        return bool(str(path).encode())
    except UnicodeEncodeError:
        return False
