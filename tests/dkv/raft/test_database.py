"""The SQLite file: made the same way by every build, synced at every commit."""

import shutil
import sqlite3

import msgspec
import pytest

from dkv.errors import StartupError
from dkv.raft.contracts import GENESIS, LoggedState
from dkv.raft.database import PRAGMAS
from dkv.raft.log_buffer import GroupState, entry_crc, state_crc
from dkv.raft.storage import SCHEMA, Storage

A, B = "a.00000001", "b.00000002"


def test_a_file_of_another_build_of_sqlite_opens(tmp_path, open_storage, make_entry):
    """Written by Python's own ``sqlite3`` with what an earlier dkv told it, and left behind by a crash."""
    writer = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
    for statement in [f"PRAGMA {pragma}" for pragma in PRAGMAS] + [*SCHEMA]:
        writer.execute(statement).fetchall()
    state = msgspec.json.encode(GroupState(4, B, 2, (A,), 0, 50))
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO groups VALUES (1, ?, ?)", (state, state_crc(1, state)))
    writer.executemany(
        "INSERT INTO entries VALUES (?, ?, ?, ?)",
        [
            (1 << 40 | entry.index, entry.term, entry_crc(1, entry), entry.command)
            for entry in [*GENESIS, *map(make_entry, range(2, 51))]
        ],
    )
    writer.execute("COMMIT")
    image = tmp_path / "image"
    image.mkdir()
    for path in tmp_path.glob("log.db*"):
        shutil.copy(path, image)
    writer.close()
    for directory in (tmp_path, image):
        with open_storage(directory) as storage:
            log = storage.group(1)
            assert log.load() == LoggedState([*GENESIS, *map(make_entry, range(2, 51))], 4, B, 2, (A,))
            log.append(make_entry(51))
            storage.commit()


def test_a_path_that_sqlite_cannot_name_is_refused(tmp_path):
    with pytest.raises(StartupError, match="not UTF-8"):
        Storage(tmp_path / "\udcff" / "log.db")


def test_every_commit_is_synced(tmp_path, open_storage):
    with open_storage(tmp_path) as storage:
        settings_ = [storage._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert settings_ == ["wal", 2]
