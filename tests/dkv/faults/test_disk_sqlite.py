"""The log file on a faulty disk: full is survived, failing is fatal, and a power loss takes what was not acknowledged.

Here a power loss is a look at the real disk while the rest is still in memory; with real deaths: ``test_power_loss``.
"""

from contextlib import contextmanager

import apsw
import pytest

from dkv.errors import FatalError, StartupError
from dkv.raft import database
from dkv.raft.contracts import DiskFull, Entry
from dkv.raft.storage import Storage

A = "a.00000001"


@contextmanager
def opened(directory, faults=None, **options):
    storage = Storage(directory / "log.db", faults=faults, **options)
    try:
        yield storage
    finally:
        if faults is not None:
            faults.points.arm({})
            faults.disk.heal()
        storage.close()


@pytest.fixture
def storage(tmp_path, faults):
    with opened(tmp_path, faults) as storage:
        storage.found_group(1, [A])
        yield storage


def append(storage, count=1, size_bytes=300):
    log = storage.group(1)
    for _ in range(count):
        index = log.state.last_index + 1
        log.append(Entry(b"\x00%d" % index + bytes(size_bytes), index, 1))
    return storage.commit()


def entries_in(directory):
    with opened(directory) as storage:
        entries = storage.group(1).load().entries if storage.groups else []
    assert all(entry.command.startswith(b"\x00%d\x00" % entry.index) for entry in entries[2:])
    return [entry.index for entry in entries]


def test_without_faults_there_is_no_vfs_of_ours(tmp_path):
    names = apsw.vfs_names()
    with opened(tmp_path):
        assert apsw.vfs_names() == names


def test_the_vfs_goes_with_the_storage(tmp_path, faults):
    names = apsw.vfs_names()
    with opened(tmp_path, faults):
        assert len(apsw.vfs_names()) == len(names) + 1
    (tmp_path / "log.db").write_bytes(b"no database at all" * 1000)
    with pytest.raises(StartupError, match="--join"), opened(tmp_path, faults):
        pass
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "log.db").mkdir()
    with pytest.raises(StartupError, match="--join"), opened(tmp_path / "other", faults):
        pass
    assert apsw.vfs_names() == names
    assert faults.disk.open_files == set()


def test_a_full_disk_is_survived(storage, faults):
    append(storage)
    faults.disk.set({"full": True})
    assert storage.low_on_space()
    for _ in range(3):
        with pytest.raises(DiskFull, match="make room"):
            append(storage)
    with pytest.raises(DiskFull):
        storage.write_identity(b"n1")
    faults.disk.heal()
    assert not storage.low_on_space()
    assert storage.commit().entries == 3
    assert storage.identity is None


@pytest.mark.parametrize("volatile", [False, True])
def test_a_failing_disk_is_fatal(storage, faults, tmp_path, after_power_loss, volatile):
    append(storage)
    faults.disk.set({"io_error": True, "volatile": volatile})
    with pytest.raises(FatalError, match=r"a commit failed \(\[Errno 5\] Input/output error\); nobody knows"):
        append(storage)
    assert entries_in(after_power_loss(tmp_path)) == [0, 1, 2]


def test_a_slow_disk_delays_every_commit(storage, faults):
    faults.disk.set({"fsync_delay_s": 0.5})
    append(storage)
    append(storage)
    assert faults.slept == [0.5, 0.5]


def test_what_one_turn_does_passes_its_points(storage, faults):
    def passed():
        before = faults.points.hits()
        storage.commit()
        return {name for name, count in faults.points.hits().items() if count > before[name]} - {"fsync"}

    log = storage.group(1)
    assert passed() == set()
    log.append(Entry(b"\x00", 2, 1))
    log.append(Entry(b"\x00", 3, 1))
    assert passed() == {"append.before_commit", "append.after_commit"}
    log.set_hard_state(2, None)
    assert passed() == {"vote.before_commit", "vote.after_commit"}
    log.set_hard_state(2, A)
    log.append(Entry(b"\x00", 4, 2))
    assert passed() == {"append.before_commit", "append.after_commit", "vote.before_commit", "vote.after_commit"}
    log.trim_to(2, [A])
    assert passed() == {"trim.before_commit", "trim.after_commit"}
    log.reset([Entry(b"\x00", 9, 2), Entry(b"\x00", 10, 2)], [A])
    assert passed() == {"snapshot.before_install", "snapshot.after_install"}


@pytest.mark.parametrize("when", ["before", "after"])
def test_death_around_a_commit(storage, faults, tmp_path, after_power_loss, PowerLoss, when):
    faults.disk.set({"volatile": True})
    append(storage)
    faults.points.arm({f"append.{when}_commit": {"kill_at": 2}})
    append(storage)
    with pytest.raises(PowerLoss):
        append(storage)
    assert entries_in(after_power_loss(tmp_path)) == list(range(4 if when == "before" else 5))


def test_the_wal_is_copied_with_the_commit_that_makes_it_long(storage, tmp_path, monkeypatch):
    monkeypatch.setattr(database, "WAL_PAGES", 20)
    for _ in range(100):
        append(storage, size_bytes=3000)
    assert (tmp_path / "log.db-wal").stat().st_size < 40 * database.PAGE_BYTES
    assert (tmp_path / "log.db").stat().st_size > 200_000


@pytest.mark.parametrize(
    ("code", "fatal"), [(apsw.SQLITE_FULL, False), (apsw.SQLITE_IOERR_WRITE, True)], ids=["full", "failing"]
)
def test_a_wal_that_cannot_be_copied(storage, tmp_path, monkeypatch, after_power_loss, code, fatal):
    """Full: the commit is durable all the same, and the WAL grows. Failing: SQLite would keep silent; we do not."""
    monkeypatch.setattr(database, "WAL_PAGES", 5)
    original = apsw.VFSFile.xWrite
    refused = []

    def write_at(base, offset, data):
        if len(data) == database.PAGE_BYTES and offset % database.PAGE_BYTES == 0:
            refused.append(offset)
            raise apsw.exception_for(code)
        original(base._file, data, offset)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dkv.faults.disk_sqlite._Base.write_at", write_at)
        if fatal:
            with pytest.raises(FatalError):
                append(storage, 20, 3000)
        else:
            for _ in range(10):
                append(storage, 2, 3000)
        assert refused
        assert entries_in(after_power_loss(tmp_path)) == list(range(22))


# ---- power loss

TURNS = (1, 3, 1, 8, 1, 20, 1, 1, 1, 1)
"""Entries of each."""


class Life:
    """A node's log from its founding to its end, and how far it had come."""

    def __init__(self):
        self.acknowledged = []
        self.in_flight = [0, 1]
        self.storage = None

    def live(self, directory, faults):
        self.storage = Storage(directory / "log.db", faults=faults)
        self.storage.found_group(1, [A])
        for count in TURNS:
            self.acknowledged = self.acknowledged + self.in_flight
            last = self.acknowledged[-1]
            self.in_flight = list(range(last + 1, last + 1 + count))
            append(self.storage, count, 2000)
        self.acknowledged, self.in_flight = self.acknowledged + self.in_flight, []
        self.storage.close()
        self.storage = None


@pytest.mark.parametrize("torn", [False, True])
def test_a_power_loss_at_every_fsync_of_a_life(
    tmp_path_factory,
    faults,
    after_power_loss,
    PowerLoss,
    monkeypatch,
    torn,
):
    monkeypatch.setattr(database, "WAL_PAGES", 20)  # copied into the database every few commits
    faults.disk.set({"volatile": True, "torn": torn})
    for kill_at in range(1, 100):
        directory, life = tmp_path_factory.mktemp("life"), Life()
        faults.points.arm({"fsync": {"kill_at": kill_at}})
        try:
            life.live(directory, faults)
        except PowerLoss:
            left = entries_in(after_power_loss(directory))
            # A turn is there as a whole or not at all, and an acknowledged one always is.
            assert left in (life.acknowledged, life.acknowledged + life.in_flight)
        else:
            break
        finally:
            if life.storage is not None:
                life.storage.close()
    assert 20 < kill_at < 60
