"""Pulling a checkpoint over a link that loses, repeats and reorders, from leaders and onto disks that change."""

from dataclasses import replace

import pytest

from dkv.raft.contracts import CheckpointHeader, DiskFull, Entry
from dkv.raft.messages import SnapshotChunk, SnapshotPull
from dkv.raft.options import Options
from dkv.raft.snapshots import ReadySnapshot, SnapshotReceiver, SnapshotSender
from tests.dkv.raft.doubles import A, B, Background, C
from tests.sim.disk import Disk, MemoryCheckpoint, MemorySink
from tests.sim.stage import Stage, with_checkpoints

TERM, NOW = 3, 10.0
OPTIONS = replace(Options(), snapshot_chunk_bytes=40)
BLOCKS = [b"first block", b"second block"]


def header(index):
    return CheckpointHeader("cluster", 1, Entry(b"\x00x", index - 1, 2), Entry(b"\x00y", index, 2), (A, B, C))


def disk_with(*indexes):
    disk = Disk((A, B, C))
    for index in indexes:
        disk.durable.checkpoints[index] = MemoryCheckpoint(header(index), BLOCKS)
    return disk


class WatchedDisk(Disk):
    """Full at ``moment``. ``aborted``: sinks that were given up; ``closed``: checkpoints that were read to the end."""

    def __init__(self, moment=None):
        super().__init__((A, B, C))
        self.moment, self.aborted, self.closed = moment, 0, 0

    def receive(self):
        self.check("receive")
        return WatchedSink(self)

    def check(self, moment):
        if self.moment == moment:
            raise DiskFull("no room")

    def close(self):
        self.closed += 1


class WatchedSink(MemorySink):
    def __init__(self, disk):
        super().__init__(disk.durable)
        self._disk = disk

    def write(self, data):
        self._disk.check("write")
        super().write(data)

    def finish(self):
        self._disk.check("finish")
        file = super().finish()
        file.close = self._disk.close
        return file

    def abort(self):
        self._disk.aborted += 1


class Puller:
    """A receiver on a disk of its own; its state machine is the list of its blocks."""

    def __init__(self):
        self.disk, self.background = WatchedDisk(), Background()
        self.receiver = SnapshotReceiver(self.disk, list, self.background, OPTIONS)

    def take_from(self, sender, pull, newest_index, *, leader=B):
        """Until nothing more is asked for."""
        for _ in range(100):
            chunk = sender.answer(pull, newest_index, TERM, NOW)
            pull = self.receiver.chunk(leader, chunk, TERM, NOW)
            if pull is None:
                return
        raise AssertionError("it pulls for ever")


def chunks_of(index):
    """All of them, and the pulls that they answer."""
    sender = SnapshotSender(disk_with(index), OPTIONS)
    size_bytes = sender.answer(SnapshotPull(TERM, 0, 0), index, TERM, NOW).size_bytes
    offsets = range(0, size_bytes, OPTIONS.snapshot_chunk_bytes)
    return [sender.answer(SnapshotPull(TERM, index, offset), index, TERM, NOW) for offset in offsets]


# ---- the sender


@pytest.mark.parametrize(
    ("pulls", "newest", "answer"),
    [
        pytest.param([(0, 0)], 0, None, id="there is none"),
        pytest.param([(0, 0)], 20, (20, 0), id="the newest"),
        pytest.param([(10, 80)], 20, (20, 0), id="one that is gone: the newest, from its beginning"),
        pytest.param([(20, 80)], 20, (20, 80), id="the newest, from an offset"),
        pytest.param([(20, 10**6)], 20, None, id="beyond its end"),
    ],
)
def test_a_pull_is_answered_from_what_there_is(pulls, newest, answer):
    sender = SnapshotSender(disk_with(20), OPTIONS)
    for index, offset in pulls:
        chunk = sender.answer(SnapshotPull(TERM, index, offset), newest, TERM, NOW)
    assert (None if chunk is None else (chunk.index, chunk.offset)) == answer


def test_a_superseded_checkpoint_stays_readable_until_nobody_asks_for_it():
    disk, closed = disk_with(10, 20), []
    for index in (10, 20):
        disk.open(index).close = lambda index=index: closed.append(index)
    sender = SnapshotSender(disk, OPTIONS)
    sender.answer(SnapshotPull(TERM, 0, 0), 10, TERM, NOW)
    disk.discard([10])
    assert sender.answer(SnapshotPull(TERM, 10, 40), 20, TERM, NOW + 20).index == 10
    sender.answer(SnapshotPull(TERM, 0, 0), 20, TERM, NOW + 40)
    sender.close_idle(NOW + 20 + OPTIONS.snapshot_idle_s)
    assert closed == []
    sender.close_idle(NOW + 21 + OPTIONS.snapshot_idle_s)
    assert closed == [10]
    assert sender.answer(SnapshotPull(TERM, 10, 80), 20, TERM, NOW).index == 20


def test_chunks_together_are_the_file():
    chunks = chunks_of(20)
    assert len(chunks) > 3
    assert b"".join(chunk.data for chunk in chunks) == MemoryCheckpoint(header(20), BLOCKS).data


# ---- the receiver


def test_a_snapshot_is_pulled_verified_beside_the_loop_and_ready_once():
    puller = Puller()
    first = puller.receiver.needed(B, TERM, NOW)
    assert first == SnapshotPull(TERM, 0, 0)
    puller.take_from(SnapshotSender(disk_with(20), OPTIONS), first, 20)
    assert puller.receiver.take_ready() is None
    assert puller.disk.headers() == []
    puller.background.run()
    assert puller.disk.headers() == [header(20)], "durable before it is installed"
    assert (puller.disk.aborted, puller.disk.closed) == (0, 1)
    assert puller.receiver.take_ready() == ReadySnapshot(header(20), BLOCKS)
    assert puller.receiver.take_ready() is None


def test_one_is_pulled_at_a_time():
    puller = Puller()
    pull = puller.receiver.needed(B, TERM, NOW)
    assert puller.receiver.needed(B, TERM, NOW) is None
    puller.take_from(SnapshotSender(disk_with(20), OPTIONS), pull, 20)
    assert puller.receiver.needed(C, TERM, NOW) is None, "it is being verified"
    puller.background.run()
    assert puller.receiver.needed(C, TERM, NOW) is None, "it is ready"


def test_a_lost_chunk_is_asked_for_again_after_a_while():
    puller, chunks = Puller(), chunks_of(20)
    assert puller.receiver.resend(TERM, NOW) is None
    puller.receiver.needed(B, TERM, NOW)
    assert puller.receiver.resend(TERM, NOW + OPTIONS.snapshot_retry_s - 0.1) is None
    assert puller.receiver.resend(TERM, NOW + OPTIONS.snapshot_retry_s) == (B, SnapshotPull(TERM, 0, 0))
    assert puller.receiver.resend(TERM, NOW + OPTIONS.snapshot_retry_s) is None, "after a while again"
    later = NOW + 5
    puller.receiver.chunk(B, chunks[0], TERM, later)
    assert puller.receiver.resend(TERM, later) is None
    again = SnapshotPull(TERM, 20, OPTIONS.snapshot_chunk_bytes)
    assert puller.receiver.resend(TERM, later + OPTIONS.snapshot_retry_s) == (B, again)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"offset": 80}, id="a later offset"),
        pytest.param({"offset": 0}, id="one that came already"),
        pytest.param({"index": 10}, id="the middle of another checkpoint"),
        pytest.param({"size_bytes": 9}, id="another size"),
    ],
)
def test_a_chunk_that_does_not_continue_is_ignored(change):
    puller, chunks = Puller(), chunks_of(20)
    puller.receiver.needed(B, TERM, NOW)
    puller.receiver.chunk(B, chunks[0], TERM, NOW)
    fields = {name: getattr(chunks[1], name) for name in SnapshotChunk.__struct_fields__} | change
    assert puller.receiver.chunk(B, SnapshotChunk(**fields), TERM, NOW) is None
    assert puller.receiver.chunk(C, chunks[1], TERM, NOW) is None, "nor one from somebody else"
    assert puller.receiver.chunk(B, chunks[1], TERM, NOW) == SnapshotPull(TERM, 20, 80)


def test_a_newer_checkpoint_takes_the_place_of_a_half_pulled_one():
    puller = Puller()
    puller.receiver.needed(B, TERM, NOW)
    puller.receiver.chunk(B, chunks_of(10)[0], TERM, NOW)
    puller.take_from(SnapshotSender(disk_with(20), OPTIONS), SnapshotPull(TERM, 10, 40), 20)
    puller.background.run()
    assert puller.receiver.take_ready().header == header(20)
    assert puller.disk.aborted == 1


def test_another_leader_is_asked_from_the_beginning_and_the_old_ones_chunks_count_no_more():
    puller, chunks = Puller(), chunks_of(20)
    puller.receiver.needed(B, TERM, NOW)
    puller.receiver.chunk(B, chunks[0], TERM, NOW)
    assert puller.receiver.needed(C, TERM + 1, NOW) == SnapshotPull(TERM + 1, 0, 0)
    assert puller.disk.aborted == 1
    assert puller.receiver.chunk(B, chunks[1], TERM, NOW) is None
    assert puller.receiver.chunk(C, chunks[0], TERM + 1, NOW) == SnapshotPull(TERM + 1, 20, 40)


def test_damaged_bytes_are_never_ready_and_the_next_notice_begins_another_try():
    puller, (first, *rest) = Puller(), chunks_of(20)
    puller.receiver.needed(B, TERM, NOW)
    puller.receiver.chunk(B, SnapshotChunk(TERM, 20, 0, first.size_bytes, b"\xc1" * len(first.data)), TERM, NOW)
    for chunk in rest:
        puller.receiver.chunk(B, chunk, TERM, NOW)
    puller.background.run()
    assert (puller.receiver.take_ready(), puller.disk.headers()) == (None, [])
    assert puller.receiver.needed(B, TERM, NOW) == SnapshotPull(TERM, 0, 0)


@pytest.mark.parametrize("moment", ["receive", "write", "finish"])
def test_a_full_disk_ends_the_try_and_the_next_notice_begins_another(moment):
    disk, background = WatchedDisk(moment), Background()
    receiver = SnapshotReceiver(disk, list, background, OPTIONS)
    receiver.needed(B, TERM, NOW)
    for chunk in chunks_of(20):
        receiver.chunk(B, chunk, TERM, NOW)
    for _ in list(background.jobs):
        background.run()
    assert (receiver.take_ready(), receiver.resend(TERM, NOW + 100)) == (None, None)
    disk.moment = None
    assert receiver.needed(B, TERM, NOW) == SnapshotPull(TERM, 0, 0)
    for chunk in chunks_of(20):
        receiver.chunk(B, chunk, TERM, NOW)
    background.run()
    assert receiver.take_ready().machine == BLOCKS


def test_a_bug_while_loading_is_not_taken_for_a_damaged_snapshot():
    def load(blocks):
        raise KeyError("a bug")

    background = Background()
    receiver = SnapshotReceiver(Disk((A,)), load, background, OPTIONS)
    receiver.needed(B, TERM, NOW)
    for chunk in chunks_of(20):
        receiver.chunk(B, chunk, TERM, NOW)
    with pytest.raises(KeyError, match="a bug"):
        background.run()


def test_a_follower_that_has_the_snapshots_last_entry_goes_on_behind_it():
    """B has 2 .. 32 and thinks that 2 is committed; A's log begins at 31. C is away, so nothing commits without B."""
    stage = Stage(A, B, C, options=with_checkpoints())
    stage.elect(A, B, C)
    stage.run(0.3)
    stage.isolate(C)
    for number in range(30):
        stage.write(A, f"k{number}", padding=210)
    stage.turn(A)
    stage.deliver(A, B)
    stage.deliver(B, A)
    for _ in range(10):  # a checkpoint, and the log before it forgotten
        stage.turn(A)
    first = stage[A].status().first_index
    assert stage[B].status().commit_index < first < stage[B].status().last_index
    last = stage.write(A, "one more")
    stage.turn(A)
    stage.relink(A, B)
    stage.run(3.0)
    assert last.succeeded
