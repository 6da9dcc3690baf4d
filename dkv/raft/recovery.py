"""The two files' recovery rule: which checkpoint, with this log, is the state that the node stopped with.

Pure. The log is the judge, because its transactions are the decisions: - A node's own checkpoint at i is
begun after the commit that made i durable: i lies in the log, and matches it. - A snapshot's file is durable
*before* the log is reset, in one transaction, to exactly the snapshot's two base entries. So a checkpoint
beyond the log's end, or beside it (another term at its index), is an install that did not happen. - Older
checkpoints are deleted, and the log is trimmed, only after a newer one is durable; the log keeps the two
entries that a checkpoint ends with. So a log that begins above ``GENESIS`` has its checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dkv.errors import StartupError
from dkv.raft.contracts import GENESIS, CheckpointHeader, Entry, LoggedState


@dataclass(frozen=True, slots=True)
class RecoveryPoint:
    """Where a replica starts. ``checkpoint`` None: from the empty state, applying everything after
    ``GENESIS``."""

    checkpoint: CheckpointHeader | None
    commit_index: int
    """The best lower bound: what a checkpoint holds was committed."""
    discarded: tuple[int, ...]
    """Indexes of the checkpoints that are to be deleted."""

    @property
    def applied_index(self) -> int:
        """Everything up to here is in the state."""
        return self.checkpoint.last.index if self.checkpoint else GENESIS[-1].index


def recovery_point(logged: LoggedState, checkpoints: Sequence[CheckpointHeader]) -> RecoveryPoint:
    """``checkpoints``: the headers of all complete ones, in any order. ``StartupError`` if none is left to
    start from."""
    entries = logged.entries
    assert len(entries) >= len(GENESIS), f"a log keeps two entries at least, this one has {len(entries)}"
    matching = [header for header in checkpoints if _lies_in(header, entries)]
    chosen = max(matching, key=lambda header: header.last.index, default=None)
    if chosen is None and entries[0].index > GENESIS[0].index:
        raise StartupError(_nothing_to_start_from(entries, checkpoints))
    discarded = sorted(header.last.index for header in checkpoints if header is not chosen)
    commit_index = max(logged.commit_index, chosen.last.index if chosen else GENESIS[-1].index)
    assert commit_index <= entries[-1].index, f"commit index {commit_index} beyond {entries[-1].index}"
    return RecoveryPoint(chosen, commit_index, tuple(discarded))


def _lies_in(header: CheckpointHeader, entries: Sequence[Entry]) -> bool:
    offset = header.last.index - entries[0].index
    return (
        0 < offset < len(entries)
        and entries[offset].term == header.last.term
        and entries[offset - 1].term == header.previous.term
    )


def _nothing_to_start_from(entries: Sequence[Entry], checkpoints: Sequence[CheckpointHeader]) -> str:
    found = ", ".join(f"{header.last.index} (term {header.last.term})" for header in checkpoints) or "none"
    return (
        f"the log begins at entry {entries[0].index} (term {entries[0].term}), and the checkpoint that holds "
        f"what was before it is missing or damaged: one between {entries[1].index} and {entries[-1].index} is "
        f"needed, complete ones found: {found}. This node's data cannot be put together again; if the other "
        "nodes of the cluster are well, move the whole data directory away and start it with --join"
    )
