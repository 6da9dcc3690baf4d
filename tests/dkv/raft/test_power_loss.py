"""Real deaths by SIGKILL on a disk that forgets what was not flushed: what was promised is there, whenever it happens.

And the other way round: a program that forgets to flush *is* found out. The lives: ``doomed``.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dkv.errors import StartupError
from dkv.faults.points import POINTS
from dkv.raft.checkpoint import FileCheckpoints
from dkv.raft.recovery import recovery_point
from dkv.raft.storage import Storage
from tests.dkv.raft.doomed import BLOCK, ME

ROOT = Path(__file__).parents[3]
VOLATILE = {"volatile": True}
TORN = {"volatile": True, "torn": True}


@pytest.fixture
def run_lives(tmp_path):
    """Lives → as many (directory, what had been promised there)."""

    def run(lives):
        directories = [tmp_path / str(number) for number in range(len(lives))]
        for directory in directories:
            directory.mkdir()
        document = [{"directory": str(directory), **life} for directory, life in zip(directories, lives, strict=True)]
        command = [sys.executable, "-m", "tests.dkv.raft.doomed", json.dumps(document)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return list(zip(directories, json.loads(done.stdout), strict=True))

    return run


def found(directory):
    """Start again, on a good disk → (log, index of the checkpoint to start from)."""
    storage = Storage(directory / "log.db")
    try:
        logged = storage.group(1).load()
    finally:
        storage.close()
    checkpoints = FileCheckpoints(directory, "c", 1)
    point = recovery_point(logged, checkpoints.headers())
    if point.checkpoint is not None:
        file = checkpoints.open(point.applied_index)
        assert list(file.blocks()) == [BLOCK]
        file.close()
    return logged, point.applied_index


def assert_kept(directory, promised):
    logged, applied_index = found(directory)
    first, last = logged.entries[0].index, logged.entries[-1].index
    assert promised["killed"], "it came to no end, or to another one"
    assert last >= promised["last"]
    assert logged.term >= promised["term"]
    assert logged.vote == (ME if logged.term else None)
    assert applied_index >= promised["checkpoint"]
    assert first <= applied_index
    for entry in logged.entries[max(0, 2 - first) :]:
        assert entry.command.startswith(b"\x00%d@%d" % (entry.index, entry.term))
    return last


# ---- without any mistake


@pytest.mark.parametrize("disk", [VOLATILE, TORN], ids=["volatile", "torn"])
def test_a_death_at_any_fsync_keeps_what_was_promised(run_lives, disk):
    lives = [{"disk": disk, "points": {"fsync": {"kill_at": k}}, "seed": k} for k in range(1, 21)]
    outcomes = run_lives(lives)
    for directory, promised in outcomes:
        assert_kept(directory, promised)
    assert outcomes[0][1]["last"] == 1
    assert {promised["checkpoint"] for _, promised in outcomes} >= {0, 15, 25}


PASSED = [name for name in POINTS if name.partition(".")[0] in ("append", "vote", "trim", "checkpoint")]


def test_a_death_at_any_point_keeps_what_was_promised(run_lives):
    lives = [{"disk": TORN, "points": {name: {"kill_at": k}}} for name in PASSED for k in (1, 3)]
    outcomes = run_lives(lives)
    for directory, promised in outcomes:
        assert_kept(directory, promised)
    assert len({promised["last"] for _, promised in outcomes}) > 5


def test_a_disk_that_forgets_at_once_has_only_what_was_promised(run_lives):
    lives = [{"disk": VOLATILE, "points": {"append.before_commit": {"kill_at": k}}} for k in (1, 5, 14)]
    for directory, promised in run_lives(lives):
        assert assert_kept(directory, promised) == promised["last"]


# ---- mistakes are found out


def test_a_log_that_is_not_flushed_is_lost_and_only_because_of_the_fault(run_lives):
    careless = {"mutant": "no_sync_of_the_log", "turns": 3}
    lives = [{"disk": disk, **careless} for disk in ({}, VOLATILE, TORN)]
    kept, *lost = run_lives(lives)
    assert_kept(*kept)
    for directory, promised in lost:
        assert promised["last"] == 10
        with pytest.raises((AssertionError, StartupError)):
            assert_kept(directory, promised)


@pytest.mark.parametrize("mutant", ["no_sync_of_files", "no_sync_of_directories"])
def test_a_checkpoint_that_is_not_flushed_is_lost_and_only_because_of_the_fault(run_lives, mutant):
    lives = [{"disk": disk, "turns": 4, **life} for disk in ({}, VOLATILE) for life in ({}, {"mutant": mutant})]
    *kept, lost = run_lives(lives)
    for directory, promised in kept:
        assert promised["checkpoint"] > 0
        assert_kept(directory, promised)
    directory, promised = lost
    assert promised["checkpoint"] > 0
    assert found(directory)[1] == 1


@pytest.mark.parametrize("mutant", ["no_sync_of_files", "no_sync_of_directories"])
def test_a_log_trimmed_to_a_lost_checkpoint_cannot_be_put_together(run_lives, mutant):
    ((directory, promised),) = run_lives([{"disk": VOLATILE, "turns": 5, "mutant": mutant}])
    assert promised["killed"]
    with pytest.raises(StartupError, match="cannot be put together again"):
        found(directory)
