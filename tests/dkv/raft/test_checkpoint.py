"""Checkpoint files: complete or not there at all, readable while superseded, every damaged byte noticed."""

import errno
import os
from itertools import count
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkv import files
from dkv.errors import FatalError, StartupError
from dkv.raft.checkpoint import FileCheckpoints
from dkv.raft.checkpoint_format import FOOTER_BYTES, PROLOGUE, RECORD, RECORD_BYTES_MAX, encode_start
from dkv.raft.configuration import encode_change
from dkv.raft.contracts import NO_OP, CheckpointCorrupt, CheckpointHeader, DiskFull, Entry

A, B = "a.00000001", "b.00000002"
BLOCKS = [b"one" * 1000, b"", b"three" * 300, bytes(range(256)) * 20]


def header(index, cluster="c", group=1):
    base = (Entry(b"\x00put" * 10, index - 1, 3), Entry(encode_change("add", B), index, 4))
    return CheckpointHeader(cluster, group, *base, (A, B))


def write(store, index, blocks=BLOCKS):
    writer = store.create(header(index))
    for block in blocks:
        writer.add(block)
    writer.finish()


def content(store, index):
    file = store.open(index)
    try:
        return list(file.blocks())
    finally:
        file.close()


def indexes(store):
    return [found.last.index for found in store.headers()]


@pytest.fixture(name="store")
def store_fixture(tmp_path):
    return FileCheckpoints(tmp_path, "c", 1)


@settings(max_examples=30, derandomize=True, deadline=None)
@given(blocks=st.lists(st.binary(max_size=5000), max_size=8))
def test_what_was_written_is_read(tmp_path_factory, blocks):
    store = FileCheckpoints(tmp_path_factory.mktemp("c"), "c", 1)
    write(store, 50, blocks)
    assert store.headers() == [header(50)]
    assert content(store, 50) == blocks


def test_nothing_is_visible_before_the_end(store, tmp_path):
    writer = store.create(header(50))
    writer.add(b"block")
    assert store.headers() == []
    writer.finish()
    assert indexes(store) == [50]
    assert os.listdir(tmp_path) == ["checkpoint-1-50"]
    writer.abort()
    assert indexes(store) == [50]


def test_an_aborted_one_leaves_nothing(store, tmp_path):
    for begun in (store.create(header(50)), store.receive()):
        begun.abort()
        begun.abort()
    assert os.listdir(tmp_path) == []


def test_newest_first_and_groups_apart(store, tmp_path):
    for index in (50, 700, 60):
        write(store, index)
    other = FileCheckpoints(tmp_path, "c", 11)
    assert indexes(store) == [700, 60, 50]
    assert other.headers() == []
    other.discard([50, 60, 700])
    assert indexes(store) == [700, 60, 50]


def test_discarded_ones_are_gone_and_no_others(store):
    for index in (50, 60, 70):
        write(store, index)
    store.discard([50, 70, 999])
    assert indexes(store) == [60]


def test_what_a_crash_left_unfinished_goes_at_the_next_start(store, tmp_path):
    write(store, 50)
    for begun in (store.create(header(60)), store.receive()):
        begun._part._close()
    FileCheckpoints(tmp_path, "c", 2)
    FileCheckpoints(tmp_path, "c", 11)
    assert len(os.listdir(tmp_path)) == 3
    assert indexes(FileCheckpoints(tmp_path, "c", 1)) == [50]
    assert os.listdir(tmp_path) == ["checkpoint-1-50"]


def test_an_open_file_outlives_its_name(store):
    write(store, 50)
    write(store, 60)
    file = store.open(50)
    store.discard([50])
    assert indexes(store) == [60]
    assert file.header == header(50)
    assert list(file.blocks()) == BLOCKS
    assert len(file.read(0, 1 << 20)) == file.size_bytes
    assert file.read(file.size_bytes, 10) == b""
    file.close()


# ---- snapshots


def send(store, index, sink, chunk_bytes=1000, damage=lambda data: data):
    file = store.open(index)
    data = damage(b"".join(iter_chunks(file, chunk_bytes)))
    file.close()
    for offset in range(0, len(data), chunk_bytes):
        assert sink.received_bytes == offset
        sink.write(data[offset : offset + chunk_bytes])


def iter_chunks(file, chunk_bytes):
    for offset in count(0, chunk_bytes):
        if not (chunk := file.read(offset, chunk_bytes)):
            return
        yield chunk


def test_a_snapshot_arrives_in_chunks(store, tmp_path):
    write(store, 50)
    (tmp_path / "there").mkdir()
    there = FileCheckpoints(tmp_path / "there", "c", 1)
    sink = there.receive()
    send(store, 50, sink)
    assert there.headers() == []
    file = sink.finish()
    assert (file.header, list(file.blocks())) == (header(50), BLOCKS)
    file.close()
    assert indexes(there) == [50]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[:1500],
        lambda data: data + b"x",
        lambda data: data[:1500] + bytes([data[1500] ^ 1]) + data[1501:],
        lambda data: data[:1500] + data[2000:],
        lambda data: b"\x80\x02]q\x00." + data,
    ],
)
def test_a_damaged_snapshot_leaves_nothing(store, tmp_path, damage):
    write(store, 50)
    (tmp_path / "there").mkdir()
    sink = FileCheckpoints(tmp_path / "there", "c", 1).receive()
    send(store, 50, sink, damage=damage)
    with pytest.raises(CheckpointCorrupt):
        sink.finish()
    assert os.listdir(tmp_path / "there") == []


@pytest.mark.parametrize(("cluster", "group"), [("another", 1), ("c", 2)])
def test_a_snapshot_of_something_else_is_refused(store, tmp_path, cluster, group):
    write(store, 50)
    (tmp_path / "there").mkdir()
    sink = FileCheckpoints(tmp_path / "there", cluster, group).receive()
    send(store, 50, sink)
    with pytest.raises(CheckpointCorrupt, match="not of ours"):
        sink.finish()
    assert os.listdir(tmp_path / "there") == []


def test_a_snapshot_cannot_bring_a_foreign_pickle_into_the_log(store, tmp_path):
    (tmp_path / "there").mkdir()
    base = (Entry(NO_OP, 49, 3), Entry(b"\x02cos\nsystem\n(S'true'\ntR.", 50, 4))
    writer = store.create(CheckpointHeader("c", 1, *base, (A,)))
    writer.finish()
    assert store.headers() == []
    sink = FileCheckpoints(tmp_path / "there", "c", 1).receive()
    sink.write((tmp_path / "checkpoint-1-50").read_bytes())
    with pytest.raises(CheckpointCorrupt, match="canonical"):
        sink.finish()


# ---- damage


@settings(max_examples=300, derandomize=True, deadline=None)
@given(data=st.data())
def test_no_flipped_bit_and_no_cut_goes_unnoticed(tmp_path_factory, data):
    directory = tmp_path_factory.mktemp("c")
    store = FileCheckpoints(directory, "c", 1)
    write(store, 50)
    path = directory / "checkpoint-1-50"
    good = path.read_bytes()
    position = data.draw(st.integers(0, len(good) - 1))
    flipped = good[:position] + bytes([good[position] ^ 1 << data.draw(st.integers(0, 7))]) + good[position + 1 :]
    path.write_bytes(data.draw(st.sampled_from([flipped, good[:position]])))
    with pytest.raises((CheckpointCorrupt, StartupError), match="checkpoint-1-50"):
        content(store, 50)


def test_blocks_in_another_order_are_found_at_the_end(store, tmp_path):
    write(store, 50, [b"one--", b"two--"])
    path = tmp_path / "checkpoint-1-50"
    data, start, size_bytes = path.read_bytes(), len(encode_start(header(50))), RECORD.size + 5
    one, two = data[start : start + size_bytes], data[start + size_bytes : start + 2 * size_bytes]
    path.write_bytes(data[:start] + two + one + data[start + 2 * size_bytes :])
    file = store.open(50)
    blocks = file.blocks()
    assert [next(blocks), next(blocks)] == [b"two--", b"one--"]
    with pytest.raises(CheckpointCorrupt, match="not those that were written"):
        next(blocks)
    file.close()


def test_a_short_file_is_found_without_reading_its_blocks(store, tmp_path):
    for index in (50, 60):
        write(store, index)
    path = tmp_path / "checkpoint-1-60"
    path.write_bytes(path.read_bytes()[:-100])
    assert indexes(store) == [50]


def test_a_file_under_another_index_is_none(store, tmp_path):
    write(store, 50)
    os.rename(tmp_path / "checkpoint-1-50", tmp_path / "checkpoint-1-51")
    assert store.headers() == []


def test_a_newer_format_is_named(store, tmp_path):
    write(store, 50)
    path = tmp_path / "checkpoint-1-50"
    data = bytearray(path.read_bytes())
    data[8] = 2
    path.write_bytes(data)
    with pytest.raises(StartupError, match="newer dkv"):
        store.headers()


def test_a_length_beyond_reason_is_refused_before_it_is_read(store, tmp_path):
    write(store, 50, [b"block"])
    path = tmp_path / "checkpoint-1-50"
    data = bytearray(path.read_bytes())
    start = len(encode_start(header(50)))
    data[start : start + 4] = (RECORD_BYTES_MAX + 1).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(CheckpointCorrupt, match="a block of 16777217 bytes"):
        content(store, 50)


def test_a_block_beyond_reason_is_a_bug(store):
    writer = store.create(header(50))
    with pytest.raises(AssertionError, match="at most"):
        writer.add(bytes(RECORD_BYTES_MAX + 1))
    writer.abort()


# ---- the disk


def failing(code):
    def fail(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize(("where", "what"), [("write_all", files), ("fsync", os), ("rename", os), ("open", os)])
def test_a_full_disk_leaves_nothing_behind(store, tmp_path, monkeypatch, code, where, what):
    write(store, 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(what, where, failing(code))
        with pytest.raises(DiskFull, match="make room"):
            write(store, 50)
    assert os.listdir(tmp_path) == ["checkpoint-1-40"]
    write(store, 50)
    assert content(store, 50) == BLOCKS


@pytest.mark.parametrize(("where", "what"), [("write_all", files), ("fsync", os)])
def test_a_full_disk_while_receiving(store, tmp_path, monkeypatch, where, what):
    write(store, 50)
    (tmp_path / "there").mkdir()
    there = FileCheckpoints(tmp_path / "there", "c", 1)
    sink = there.receive()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(what, where, failing(errno.ENOSPC))
        with pytest.raises(DiskFull):
            receive(sink, (tmp_path / "checkpoint-1-50").read_bytes())
    assert os.listdir(tmp_path / "there") == []


def receive(sink, data):
    sink.write(data)
    sink.finish()


def test_a_disk_that_fails_is_fatal(store, tmp_path, monkeypatch):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", failing(errno.EIO))
        with pytest.raises(FatalError, match="does not keep its word"):
            write(store, 50)
    assert os.listdir(tmp_path) == []


def test_the_layout_is_the_documented_one(store, tmp_path):
    """A golden prefix: changing the format without changing its number must fail here."""
    write(store, 50, [b"block"])
    data = (tmp_path / "checkpoint-1-50").read_bytes()
    start = len(encode_start(header(50)))
    assert data[: PROLOGUE.size] == b"dkv-ckpt\x01\x00\x00\x00"
    assert data[start : start + RECORD.size + 5] == b"\x05\x00\x00\x00\x22\x97\x1b\x83" + b"block"
    assert data[-FOOTER_BYTES:][:12] == b"\xff\xff\xff\xff" + (1).to_bytes(8, "little")
    assert len(data) == start + RECORD.size + 5 + FOOTER_BYTES


# ---- points


def test_the_points_of_a_checkpoint_and_of_a_snapshot(tmp_path):
    passed = []

    def hit(name):
        passed.append((name, sorted(os.listdir(tmp_path))))

    faults = SimpleNamespace(disk=SimpleNamespace(files=files.OS_FILES), points=SimpleNamespace(hit=hit))
    store = FileCheckpoints(tmp_path, "c", 1, faults=faults)
    write(store, 50)
    snapshot = (tmp_path / "checkpoint-1-50").read_bytes()
    store.discard([50])
    store.discard([])
    sink = store.receive()
    sink.write(snapshot)
    sink.finish().close()
    assert passed == [
        ("checkpoint.before_rename", ["checkpoint-1-part-0"]),
        ("checkpoint.after_rename", ["checkpoint-1-50"]),
        ("checkpoint.before_discard", ["checkpoint-1-50"]),
        ("snapshot.before_rename", ["checkpoint-1-part-1"]),
        ("snapshot.after_rename", ["checkpoint-1-50"]),
    ]
