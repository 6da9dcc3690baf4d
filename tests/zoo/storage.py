"""Mutants that forget: what was promised to be on the disk is not, or is read back wrongly."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from dkv.raft import database
from dkv.raft.contracts import LoggedState
from dkv.raft.host import Host
from dkv.raft.log_buffer import LogBuffer
from dkv.raft.part_file import PartFile
from dkv.raft.state import State
from tests.zoo.mutant import Mutant, Patch, edit, put, wrap

TAIL_ENTRIES = 3


def _unsynced(pragmas: tuple[str, ...]) -> tuple[str, ...]:
    assert "synchronous = FULL" in pragmas, "the log's commits are synced in another way now"
    return tuple(pragma.replace("synchronous = FULL", "synchronous = OFF") for pragma in pragmas)


def _without_tail(load: Callable[[LogBuffer], LoggedState]) -> Callable[[LogBuffer], LoggedState]:
    def forgetful(self: LogBuffer) -> LoggedState:
        logged = load(self)
        last = self.state.last_index
        lost = min(TAIL_ENTRIES, last - max(self.state.commit_index, self.state.first_index + 1))
        if lost <= 0:
            return logged
        self.truncate_from(last - lost + 1)
        return dataclasses.replace(logged, entries=logged.entries[:-lost])

    return forgetful


STORAGE = (
    Mutant(
        "no-fsync-before-vote",
        "Term and vote never reach the disk: a node that restarts votes again in a term in which it has voted, so one "
        "term has two leaders, and one of them loses what it has acknowledged.",
        (put(LogBuffer, "set_hard_state", lambda self, term, vote: None),),
        faults="kill,power",
    ),
    Mutant(
        "no-fsync-before-ack",
        "A commit returns when the operating system has the bytes, not when the disk has them: a power cut takes "
        "writes back that were acknowledged.",
        (Patch(database, "PRAGMAS", _unsynced),),
        faults="power",
    ),
    Mutant(
        "send-before-commit",
        "A node tells the leader that it has an entry before its own commit: if it dies in between, fewer nodes have "
        "an acknowledged write than the leader has counted.",
        (edit(Host, "_turn", ("self._send_all(early=True)", "self._send_all(early=False)")),),
        faults="power-loss-slow-disks",
    ),
    Mutant(
        "log-tail-lost",
        f"Recovery drops the last {TAIL_ENTRIES} entries of the log that it does not know to be committed: a restart "
        "of all nodes loses the last acknowledged writes.",
        (wrap(LogBuffer, "load", _without_tail),),
        faults="kill-all",
    ),
    Mutant(
        "snapshot-not-durable",
        "A checkpoint gets its name, and the log before it goes, before its bytes are on the disk: after a power cut "
        "a node has neither, and its data are gone.",
        (
            put(PartFile, "sync", lambda self: None),
            edit(PartFile, "rename", ("self._files.fsync_directory(path.parent)", "pass")),
        ),
        faults="power",
        settings=("checkpoint_entries=20",),
    ),
    Mutant(
        "snapshot-off-by-one",
        "A node that starts from a checkpoint, or installs a snapshot, takes the entry behind it for applied: one "
        "write is missing on that node for ever, and is read as missing whenever it leads.",
        (
            edit(State, "__init__", ("= start.applied_index\n", "= start.applied_index + bool(start.checkpoint)\n")),
            edit(
                State,
                "install",
                (
                    "self._machine_index = self._installed = snapshot.header.last.index",
                    "self._installed = snapshot.header.last.index\n    self._machine_index = self._installed + 1",
                ),
            ),
        ),
        faults="stop",
        settings=("checkpoint_entries=20",),
    ),
    Mutant(
        "foreign-checkpoint",
        "Recovery takes the newest checkpoint even if it does not lie in the log: what an interrupted install left "
        "behind becomes the state, with writes that this log never had.",
        (),
        rule="only a checkpoint that fits the log",
        faults="kill-at-install",
        settings=("checkpoint_entries=20", "keep_entries=5"),
    ),
)
