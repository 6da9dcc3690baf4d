"""Lives that end by SIGKILL on a faulty disk: a log and its checkpoints, and what each life had been promised by then.

A program: takes a JSON array of lives, runs each in a process of its own (forked, so that Python starts once), and
prints a JSON array of what they had acknowledged when they died.
"""

import json
import os
import random
import signal
import sys
import traceback
from pathlib import Path

from dkv.faults.disk_files import FaultyFiles
from dkv.faults.state import Faults
from dkv.raft import database
from dkv.raft.checkpoint import FileCheckpoints
from dkv.raft.contracts import CheckpointHeader, Entry
from dkv.raft.part_file import PartFile
from dkv.raft.storage import Storage

ME = "a.00000001"
TURNS_MAX = 40
CHECKPOINT_TURNS = 4
BLOCK = b"state" * 2000


def no_sync_of_the_log():
    database.PRAGMAS = tuple(pragma.replace("= FULL", "= OFF") for pragma in database.PRAGMAS)


def no_sync_of_files():
    PartFile.sync = lambda part: None


def no_sync_of_directories():
    FaultyFiles.fsync_directory = lambda files, directory: None


MUTANTS = {mutant.__name__: mutant for mutant in (no_sync_of_the_log, no_sync_of_files, no_sync_of_directories)}


def make_entry(index, term):
    return Entry(b"\x00%d@%d" % (index, term) + b"x" * 700, index, term)


def live(life, report):
    """Append, vote, checkpoint and trim until the end that was foreseen, or for ``turns``."""
    directory = Path(life["directory"])
    if "mutant" in life:
        MUTANTS[life["mutant"]]()
    faults = Faults(random.Random(life.get("seed", 0)))
    faults.disk.set(life["disk"])
    storage = Storage(directory / "log.db", faults=faults)
    storage.found_group(1, [ME])
    checkpoints = FileCheckpoints(directory, "c", 1, faults=faults)
    faults.points.arm(life.get("points", {}))
    log, term, entries = storage.group(1), 0, []
    for turn in range(1, life.get("turns", TURNS_MAX) + 1):
        if turn % 3 == 0:
            term += 1
            log.set_hard_state(term, ME)
        for _ in range(turn % 5 + 1):
            entries.append(make_entry(len(entries) + 2, term))
            log.append(entries[-1])
        storage.commit()
        report(last=entries[-1].index, term=term)
        if turn % CHECKPOINT_TURNS == 0:
            write_checkpoint(checkpoints, *entries[-2:])
            index = entries[-1].index
            report(checkpoint=index)
            log.trim_to(index - 1, [ME])
            checkpoints.discard([header.last.index for header in checkpoints.headers() if header.last.index < index])
    os.kill(os.getpid(), signal.SIGKILL)


def write_checkpoint(checkpoints, previous, last):
    writer = checkpoints.create(CheckpointHeader("c", 1, previous, last, (ME,)))
    writer.add(BLOCK)
    writer.finish()


def died(life):
    """Run it → what it had reported when it died."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        try:
            live(life, lambda **news: os.write(writer, json.dumps(news).encode() + b"\n"))
        except BaseException:
            traceback.print_exc()
        os._exit(1)  # nothing of the parent's may run here
    os.close(writer)
    promised = {"last": 1, "term": 0, "checkpoint": 0}
    with open(reader, "rb") as reports:
        for line in reports:
            promised |= json.loads(line)
    _, status = os.waitpid(pid, 0)
    return {**promised, "killed": os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL}


if __name__ == "__main__":
    json.dump([died(life) for life in json.loads(sys.argv[1])], sys.stdout)
