"""The faulty disk beneath ordinary files: a table of faults, and what a power loss leaves of names and bytes."""

import errno
from contextlib import nullcontext

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dkv.faults.disk import SECTOR_BYTES, DiskState

HEALTHY = {"full": False, "io_error": False, "fsync_delay_s": 0.0, "volatile": False, "torn": False}


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"fulll": True}, "fulll.*a disk has: full, io_error, fsync_delay_s, volatile, torn"),
        ({"full": 1}, r"Expected `bool`.*\$.full"),
        ({"fsync_delay_s": -1}, r">= 0.*fsync_delay_s"),
        ({"fsync_delay_s": 61}, r"<= 60.*fsync_delay_s"),
        ({"fsync_delay_s": float("nan")}, "fsync_delay_s"),
        ({"fsync_delay_s": "1"}, "fsync_delay_s"),
        ({"torn": True}, "set volatile as well"),
    ],
)
def test_a_document_that_makes_no_sense_changes_nothing(faults, document, complaint):
    faults.disk.set({"full": True})
    with pytest.raises(ValueError, match=complaint):
        faults.disk.set(document)
    assert faults.disk.status() == {**HEALTHY, "full": True}


def test_each_document_replaces_the_one_before(faults):
    assert faults.disk.status() == HEALTHY
    faults.disk.set({"volatile": True, "torn": True, "fsync_delay_s": 1})
    assert faults.disk.status() == {**HEALTHY, "volatile": True, "torn": True, "fsync_delay_s": 1.0}
    faults.disk.set({"io_error": True})
    assert faults.disk.status() == {**HEALTHY, "io_error": True}
    faults.disk.heal()
    assert faults.disk.status() == HEALTHY
    assert DiskState() == faults.disk.state


# ---- which operation meets which fault


def operations(files, directory):
    """Name → the operation, each on files of its own."""
    for name in ("written", "synced", "renamed", "deleted", "read"):
        new = files.create(directory / name)
        new.write(b"content")
        new.close()
    open_for_writing, open_for_sync = files.create(directory / "written"), files.create(directory / "synced")
    return {
        "create": lambda: files.create(directory / "created").close(),
        "write": lambda: open_for_writing.write(b"more"),
        "sync": open_for_sync.sync,
        "rename": lambda: files.rename(directory / "renamed", directory / "renamed to"),
        "fsync_directory": lambda: files.fsync_directory(directory),
        "unlink": lambda: files.unlink(directory / "deleted"),
        "names": lambda: files.names(directory),
        "open": lambda: files.open(directory / "read").close(),
    }, (open_for_writing, open_for_sync)


@pytest.mark.parametrize("volatile", [False, True])
@pytest.mark.parametrize(
    ("fault", "number", "refused"),
    [
        ("full", errno.ENOSPC, {"write"}),
        ("io_error", errno.EIO, {"create", "write", "sync", "rename", "fsync_directory"}),
    ],
)
def test_which_operation_meets_which_fault(faults, tmp_path, fault, number, refused, volatile):
    verbs, opened = operations(faults.disk.files, tmp_path)
    faults.disk.set({fault: True, "volatile": volatile})
    for name, operation in verbs.items():
        expected = pytest.raises(OSError) if name in refused else nullcontext()
        with expected as met:
            operation()
        assert met is None or met.value.errno == number
    faults.disk.heal()
    for name in refused:
        verbs[name]()
    for file in opened:
        file.close()


def test_a_full_disk_has_no_room(faults, tmp_path):
    assert faults.disk.files.free_bytes(tmp_path) > 0
    faults.disk.set({"full": True})
    assert faults.disk.files.free_bytes(tmp_path) == 0


def test_a_slow_disk_takes_its_time_at_every_fsync(faults, tmp_path):
    faults.disk.set({"fsync_delay_s": 0.25})
    write(faults.disk.files, tmp_path / "file", b"content")
    faults.disk.files.fsync_directory(tmp_path)
    assert faults.slept == [0.25, 0.25]
    assert faults.points.hits()["fsync"] == 2


# ---- power loss


def write(files, path, content, *, sync=True):
    file = files.create(path)
    file.write(content)
    if sync:
        file.sync()
    file.close()


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def read(files, path):
    file = files.open(path)
    try:
        assert file.read_at(0, 1 << 20) == file.read_at(0, file.size_bytes)
        return file.read_at(0, file.size_bytes)
    finally:
        file.close()


def test_what_was_not_flushed_is_read_and_lost(faults, tmp_path, after_power_loss):
    files = faults.disk.files
    faults.disk.set({"volatile": True})
    write(files, tmp_path / "flushed", b"content")
    write(files, tmp_path / "lost", b"content", sync=False)
    assert read(files, tmp_path / "lost") == b"content"
    assert contents(after_power_loss(tmp_path)) == {"flushed": b"content", "lost": b""}
    faults.disk.heal()
    assert contents(after_power_loss(tmp_path)) == {"flushed": b"content", "lost": b"content"}


def test_a_rename_is_lost_until_its_directory_is_flushed(faults, tmp_path, after_power_loss):
    files = faults.disk.files
    write(files, tmp_path / "file", b"old")
    faults.disk.set({"volatile": True})
    write(files, tmp_path / "part", b"new")
    files.rename(tmp_path / "part", tmp_path / "file")
    assert files.names(tmp_path) == ["file"]
    assert read(files, tmp_path / "file") == b"new"
    with pytest.raises(FileNotFoundError):
        files.open(tmp_path / "part")
    assert contents(after_power_loss(tmp_path)) == {"file": b"old", "part": b"new"}
    files.fsync_directory(tmp_path)
    assert contents(after_power_loss(tmp_path)) == {"file": b"new"}


def test_a_flushed_name_of_unflushed_bytes(faults, tmp_path, after_power_loss):
    """The classic: written, renamed, directory flushed, file not."""
    files = faults.disk.files
    faults.disk.set({"volatile": True})
    write(files, tmp_path / "part", b"content", sync=False)
    files.rename(tmp_path / "part", tmp_path / "file")
    files.fsync_directory(tmp_path)
    assert read(files, tmp_path / "file") == b"content"
    assert contents(after_power_loss(tmp_path)) == {"file": b""}


def test_an_orderly_end_loses_nothing(faults, tmp_path):
    files = faults.disk.files
    faults.disk.set({"volatile": True, "torn": True})
    write(files, tmp_path / "part", b"content" * 1000, sync=False)
    files.rename(tmp_path / "part", tmp_path / "file")
    faults.disk.flush()
    assert contents(tmp_path) == {"file": b"content" * 1000}
    assert faults.disk.open_files == set()


def test_names_are_used_again(faults, tmp_path):
    files = faults.disk.files
    faults.disk.set({"volatile": True})
    for content in (b"one", b"two", b"three"):
        write(files, tmp_path / "part", content, sync=False)
        files.rename(tmp_path / "part", tmp_path / "file")
    assert read(files, tmp_path / "file") == b"three"
    files.unlink(tmp_path / "file")
    assert files.names(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        files.unlink(tmp_path / "file")
    faults.disk.heal()
    assert contents(tmp_path) == {}
    assert faults.disk.open_files == set()


def test_an_open_file_stays_readable_without_its_name(faults, tmp_path):
    files = faults.disk.files
    faults.disk.set({"volatile": True})
    write(files, tmp_path / "file", b"content")
    file = files.open(tmp_path / "file")
    files.unlink(tmp_path / "file")
    assert file.read_at(2, 3) == b"nte"
    file.close()


def test_death_at_a_flush_comes_before_it(faults, tmp_path, after_power_loss, PowerLoss):
    faults.disk.set({"volatile": True})
    faults.points.arm({"fsync": {"kill_at": 2}})
    write(faults.disk.files, tmp_path / "first", b"content")
    with pytest.raises(PowerLoss):
        write(faults.disk.files, tmp_path / "second", b"content")
    assert contents(after_power_loss(tmp_path)) == {"first": b"content", "second": b""}
    faults.disk.heal()


def test_a_torn_write_leaves_a_part_that_is_no_whole_sector(faults, tmp_path, after_power_loss):
    faults.disk.set({"volatile": True, "torn": True})
    lengths = set()
    for number in range(20):
        content = bytes([number + 1]) * 8192
        write(faults.disk.files, tmp_path / str(number), content, sync=False)
        left = contents(after_power_loss(tmp_path))[str(number)]
        assert content.startswith(left)
        assert 0 < len(left) < 8192
        assert len(left) % SECTOR_BYTES
        lengths.add(len(left))
    assert len(lengths) > 10
    faults.disk.heal()


@settings(max_examples=30, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(writes=st.lists(st.tuples(st.binary(min_size=1, max_size=3000), st.booleans()), max_size=12))
def test_torn_writes_leave_what_was_flushed(writes, faults, tmp_path_factory):
    directory = tmp_path_factory.mktemp("torn")
    faults.disk.set({"volatile": True, "torn": True})
    file = faults.disk.files.create(directory / "file")
    written = flushed = b""
    for content, sync in writes:
        file.write(content)
        written += content
        if sync:
            file.sync()
            flushed = written
        left = (directory / "file").read_bytes()
        assert left.startswith(flushed)
        assert all(byte in (0, whole) for byte, whole in zip(left, written, strict=False))
        assert read(faults.disk.files, directory / "file") == written
    file.close()
    faults.disk.heal()
    assert (directory / "file").read_bytes() == written
