"""The recovery rule as a table, and under crashes between any two steps of checkpoints and installs."""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkv.errors import StartupError
from dkv.raft.contracts import GENESIS, NO_OP, CheckpointHeader, Entry, LoggedState
from dkv.raft.recovery import recovery_point

A = "a.00000001"


def log(first_index, terms, commit_index=1):
    entries = [Entry(NO_OP, index, term) for index, term in enumerate(terms, first_index)]
    return LoggedState(entries, max(terms), None, commit_index, (A,))


def at(index, term, previous_term=None):
    previous = Entry(NO_OP, index - 1, term if previous_term is None else previous_term)
    return CheckpointHeader("c", 1, previous, Entry(NO_OP, index, term), (A,))


GENESIS_LOG = log(0, [0, 0, 1, 1, 2, 2])
TRIMMED_LOG = log(10, [3, 3, 4, 4, 5])


@pytest.mark.parametrize(
    ("logged", "checkpoints", "chosen", "discarded"),
    [
        pytest.param(GENESIS_LOG, [], None, (), id="a young log needs no checkpoint"),
        pytest.param(GENESIS_LOG, [at(3, 1)], 3, (), id="own checkpoint in the log"),
        pytest.param(GENESIS_LOG, [at(5, 2), at(3, 1)], 5, (3,), id="newest of two"),
        pytest.param(GENESIS_LOG, [at(3, 1), at(5, 2)], 5, (3,), id="newest of two, in any order"),
        pytest.param(GENESIS_LOG, [at(5, 2)], 5, (), id="at the log's end"),
        pytest.param(GENESIS_LOG, [at(6, 2)], None, (6,), id="beyond the log: an install that did not happen"),
        pytest.param(GENESIS_LOG, [at(900, 7), at(3, 1)], 3, (900,), id="own one and an install that did not happen"),
        pytest.param(GENESIS_LOG, [at(4, 9)], None, (4,), id="beside the log: another term"),
        pytest.param(GENESIS_LOG, [at(4, 2, 9)], None, (4,), id="beside the log: another term before it"),
        pytest.param(GENESIS_LOG, [at(1, 0)], 1, (), id="of nothing"),
        pytest.param(TRIMMED_LOG, [at(11, 3)], 11, (), id="the base itself"),
        pytest.param(TRIMMED_LOG, [at(13, 4), at(11, 3)], 13, (11,), id="newer than the base"),
        pytest.param(TRIMMED_LOG, [at(11, 3), at(14, 6)], 11, (14,), id="the base, and one beside"),
        pytest.param(TRIMMED_LOG, [at(11, 3), at(10, 3), at(5, 1)], 11, (5, 10), id="too old ones"),
    ],
)
def test_the_newest_checkpoint_that_lies_in_the_log(logged, checkpoints, chosen, discarded):
    point = recovery_point(logged, checkpoints)
    assert (point.checkpoint and point.checkpoint.last.index) == chosen
    assert point.discarded == discarded
    assert point.applied_index == (chosen or GENESIS[-1].index)
    assert point.commit_index == max(chosen or 1, logged.commit_index)


@pytest.mark.parametrize("checkpoints", [[], [at(10, 3)], [at(14, 9)], [at(15, 5)], [at(5, 1), at(900, 9)]])
def test_a_trimmed_log_without_its_checkpoint_is_refused(checkpoints):
    with pytest.raises(StartupError, match=r"begins at entry 10 \(term 3\).*between 11 and 14.*--join"):
        recovery_point(TRIMMED_LOG, checkpoints)


def test_the_better_commit_index_counts():
    assert recovery_point(log(0, [0, 0, 1, 1, 2], commit_index=4), [at(3, 1)]).commit_index == 4
    assert recovery_point(log(0, [0, 0, 1, 1, 2], commit_index=2), [at(3, 1)]).commit_index == 3


@dataclass
class Disk:
    """What survives: the log's last transaction, and the complete checkpoint files."""

    log: LoggedState
    checkpoints: list = field(default_factory=list)


class CrashError(Exception):
    """The process ended here."""


class Node:
    """The steps of a node that touch the two files, in their order of duty; ``crash`` may strike before any."""

    def __init__(self, disk, cluster, crash):
        self.disk, self.cluster, self.crash = disk, cluster, crash

    def commit(self, entries, commit_index):
        self.crash()
        voters = self.disk.log.base_voters
        self.disk.log = LoggedState(entries, 9, None, max(commit_index, self.disk.log.commit_index), voters)

    def grow(self, rng):
        """Follow the cluster's history, with a tail of our own at times: nothing below the commit index changes."""
        entries, committed = self.disk.log.entries, self.disk.log.commit_index
        kept = [entry for entry in entries if entry.index <= max(committed, entries[1].index)]
        new = self.cluster[kept[-1].index + 1 : kept[-1].index + 1 + rng.randrange(12)]
        tail_at = (kept + new)[-1].index + 1
        tail = [Entry(NO_OP, tail_at + offset, 1000 + tail_at) for offset in range(rng.randrange(3))]
        self.commit(kept + new + tail, (kept + new)[-1].index - rng.randrange(3) if new else committed)

    def checkpoint(self, rng):
        entries, committed = self.disk.log.entries, self.disk.log.commit_index
        first = entries[0].index
        if committed <= first:
            return
        index = rng.randrange(first + 1, committed + 1)
        self.publish(index)
        self.discard_all_but(index)
        keep_from = rng.randrange(first, index)
        self.commit(entries[keep_from - first :], committed)

    def install(self, rng):
        """A snapshot of the cluster's committed history that our log does not have."""
        entries, committed = self.disk.log.entries, self.disk.log.commit_index
        index = committed + 1 + rng.randrange(30)
        found = next((entry for entry in entries if entry.index == index), None)
        if index >= len(self.cluster) or found == self.cluster[index] or index <= entries[1].index:
            return
        self.publish(index)
        self.commit(self.cluster[index - 1 : index + 1], index)
        self.discard_all_but(index)

    def publish(self, index):
        self.crash()
        previous, last = self.cluster[index - 1], self.cluster[index]
        self.disk.checkpoints = [header for header in self.disk.checkpoints if header.last.index != index]
        self.disk.checkpoints.append(CheckpointHeader("c", 1, previous, last, (A,)))

    def discard_all_but(self, index):
        for header in list(self.disk.checkpoints):
            if header.last.index != index:
                self.crash()
                self.disk.checkpoints.remove(header)

    def recover(self):
        point = recovery_point(self.disk.log, self.disk.checkpoints)
        self.discard_all_but(point.applied_index)
        return point


def cluster_history(rng):
    entries, term = list(GENESIS), 1
    for index in range(2, 400):
        term += rng.random() < 0.1
        entries.append(Entry(NO_OP, index, term))
    return entries


@settings(max_examples=300, derandomize=True, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_whenever_it_crashes_the_state_can_be_put_together_again(seed):
    rng = random.Random(seed)
    history = cluster_history(rng)
    disk = Disk(LoggedState(list(GENESIS), 0, None, 1, (A,)))

    def crash():
        if rng.random() < 0.15:
            raise CrashError

    node = Node(disk, history, crash)
    for _ in range(60):
        committed = disk.log.commit_index
        try:
            rng.choice([node.grow, node.grow, node.checkpoint, node.install])(rng)
            continue
        except CrashError:
            pass
        point = recovery_point(disk.log, disk.checkpoints)
        assert point.commit_index >= committed
        if point.checkpoint:
            assert point.checkpoint.last == history[point.applied_index]
        replayed = [entry for entry in disk.log.entries if point.applied_index < entry.index <= point.commit_index]
        assert replayed == history[point.applied_index + 1 : point.commit_index + 1]
        try:
            node.recover()
        except CrashError:
            assert recovery_point(disk.log, disk.checkpoints).applied_index == point.applied_index
