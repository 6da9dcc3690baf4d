"""When the state is written, slice by slice, and what is forgotten behind it."""

from dataclasses import replace

import pytest

from dkv.raft.checkpointing import Checkpointing
from dkv.raft.configuration import encode_change
from dkv.raft.contracts import CheckpointHeader, DiskFull, Entry
from dkv.raft.options import Options
from tests.dkv.raft.doubles import A, B, Background, C, D, entries_of, log_of
from tests.sim.disk import Disk, MemoryCheckpoint, MemoryWriter

OPTIONS = replace(Options(), checkpoint_entries=8, checkpoint_bytes=1 << 20, keep_entries=0, keep_bytes=1 << 20)
LAST = 11
"""Of the log; entries 2 .. 9 take four bytes each, 10 and 11 five."""


class Machine:
    """Freezes into ``blocks``; ``closed``: how often that was ended before its end; ``unready``: steps before it."""

    def __init__(self, *blocks):
        self.blocks, self.closed, self.unready = blocks, 0, 0

    def prepare(self):
        self.unready -= 1
        return self.unready < 0

    def freeze(self):
        try:
            yield from self.blocks
        except GeneratorExit:
            self.closed += 1
            raise


class Stand:
    """A log of ``last`` entries, all applied, and a machine of two blocks."""

    def __init__(self, *, last=LAST, index=0, disk=None, checkpoints=(), **changes):
        self.disk = disk or Disk((A, B, C))
        for known in checkpoints:
            header = CheckpointHeader("c", 1, *entries_of(1, 1, first=known - 1), (A, B, C))
            self.disk.durable.checkpoints[known] = MemoryCheckpoint(header, [b"old"])
        self.log = log_of(*[1] * (last - 1), disk=self.disk)
        self.log.set_commit_index(last)
        self.background, self.machine = Background(), Machine(b"one", b"two")
        options = replace(OPTIONS, **changes)
        self.checkpointing = Checkpointing(self.log, self.disk, options, self.background, index, "c", 1)

    def step(self, times=1, applied=None):
        for _ in range(times):
            self.checkpointing.step(applied or self.log.last_index, self.machine)
        self.disk.commit()

    def checkpoint(self, applied=LAST):
        """One, from its beginning to its end."""
        self.step(4, applied)
        self.background.run()
        self.disk.commit()

    @property
    def indexes(self):
        return sorted(self.disk.durable.checkpoints)


@pytest.mark.parametrize(
    ("index", "applied", "changes", "due"),
    [
        pytest.param(0, 9, {}, True, id="enough entries"),
        pytest.param(0, 8, {}, False, id="one entry too few"),
        pytest.param(3, 11, {}, True, id="enough entries since the last"),
        pytest.param(4, 11, {}, False, id="one too few since the last"),
        pytest.param(0, 5, {"checkpoint_bytes": 44}, True, id="enough bytes"),
        pytest.param(0, 5, {"checkpoint_bytes": 45}, False, id="one byte too few"),
        pytest.param(3, 5, {"checkpoint_bytes": 30, "keep_bytes": 14}, True, id="bytes beyond the kept tail"),
        pytest.param(3, 5, {"checkpoint_bytes": 30, "keep_bytes": 15}, False, id="the kept tail does not count again"),
        pytest.param(5, 5, {"checkpoint_bytes": 0, "keep_bytes": 0}, False, id="nothing new"),
        pytest.param(0, 1, {"checkpoint_bytes": 0}, False, id="nothing applied"),
    ],
)
def test_when_a_checkpoint_is_due(index, applied, changes, due):
    stand = Stand(index=index, **changes)
    stand.step(applied=applied)
    assert stand.checkpointing.is_writing is due


@pytest.mark.parametrize(("applied", "due"), [(30, False), (31, True)])
def test_a_snapshots_base_is_not_written_down_again(applied, due):
    stand = Stand(checkpoint_bytes=0)
    stand.log.reset(entries_of(2, 2, first=29), (A, B, C))
    stand.log.append(*entries_of(2, first=31))
    stand.step(applied=applied)
    assert stand.checkpointing.is_writing is due


def test_a_state_is_prepared_in_steps_before_it_is_frozen():
    stand = Stand()
    stand.machine.unready = 2
    stand.step(2)
    assert (stand.checkpointing.is_writing, stand.machine.unready) == (True, 0)
    assert stand.disk.durable.checkpoints == {}
    stand.checkpoint()
    assert stand.indexes == [LAST]


def test_a_snapshot_ends_the_preparation_of_a_checkpoint():
    stand = Stand()
    stand.machine.unready = 2
    stand.step()
    stand.checkpointing.abort()
    assert not stand.checkpointing.is_writing


def test_half_the_state_counts_as_much_as_the_log_when_it_is_large():
    stand = Stand(checkpoint_entries=1 << 30, checkpoint_bytes=44, keep_bytes=0)
    stand.machine.blocks = [b"x" * 2000]
    stand.step(3)
    stand.background.run()
    for entry in entries_of(*[1] * 100, first=LAST + 1):
        stand.log.append(entry)
    stand.step()
    assert 44 < stand.log.size_bytes < 1000
    assert not stand.checkpointing.is_writing


def test_a_checkpoint_takes_a_block_a_turn_and_is_flushed_beside_the_loop():
    stand = Stand()
    assert not stand.checkpointing.is_writing
    for _ in range(3):
        stand.step()
        assert stand.checkpointing.is_writing
    stand.step()
    assert (stand.checkpointing.is_writing, stand.checkpointing.index) == (False, 0)
    stand.step(5)
    assert (stand.indexes, len(stand.background.jobs)) == ([], 1), "the next one waits for the flush"
    stand.background.run()
    assert (stand.indexes, stand.checkpointing.index) == ([LAST], LAST)
    assert list(stand.disk.open(LAST).blocks()) == [b"one", b"two"]


def test_its_header_is_of_the_applied_index_whatever_the_log_holds_beyond():
    stand = Stand()
    stand.log.append(Entry(encode_change("add", D), LAST + 1, 1))
    stand.checkpoint(applied=LAST)
    expected = CheckpointHeader("c", 1, *entries_of(1, 1, first=LAST - 1), (A, B, C))
    assert stand.disk.open(LAST).header == expected
    assert stand.log.voters == (A, B, C, D)


def test_the_machine_may_go_on_between_two_blocks():
    stand = Stand()
    stand.step(2)
    for entry in entries_of(*[1] * 20, first=LAST + 1):
        stand.log.append(entry)
    stand.step(2)
    stand.background.run()
    assert stand.indexes == [LAST]


@pytest.mark.parametrize(
    ("keep_entries", "keep_bytes", "first"),
    [
        pytest.param(0, 1 << 20, 7, id="no tail: the two base entries stay"),
        pytest.param(3, 1 << 20, 7, id="the log beyond the checkpoint is tail enough"),
        pytest.param(6, 1 << 20, 5, id="a tail by count"),
        pytest.param(6, 4, 6, id="a tail by bytes, with the entry that exceeds them"),
        pytest.param(6, 0, 7, id="no bytes: the two base entries stay"),
        pytest.param(1 << 30, 1 << 20, 0, id="everything"),
    ],
)
def test_the_log_behind_it_goes_but_for_a_tail(keep_entries, keep_bytes, first):
    stand = Stand(keep_entries=keep_entries, keep_bytes=keep_bytes, checkpoint_entries=7)
    stand.checkpoint(applied=8)
    assert (stand.log.first_index, stand.log.last_index) == (first, LAST)
    assert stand.disk.durable.entries == stand.log.entries
    assert {stand.log.term_at(7), stand.log.term_at(8)} == {1}, "what the checkpoint ends with"


def test_only_older_ones_are_discarded():
    stand = Stand(index=5, checkpoints=(4, 5, 30), checkpoint_entries=6)
    stand.checkpoint()
    assert stand.indexes == [4, 5, LAST, 30], "in the background"
    stand.background.run()
    assert stand.indexes == [LAST, 30]


@pytest.mark.parametrize("blocks_taken", [0, 1, 2])
def test_an_abort_leaves_nothing_behind(blocks_taken):
    stand = Stand()
    stand.step(1 + blocks_taken)
    stand.checkpointing.abort()
    assert not stand.checkpointing.is_writing
    assert stand.machine.closed == (1 if blocks_taken else 0), "a freeze that ran was ended"
    assert (stand.indexes, stand.background.jobs) == ([], [])
    stand.checkpoint()
    assert stand.indexes == [LAST]


def test_an_installed_snapshot_is_the_newest_checkpoint():
    stand = Stand(index=3, checkpoints=(3, 30, 40))
    stand.step(2)
    stand.checkpointing.installed(30)
    assert (stand.checkpointing.index, stand.checkpointing.is_writing) == (30, False)
    stand.background.run()
    assert stand.indexes == [30, 40]


def test_a_flush_that_a_snapshot_overtook_changes_nothing():
    stand = Stand(checkpoints=(30,))
    stand.step(4)
    stand.checkpointing.installed(30)
    stand.log.reset(entries_of(2, 2, first=29), (A, B, C))
    stand.background.run()
    assert (stand.checkpointing.index, stand.log.first_index) == (30, 29)


class FullDisk(Disk):
    """Refuses at ``moment``."""

    def __init__(self, moment):
        super().__init__((A, B, C))
        self.moment, self.aborted = moment, 0

    def create(self, header):
        if self.moment == "create":
            raise DiskFull("no room")
        return FullWriter(self, header)


class FullWriter(MemoryWriter):
    def __init__(self, disk, header):
        super().__init__(disk.durable, header)
        self._disk = disk

    def add(self, block):
        if self._disk.moment == "add":
            raise DiskFull("no room")
        super().add(block)

    def finish(self):
        if self._disk.moment == "finish":
            raise DiskFull("no room")
        super().finish()

    def abort(self):
        self._disk.aborted += 1


@pytest.mark.parametrize("moment", ["create", "add", "finish"])
def test_a_full_disk_is_left_alone_for_a_while_and_the_log_stays(moment):
    disk = FullDisk(moment)
    stand = Stand(disk=disk)
    stand.step(2 if moment != "finish" else 4)
    for _ in list(stand.background.jobs):
        stand.background.run()
    assert (stand.checkpointing.is_writing, stand.indexes, stand.log.first_index) == (False, [], 0)
    assert disk.aborted == (1 if moment == "add" else 0)
    disk.moment = None
    stand.step(500)
    assert (stand.checkpointing.is_writing, stand.background.jobs) == (False, [])
    for _ in range(600):
        stand.step()
        if stand.checkpointing.is_writing:
            break
    stand.step(3)
    stand.background.run()
    assert stand.indexes == [LAST]


def test_any_other_failure_of_a_flush_ends_the_process():
    stand = Stand()
    stand.step(4)
    _, done = stand.background.jobs.pop(0)
    with pytest.raises(OSError, match="broken"):
        done(OSError("broken"))
