"""The log file: what was committed is there again, nothing else is, and damage is named.

Crashes and full disks with real processes: ``test_storage_crashes``.
"""

import shutil
import sqlite3
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dkv.errors import FatalError, StartupError
from dkv.raft import storage as storage_module
from dkv.raft.contracts import GENESIS, LoggedState
from dkv.raft.storage import Storage

A, B = "a.00000001", "b.00000002"


def appended(log, entries):
    for entry in entries:
        log.append(entry)


def test_a_new_group_begins_with_genesis(tmp_path, open_storage):
    with open_storage(tmp_path) as storage:
        assert storage.identity is None
        assert storage.groups == ()
        storage.found_group(1, [A])
        assert storage.group(1).load() == LoggedState(list(GENESIS), 0, None, 1, (A,))
        assert storage.commit() is None
    with open_storage(tmp_path) as storage:
        assert storage.groups == (1,)
        assert storage.group(1).load() == LoggedState(list(GENESIS), 0, None, 1, (A,))


def test_the_identity_is_kept_and_replaced(tmp_path, open_storage):
    with open_storage(tmp_path) as storage:
        storage.write_identity(b"one")
        storage.write_identity(b"two\x00")
    with open_storage(tmp_path) as storage:
        assert storage.identity == b"two\x00"


def test_what_is_committed_comes_back_and_what_is_not_does_not(tmp_path, open_storage, make_entry):
    with open_storage(tmp_path) as storage:
        storage.found_group(1, [A])
        log = storage.group(1)
        appended(log, [make_entry(2), make_entry(3)])
        log.set_hard_state(3, B)
        log.set_commit_index(2)
        stats = storage.commit()
        assert (stats.entries, stats.size_bytes, stats.swept) == (2, 8, 0)
        log.append(make_entry(4))
        log.set_hard_state(4, None)
    with open_storage(tmp_path) as storage:
        expected = LoggedState([*GENESIS, make_entry(2), make_entry(3)], 3, B, 2, (A,))
        assert storage.group(1).load() == expected


def test_truncation_and_the_same_indexes_again_in_one_commit(tmp_path, open_storage, make_entry):
    with open_storage(tmp_path) as storage:
        storage.found_group(1, [A])
        log = storage.group(1)
        appended(log, [make_entry(index) for index in range(2, 8)])
        storage.commit()
        log.truncate_from(4)
        appended(log, [make_entry(index, term=2) for index in (4, 5)])
        storage.commit()
    with open_storage(tmp_path) as storage:
        entries = storage.group(1).load().entries
        assert entries == [*GENESIS, make_entry(2), make_entry(3), make_entry(4, 2), make_entry(5, 2)]


def test_two_groups_do_not_meet(tmp_path, open_storage, make_entry):
    with open_storage(tmp_path) as storage:
        for group in (1, 2):
            storage.found_group(group, [A])
        for index in range(2, 10):
            storage.group(1).append(make_entry(index, term=1))
            storage.group(2).append(make_entry(index, term=2))
            storage.commit()
        storage.group(1).truncate_from(5)
        storage.group(2).trim_to(6, [A, B])
        storage.group(2).set_hard_state(2, A)
        storage.commit()
    with open_storage(tmp_path) as storage:
        one, two = storage.group(1).load(), storage.group(2).load()
        assert one == LoggedState([*GENESIS, *(make_entry(i, 1) for i in (2, 3, 4))], 0, None, 1, (A,))
        assert two == LoggedState([make_entry(i, 2) for i in (6, 7, 8, 9)], 2, A, 1, (A, B))


def test_a_snapshot_resets_the_log_to_its_base(tmp_path, open_storage, make_entry):
    base = [make_entry(99, 7), make_entry(100, 7)]
    with open_storage(tmp_path) as storage:
        storage.found_group(1, [A])
        log = storage.group(1)
        appended(log, [make_entry(index) for index in range(2, 50)])
        storage.commit()
        log.append(make_entry(50))
        log.reset(base, [B])
        log.append(make_entry(101, 8))
        storage.commit()
    with open_storage(tmp_path) as storage:
        assert storage.group(1).load() == LoggedState([*base, make_entry(101, 8)], 0, None, 100, (B,))


def test_a_reset_also_drops_a_longer_tail(tmp_path, open_storage, make_entry):
    base = [make_entry(19, 7), make_entry(20, 7)]
    with open_storage(tmp_path) as storage:
        storage.found_group(1, [A])
        log = storage.group(1)
        appended(log, [make_entry(index) for index in range(2, 50)])
        storage.commit()
        log.reset(base, [B])
        storage.commit()
        appended(log, [make_entry(21, 8)])
        storage.commit()
    with open_storage(tmp_path) as storage:
        assert storage.group(1).load().entries == [*base, make_entry(21, 8)]


@pytest.mark.parametrize(("limit", "value"), [("SWEEP_ROWS_MAX", 100), ("SWEEP_BYTES_MAX", 100 * 10)])
def test_a_trim_is_swept_in_portions_and_survives_a_restart(
    tmp_path, open_storage, make_entry, monkeypatch, limit, value
):
    monkeypatch.setattr(storage_module, limit, value)
    with open_storage(tmp_path) as storage:
        storage.found_group(1, [A])
        appended(storage.group(1), [make_entry(index) for index in range(2, 1001)])
        storage.commit()
        storage.group(1).trim_to(900, [A])
        assert 50 <= storage.commit().swept <= 200
    with open_storage(tmp_path) as storage:
        assert storage.group(1).load().entries == [make_entry(index) for index in range(900, 1001)]
        portions = []
        while stats := storage.commit():
            portions.append(stats.swept)
        assert max(portions) <= 200
        assert len(portions) >= 4
    assert rows(tmp_path) == 101


def test_a_row_larger_than_a_portion_is_still_swept(tmp_path, open_storage, make_entry, monkeypatch):
    monkeypatch.setattr(storage_module, "SWEEP_BYTES_MAX", 10)
    with open_storage(tmp_path) as storage:
        storage.found_group(1, [A])
        appended(storage.group(1), [make_entry(index, size_bytes=50) for index in range(2, 10)])
        storage.group(1).trim_to(5, [A])
        swept = 0
        while stats := storage.commit():
            swept += stats.swept
        assert swept == 5


def rows(directory):
    with sqlite3.connect(directory / "log.db") as db:
        found = db.execute("SELECT count(*) FROM entries").fetchone()[0]
    db.close()
    return found


# ---- damage


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("UPDATE entries SET command = x'00ff' WHERE key = (1 << 40) + 5", r"entry 5 of group 1 \(checksum\)"),
        ("UPDATE entries SET term = 9 WHERE key = (1 << 40) + 5", r"entry 5 of group 1 \(checksum\)"),
        ("DELETE FROM entries WHERE key = (1 << 40) + 5", r"entry 5 of group 1 \(missing\)"),
        ("DELETE FROM entries WHERE key >= (1 << 40) + 9", "the end of the log of group 1"),
        ("DELETE FROM entries", "the log of group 1"),
        ("UPDATE groups SET state = replace(state, 'a.0', 'b.0')", "the state of group 1"),
        ("UPDATE groups SET state = CAST(replace(state, '1', '0') AS BLOB)", "the state of group 1"),
        ("UPDATE entries SET term = 'x' WHERE key = (1 << 40) + 5", r"entry 5 of group 1 \(checksum\)"),
        ("UPDATE node SET value = 'somebody else'", "the node's identity"),
    ],
)
def test_damage_is_named_and_nothing_is_guessed(tmp_path, open_storage, make_entry, damage, named):
    with open_storage(tmp_path) as storage:
        storage.write_identity(b"n1")
        storage.found_group(1, [A])
        appended(storage.group(1), [make_entry(index) for index in range(2, 10)])
        storage.commit()
    with sqlite3.connect(tmp_path / "log.db") as db:
        db.execute(damage)
    db.close()
    with pytest.raises(StartupError, match=named + r".*--join"):
        read_everything(tmp_path, open_storage)


def read_everything(directory, open_storage):
    with open_storage(directory) as storage:
        return storage.identity, storage.group(1).load()


def test_a_flipped_bit_in_the_file_is_found(tmp_path, open_storage, make_entry):
    with open_storage(tmp_path) as storage:
        storage.found_group(1, [A])
        appended(storage.group(1), [make_entry(index, size_bytes=200) for index in range(2, 200)])
        storage.commit()
    path = tmp_path / "log.db"
    content = bytearray(path.read_bytes())
    content[content.index(b"\x00150@1x") + 60] ^= 1
    path.write_bytes(content)
    with (
        open_storage(tmp_path) as storage,
        pytest.raises(StartupError, match=r"entry 150 of group 1 \(checksum\)"),
    ):
        storage.group(1).load()


@pytest.mark.parametrize("damaged_at", [0, 50, 8192])
def test_a_file_that_is_no_database_is_refused(tmp_path, open_storage, make_entry, damaged_at):
    with open_storage(tmp_path) as storage:
        storage.found_group(1, [A])
        appended(storage.group(1), [make_entry(index, size_bytes=200) for index in range(2, 200)])
        storage.commit()
    path = tmp_path / "log.db"
    content = bytearray(path.read_bytes())
    content[damaged_at:] = b"\xa5" * (len(content) - damaged_at)
    path.write_bytes(content)
    with pytest.raises(StartupError, match="--join"):
        read_everything(tmp_path, open_storage)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("PRAGMA user_version = 2", "newer dkv"),
        ("PRAGMA application_id = 5", "another program"),
    ],
)
def test_files_of_others_are_refused(tmp_path, open_storage, statement, named):
    with open_storage(tmp_path):
        pass
    db = sqlite3.connect(tmp_path / "log.db")
    db.execute(statement)
    db.close()
    with pytest.raises(StartupError, match=named), open_storage(tmp_path):
        pass


def test_a_directory_has_one_process_at_a_time(tmp_path, open_storage):
    in_use = pytest.raises(StartupError, match=r"in use by another process \(pid \d+\)")
    with open_storage(tmp_path), in_use:
        Storage(tmp_path / "log.db")
    with open_storage(tmp_path):
        pass


def test_a_failed_commit_is_fatal(tmp_path, open_storage, make_entry):
    with open_storage(tmp_path) as storage:
        storage.found_group(1, [A])
        storage._db.execute("DROP TABLE entries")
        storage.group(1).append(make_entry(2))
        with pytest.raises(FatalError, match="a commit failed"):
            storage.commit()


def test_the_reserve_says_when_to_refuse_writes(tmp_path, open_storage):
    with open_storage(tmp_path / "a", reserve_bytes=0) as storage:
        assert storage.free_bytes() > 0
        assert not storage.low_on_space()
    with open_storage(tmp_path / "b", reserve_bytes=1 << 60) as storage:
        assert storage.low_on_space()


def test_a_torn_end_of_the_wal_is_the_commit_before(tmp_path, open_storage, make_entry):
    """What a power cut leaves: the file up to some byte after the last fsync that returned."""
    wal = tmp_path / "log.db-wal"
    with open_storage(tmp_path) as storage:
        storage.found_group(1, [A])
        sizes = [wal.stat().st_size]
        for index in range(2, 10):
            storage.group(1).append(make_entry(index, size_bytes=3000))
            storage.commit()
            sizes.append(wal.stat().st_size)
        for last_index, (size, next_size) in enumerate(pairwise(sizes), 1):
            for cut in (size, size + 1, (size + next_size) // 2, next_size - 1):
                image = tmp_path / f"cut-{cut}"
                image.mkdir()
                shutil.copy(tmp_path / "log.db", image)
                (image / "log.db-wal").write_bytes(wal.read_bytes()[:cut])
                with open_storage(image) as found:
                    assert found.group(1).load().entries[-1].index == last_index


# ---- the dumb twin


@dataclass
class Twin:
    """A group's log in memory, with what the last commit made durable."""

    entries: list = field(default_factory=lambda: list(GENESIS))
    term: int = 0
    vote: str | None = None
    commit_index: int = 1
    base_voters: tuple = (A,)

    def copy(self):
        return replace(self, entries=list(self.entries))


def change(log, twin, make_entry, verb, number):
    """Do one thing to both, wherever it is legal."""
    first, last = twin.entries[0].index, twin.entries[-1].index
    if verb == "append":
        for index in range(last + 1, last + 2 + number % 5):
            entry = make_entry(index, twin.term, number * 100)
            twin.entries.append(entry)
            log.append(entry)
    elif verb == "truncate" and last > max(first + 1, twin.commit_index):
        lowest = max(first + 1, twin.commit_index) + 1
        index = lowest + number % (last + 1 - lowest)
        del twin.entries[index - first :]
        log.truncate_from(index)
    elif verb == "trim":
        index = first + number % (last - first)
        twin.base_voters = (A, B)[: 1 + number % 2]
        del twin.entries[: index - first]
        log.trim_to(index, twin.base_voters)
    elif verb == "reset":
        index = max(twin.commit_index, first + 1) + number
        twin.entries = [make_entry(index - 1, twin.term + 1), make_entry(index, twin.term + 1)]
        twin.base_voters, twin.commit_index = (B,), index
        log.reset(twin.entries, twin.base_voters)
    elif verb == "hard state":
        twin.term, twin.vote = twin.term + number % 3 + 1, (None, A, B)[number % 3]
        log.set_hard_state(twin.term, twin.vote)
    elif verb == "commit index":
        twin.commit_index = max(twin.commit_index, first + number % (last - first + 1))
        log.set_commit_index(twin.commit_index)


def same(loaded, twin, written_commit_index):
    assert loaded.entries == twin.entries
    assert (loaded.term, loaded.vote, loaded.base_voters) == (twin.term, twin.vote, twin.base_voters)
    assert written_commit_index <= loaded.commit_index <= twin.commit_index


VERBS = ["append", "append", "truncate", "trim", "reset", "hard state", "commit index", "commit", "commit", "crash"]


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(st.tuples(st.sampled_from(VERBS), st.sampled_from([1, 7]), st.integers(0, 30)), max_size=40))
def test_a_reload_equals_a_dumb_twin(steps, tmp_path_factory, make_entry):
    directory = tmp_path_factory.mktemp("twin")
    storage = Storage(directory / "log.db")
    working = {group: Twin() for group in (1, 7)}
    for group in working:
        storage.found_group(group, [A])
    durable = {group: twin.copy() for group, twin in working.items()}
    written_commit_index = dict.fromkeys(working, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage_module, "SWEEP_ROWS_MAX", 3)
        try:
            for verb, group, number in [*steps, ("crash", 1, 0)]:
                if verb == "commit":
                    storage.commit()
                    durable = {group: twin.copy() for group, twin in working.items()}
                elif verb == "crash":
                    image = tmp_path_factory.mktemp("twin")
                    for path in directory.glob("log.db*"):
                        shutil.copy(path, image)
                    storage.close()
                    shutil.rmtree(directory)
                    directory = image
                    storage = Storage(directory / "log.db")
                    for group, twin in durable.items():
                        loaded = storage.group(group).load()
                        same(loaded, twin, written_commit_index[group])
                        twin.commit_index = written_commit_index[group] = loaded.commit_index
                    working = {group: twin.copy() for group, twin in durable.items()}
                else:
                    change(storage.group(group), working[group], make_entry, verb, number)
        finally:
            storage.close()
            shutil.rmtree(directory)
