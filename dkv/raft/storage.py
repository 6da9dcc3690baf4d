"""The node's log file: entries, terms, votes and identity of all groups in one SQLite database.

One small transaction a turn (``database``), on disk when ``commit`` returns. One row per entry, with a CRC that is
checked at load (SQLite's pages have none). A trim only moves a group's floor; the rows below it are debris, ignored
at load and swept in portions. Law: nothing that is buffered may be promised to anybody before ``commit`` returned.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import msgspec

from dkv.errors import StartupError
from dkv.faults.points import Hit, pass_by
from dkv.faults.state import Faults, files_of
from dkv.raft.contracts import GENESIS, DiskFull, Entry, GroupId, NodeId
from dkv.raft.data_directory import DirectoryLock, default_reserve_bytes
from dkv.raft.database import Database, DatabaseError
from dkv.raft.log_buffer import Deed, GroupState, LogBuffer, entry_crc, genesis_state, state_crc

__all__ = ["CommitStats", "DiskFull", "Storage"]

FORMAT = 1
APPLICATION_ID = int.from_bytes(b"dkv\x01", "big")

INDEX_BITS = 40
"""A row's key is ``group << 40 | index``: one B-tree that grows at each group's right end (a compound key
without a rowid made every commit a fifth slower). 40 bits last 34 years at 1,000 entries a second, and 8
million groups fit above."""

SWEEP_ROWS_MAX = 2000
SWEEP_BYTES_MAX = 1024 * 1024
"""Debris deleted with one commit at most. Measured on a busy machine: 2,000 rows of 100 B make a commit 3 ms
longer (at worst 11 ms), 2 MiB in rows of 6 KiB 9 ms (at worst 23 ms). A trim of 100,000 rows takes 50
commits."""

SCHEMA = (
    "CREATE TABLE node (name TEXT PRIMARY KEY, value BLOB NOT NULL, crc INTEGER NOT NULL)",
    "CREATE TABLE groups (id INTEGER PRIMARY KEY, state BLOB NOT NULL, crc INTEGER NOT NULL)",
    "CREATE TABLE entries"
    " (key INTEGER PRIMARY KEY, term INTEGER NOT NULL, crc INTEGER NOT NULL, command BLOB NOT NULL)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {FORMAT}",
)

REPLACE_THIS_NODE = (
    "if the other nodes of the cluster are well, move this one's whole data directory away and start it with "
    "--join: it comes back under a new identity and fetches everything from them"
)

BEFORE_COMMIT = {
    Deed.APPEND: "append.before_commit",
    Deed.VOTE: "vote.before_commit",
    Deed.TRIM: "trim.before_commit",
    Deed.INSTALL: "snapshot.before_install",
}
AFTER_COMMIT = {
    Deed.APPEND: "append.after_commit",
    Deed.VOTE: "vote.after_commit",
    Deed.TRIM: "trim.after_commit",
    Deed.INSTALL: "snapshot.after_install",
}
"""The points of ``dkv.faults.points``."""


@dataclass(frozen=True, slots=True)
class CommitStats:
    """What one commit wrote. ``size_bytes``: of the commands. ``swept``: trimmed rows that it deleted."""

    entries: int
    size_bytes: int
    swept: int
    duration_s: float


class Storage:
    """One open log file, at ``path``; its directory is the node's data directory, locked until ``close``.

    One caller at a time, from any thread. Constructor: ``StartupError`` if the file cannot be used.
    """

    def __init__(self, path: Path, *, reserve_bytes: int | None = None, faults: Faults | None = None) -> None:
        """``faults``: the disk and the points of a node under test."""
        self._path = path
        self._faults = faults
        self._files = files_of(faults)
        self._hit: Hit = pass_by if faults is None else faults.points.hit
        self._directory = path.parent
        self._directory.mkdir(parents=True, exist_ok=True)
        self._reserve_bytes = default_reserve_bytes(self._directory) if reserve_bytes is None else reserve_bytes
        self._lock = DirectoryLock(self._directory)
        self._logs: dict[GroupId, LogBuffer] = {}
        try:
            self._db = Database(path, None if faults is None else faults.disk)
            try:
                self._open()
            except BaseException:
                self._db.close()
                raise
        except DatabaseError as error:
            self._lock.release()
            raise StartupError(f"{path} cannot be opened ({error}); if it is damaged: {REPLACE_THIS_NODE}") from error
        except BaseException:
            self._lock.release()
            raise

    # ---- the node

    @property
    def identity(self) -> bytes | None:
        """What ``write_identity`` wrote last."""
        rows = self._db.select("SELECT value, crc FROM node WHERE name = 'identity'")
        if not rows:
            return None
        value, crc = rows[0]
        self._check(isinstance(value, bytes) and crc == state_crc(0, value), "the node's identity")
        return bytes(value)

    def write_identity(self, identity: bytes) -> None:
        """Durable on return."""
        with self._db.transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO node VALUES ('identity', ?, ?)", (identity, state_crc(0, identity))
            )

    # ---- the groups

    @property
    def groups(self) -> tuple[GroupId, ...]:
        """All that were ever founded here."""
        return tuple(self._logs)

    def found_group(self, group: GroupId, base_voters: Sequence[NodeId]) -> None:
        """Begin a log with ``GENESIS``; durable on return."""
        assert group not in self._logs, f"group {group} was founded before"
        assert 0 <= group < 1 << 63 - INDEX_BITS, f"group {group} has no place in a row's key"
        state = genesis_state(base_voters)
        with self._db.transaction():
            self._insert(group, GENESIS)
            self._put_state(group, state)
        self._logs[group] = self._buffer(group, state)

    def group(self, group: GroupId) -> LogBuffer:
        """The log of a group that was founded, now or in an earlier life; always the same object."""
        assert group in self._logs, f"group {group} was never founded here (known: {self.groups})"
        return self._logs[group]

    # ---- the turn

    def commit(self) -> CommitStats | None:
        """Write what was buffered for all groups in one transaction, on disk on return. None: nothing to
        write.

        ``DiskFull``: nothing was written and all of it stays buffered, for the next call. ``FatalError``:
        end the process.
        """
        started = time.perf_counter()
        due = [log for log in self._logs.values() if log.end_turn()]
        if not due:
            return None
        deeds = [deed for log in due for deed in log.deeds()] if self._faults else ()
        for deed in deeds:
            self._hit(BEFORE_COMMIT[deed])
        for log in due:
            log.sealed = True
        try:
            with self._db.transaction():
                for log in due:
                    self._write(log)
                sweeping = next((log for log in due if log.has_debris), None)
                swept_to, swept = self._sweep(sweeping) if sweeping else (0, 0)
        finally:
            for log in due:
                log.sealed = False
        appended = [entry for log in due for entry in log.appended]
        for log in due:
            log.written(swept_to if log is sweeping else log.swept_to)
        for deed in deeds:
            self._hit(AFTER_COMMIT[deed])
        size_bytes = sum(len(entry.command) for entry in appended)
        return CommitStats(len(appended), size_bytes, swept, time.perf_counter() - started)

    def free_bytes(self) -> int:
        """Room left on the data directory's disk."""
        return self._files.free_bytes(self._directory)

    def low_on_space(self) -> bool:
        """Whether to refuse writes, so that terms and votes can still be written."""
        return self.free_bytes() < self._reserve_bytes

    def close(self) -> None:
        """Give the file and the directory back. What is buffered and not committed is dropped."""
        self._db.close()
        if self._faults is not None:
            self._faults.disk.flush()
        self._lock.release()

    # ---- SQL

    def _open(self) -> None:
        self._check_format()
        for group, stored, crc in self._db.select("SELECT id, state, crc FROM groups ORDER BY id"):
            sound = isinstance(stored, bytes) and crc == state_crc(group, stored)
            self._check(sound, f"the state of group {group}")
            self._logs[group] = self._buffer(group, msgspec.json.decode(stored, type=GroupState))

    def _check_format(self) -> None:
        application, version, tables = (
            self._db.select(f"SELECT * FROM {table}")[0][0]
            for table in (
                "pragma_application_id",
                "pragma_user_version",
                "(SELECT count(*) FROM sqlite_schema)",
            )
        )
        if (application, tables) == (0, 0):
            with self._db.transaction():
                for statement in SCHEMA:
                    self._db.execute(statement)
            self._files.fsync_directory(self._directory)
        elif application != APPLICATION_ID:
            raise StartupError(f"{self._path} is a database of another program: choose another --data-dir")
        elif version > FORMAT:
            raise StartupError(
                f"{self._path} was written by a newer dkv (format {version}, this one knows {FORMAT}): "
                "start the newer version again"
            )

    def _buffer(self, group: GroupId, state: GroupState) -> LogBuffer:
        lowest = self._db.select(
            "SELECT min(key) FROM entries WHERE key BETWEEN ? AND ?",
            (_key(group, 0), _key(group, state.last_index)),
        )[0][0]
        self._check(lowest is not None, f"the log of group {group}")
        return LogBuffer(
            group, state, lambda first, last: self._read(group, first, last), swept_to=lowest - _key(group, 0)
        )

    def _read(self, group: GroupId, first_index: int, last_index: int) -> list[Entry]:
        entries: list[Entry] = []
        rows = self._db.execute(
            "SELECT key, term, crc, command FROM entries WHERE key BETWEEN ? AND ? ORDER BY key",
            (_key(group, first_index), _key(group, last_index)),
        )
        try:
            for index, (key, term, crc, command) in enumerate(rows, first_index):
                entry = Entry(command, index, term)
                self._check(key == _key(group, index), f"entry {index} of group {group} (missing)")
                sound = isinstance(term, int) and isinstance(command, bytes) and crc == entry_crc(group, entry)
                self._check(sound, f"entry {index} of group {group} (checksum)")
                entries.append(entry)
        except DatabaseError as error:
            self._check(False, f"entry {first_index + len(entries)} of group {group} ({error})")
        self._check(len(entries) == last_index - first_index + 1, f"the end of the log of group {group} (missing)")
        return entries

    def _check(self, sound: bool, what: str) -> None:
        if not sound:
            raise StartupError(f"{self._path} is damaged: {what}. Nothing was changed; {REPLACE_THIS_NODE}")

    def _write(self, log: LogBuffer) -> None:
        if log.cut_at is not None:
            self._delete(_key(log.group, log.cut_at), _key(log.group + 1, 0) - 1)
        if log.appended:
            self._insert(log.group, log.appended)
        self._put_state(log.group, log.state)

    def _insert(self, group: GroupId, entries: Sequence[Entry]) -> None:
        self._db.executemany(
            "INSERT INTO entries VALUES (?, ?, ?, ?)",
            [(_key(group, entry.index), entry.term, entry_crc(group, entry), entry.command) for entry in entries],
        )

    def _put_state(self, group: GroupId, state: GroupState) -> None:
        stored = msgspec.json.encode(state)
        self._db.execute("INSERT OR REPLACE INTO groups VALUES (?, ?, ?)", (group, stored, state_crc(group, stored)))

    def _delete(self, first_key: int, last_key: int) -> None:
        self._db.execute("DELETE FROM entries WHERE key BETWEEN ? AND ?", (first_key, last_key))

    def _sweep(self, log: LogBuffer) -> tuple[int, int]:
        """Delete one portion of a log's debris → index below which nothing is left, number of rows."""
        floor = _key(log.group, log.state.first_index)
        # SQLite knows a blob's length without reading it.
        rows = self._db.select(
            "SELECT key, length(command) FROM entries WHERE key >= ? AND key < ? ORDER BY key LIMIT ?",
            (_key(log.group, log.swept_to), floor, SWEEP_ROWS_MAX),
        )
        sizes = accumulate(size for _, size in rows)
        count = max(1, bisect_right(list(sizes), SWEEP_BYTES_MAX)) if rows else 0
        swept_to_key = floor if count == len(rows) < SWEEP_ROWS_MAX else rows[count - 1][0] + 1
        self._delete(_key(log.group, log.swept_to), swept_to_key - 1)
        return swept_to_key - _key(log.group, 0), count


def _key(group: GroupId, index: int) -> int:
    assert 0 <= index < 1 << INDEX_BITS, f"index {index} has no place in a row's key"
    return group << INDEX_BITS | index
