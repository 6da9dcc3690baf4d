"""The log file under kill -9 and on full disks, with real processes and, where root allows it, a real small disk."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from dkv.raft.data_directory import DiskFull

CHILD_TIMEOUT_S = 60

WRITER = """
import random, sys
from pathlib import Path
from dkv.raft.contracts import Entry
from dkv.raft.storage import Storage

rng = random.Random(int(sys.argv[2]))
storage = Storage(Path(sys.argv[1]) / "log.db")
if not storage.groups:
    storage.found_group(1, ["a.00000001"])
log = storage.group(1)
loaded = log.load()
terms = {entry.index: entry.term for entry in loaded.entries}
first, last, committed, term = loaded.entries[0].index, loaded.entries[-1].index, loaded.commit_index, loaded.term
print("ready", flush=True)
while True:
    term += 1
    log.set_hard_state(term, "a.00000001")
    if last > committed + 2:
        last = rng.randrange(max(committed, first + 1), last)
        log.truncate_from(last + 1)
    for _ in range(rng.randrange(1, 30)):
        last += 1
        terms[last] = term
        log.append(Entry(b"\\x00%d@%d" % (last, term) + bytes(rng.randrange(4000)), last, term))
    committed = rng.randrange(committed, last + 1)
    log.set_commit_index(committed)
    if last - first > 200:
        first = last - 50
        log.trim_to(first, ["a.00000001"])
    storage.commit()
    print(term, committed, terms[committed], flush=True)
"""


def start_writer(directory, seed):
    command = [sys.executable, "-c", WRITER, str(directory), str(seed)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def printed_before_the_kill(directory, seed, commits):
    """Run a writer, kill it after it printed ``commits`` lines → all that it printed, as (term, index, term there)."""
    writer = start_writer(directory, seed)
    with writer.stdout:
        assert writer.stdout.readline() == "ready\n"
        lines = [writer.stdout.readline() for _ in range(commits)]
        writer.send_signal(signal.SIGKILL)
        lines.extend(writer.stdout.readlines())
    assert writer.wait(CHILD_TIMEOUT_S) == -signal.SIGKILL
    return [tuple(map(int, line.split())) for line in lines if line.endswith("\n")]


def test_kill_9_loses_nothing_that_was_committed(tmp_path, open_storage):
    rng = random.Random(7)
    for round_ in range(6):
        printed = printed_before_the_kill(tmp_path, round_, commits=rng.randrange(1, 150))
        with open_storage(tmp_path) as storage:
            loaded = storage.group(1).load()
        entries = {entry.index: entry for entry in loaded.entries}
        first_index, last_index = loaded.entries[0].index, loaded.entries[-1].index
        assert loaded.term >= printed[-1][0]
        assert loaded.commit_index >= printed[-1][1]
        assert last_index >= printed[-1][1]
        for _, index, term in printed:
            assert index < first_index or entries[index].term == term
        for entry in loaded.entries[2:]:
            assert entry.command.startswith(b"\x00%d@%d" % (entry.index, entry.term))


FILE_SIZE_LIMIT = """
import json, os, resource, sys
from pathlib import Path
from dkv.raft.contracts import Entry
from dkv.raft.storage import DiskFull, Storage

storage = Storage(Path(sys.argv[1]) / "log.db")
storage.found_group(1, ["a.00000001"])
log = storage.group(1)

def write(index):
    log.append(Entry(b"\\x00%d" % index + bytes(3000), index, 1))
    log.set_hard_state(index, None)
    storage.commit()

for index in range(2, 10):
    write(index)
limit = os.path.getsize(sys.argv[1] + "/log.db-wal") + 5000
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
refused = []
for index in range(10, 20):
    try:
        write(index)
    except DiskFull:
        refused.append(index)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
stats = storage.commit()
json.dump({"refused": refused, "entries": stats.entries, "left": os.listdir(sys.argv[1])}, sys.stdout)
sys.stdout.flush()
os._exit(0)
"""


def test_a_file_size_limit_is_a_full_disk(tmp_path, open_storage):
    command = [sys.executable, "-c", FILE_SIZE_LIMIT, str(tmp_path)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=CHILD_TIMEOUT_S, check=False)
    assert child.returncode == 0, child.stderr
    report = json.loads(child.stdout)
    assert report["refused"][-1] == 19
    assert report["entries"] == len(report["refused"]) > 5
    assert set(report["left"]) == {"lock", "log.db", "log.db-wal"}
    with open_storage(tmp_path) as storage:
        loaded = storage.group(1).load()
    assert [entry.index for entry in loaded.entries] == list(range(20))
    assert loaded.term == 19


@contextmanager
def small_disk(directory, size_bytes):
    """A file system of its own; skips where it may not be mounted."""
    directory.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("a small disk is mounted by root only")
    options = ["-t", "tmpfs", "-o", f"size={size_bytes}", "dkv-test", str(directory)]
    mounted = subprocess.run([mount, *options], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def fill(path, leave_bytes):
    """Occupy the disk of ``path`` but for ``leave_bytes``."""
    disk = os.statvfs(path.parent)
    path.write_bytes(bytes(disk.f_bavail * disk.f_frsize - leave_bytes))


def test_a_full_disk_harms_nothing_and_the_same_commit_succeeds_later(tmp_path, open_storage, make_entry):
    with small_disk(tmp_path / "disk", 4 * 1024 * 1024) as disk:
        with open_storage(disk) as storage:
            storage.found_group(1, ["a.00000001"])
            storage.found_group(2, ["a.00000001"])
            one, two = storage.group(1), storage.group(2)
            for index in range(2, 10):
                one.append(make_entry(index, size_bytes=3000))
                storage.commit()
            fill(disk / "filler", 64 * 1024)
            assert storage.low_on_space()
            one.truncate_from(9)
            refusals = 0
            for index in range(9, 60):
                one.append(make_entry(index, term=2, size_bytes=3000))
                two.set_hard_state(index, "a.00000001")
                try:
                    storage.commit()
                except DiskFull:
                    refusals += 1
            assert refusals > 10
            with pytest.raises(DiskFull, match="make room"):
                storage.write_identity(bytes(100_000))
            (disk / "filler").unlink()
            assert not storage.low_on_space()
            assert storage.commit().entries == refusals
            one.append(make_entry(60, term=2))
            storage.commit()
        with open_storage(disk) as storage:
            loaded = storage.group(1).load()
            assert storage.group(2).load().term == 59
            assert storage.identity is None
    assert [(entry.index, entry.term) for entry in loaded.entries[2:]] == [
        *((index, 1) for index in range(2, 9)),
        *((index, 2) for index in range(9, 61)),
    ]


def test_a_crash_on_a_full_disk_leaves_what_was_committed(tmp_path, open_storage, make_entry):
    with small_disk(tmp_path / "disk", 4 * 1024 * 1024) as disk:
        with open_storage(disk) as storage:
            storage.found_group(1, ["a.00000001"])
            fill(disk / "filler", 64 * 1024)
            committed = 1
            for index in range(2, 60):
                storage.group(1).append(make_entry(index, size_bytes=3000))
                try:
                    storage.commit()
                except DiskFull:
                    break
                committed = index
            image = tmp_path / "image"
            image.mkdir()
            for path in disk.glob("log.db*"):
                shutil.copy(path, image)
        for directory in (image, disk):  # The second is a start on a disk that is still full.
            with open_storage(directory) as storage:
                assert storage.group(1).load().entries[-1].index == committed
