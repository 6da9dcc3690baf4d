"""What the Raft room asks of its surroundings: the log on disk, the state machine, the checkpoints.

Two implementations stand behind each: the real one (``storage``, ``checkpoint``, ``dkv.kv``) and the simulator's.
Words: an *entry* is one element of the Raft log; a *checkpoint* is the applied state on disk with the index that it
belongs to; a *snapshot* is a checkpoint on its way to another node.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from dkv.errors import DkvError

NodeId = str
"""A voter's identity, ``name.incarnation`` (``n1.3f9a2c1b``): a wiped disk makes a new incarnation, so no identity
ever votes twice in a term."""

GroupId = int


class Entry(NamedTuple):
    """One log entry, in pysyncobj's order of fields. ``command[:1]`` is its kind (``messages.py``)."""

    command: bytes
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    term: int


NO_OP = b"\x01"
GENESIS: tuple[Entry, Entry] = (Entry(NO_OP, 0, 0), Entry(NO_OP, 1, 0))
"""Every log begins with two agreed entries: pysyncobj wants two base entries, so an empty log is not a special case."""


@dataclass(frozen=True, slots=True)
class LoggedState:
    """What a group's log held when it was opened."""

    entries: list[Entry]
    term: int
    vote: NodeId | None
    commit_index: int
    """A lower bound: the last one that was written along with something else."""
    base_voters: tuple[NodeId, ...]
    """The voters as of the first entry (before any later configuration entry)."""


class GroupLog(Protocol):
    """One group's view of the node's log file. Calls are buffered; ``Storage.commit`` makes all durable at once.

    Order duty: nothing that these calls record may be promised to anybody before that commit has returned.
    """

    def load(self) -> LoggedState: ...
    def append(self, entry: Entry) -> None: ...
    def truncate_from(self, index: int) -> None: ...
    def trim_to(self, index: int, base_voters: Sequence[NodeId]) -> None: ...
    def reset(self, base: Sequence[Entry], base_voters: Sequence[NodeId]) -> None: ...
    def set_hard_state(self, term: int, vote: NodeId | None) -> None: ...
    def set_commit_index(self, index: int) -> None: ...


class StateMachine(Protocol):
    """Deterministic and total: the same entries give the same state and results on every node, and none raises."""

    def apply(self, index: int, payload: bytes) -> Any: ...

    def prepare(self) -> bool:
        """A step of a few milliseconds towards a ``freeze`` that costs nothing. False: call again, a turn later."""
        ...

    def freeze(self) -> Iterator[bytes]:
        """The state as of now, as blocks of about 64 KiB; ``apply`` may go on between two blocks.

        One iterator at a time. Each ``next`` takes a few milliseconds at most, whatever the size of the state.
        """
        ...

    def retire(self) -> Iterator[None]:
        """Take a machine apart that a snapshot replaced, in small steps: freeing 1e6 rows at once stalls the loop."""
        ...


@dataclass(frozen=True, slots=True)
class CheckpointHeader:
    """What a checkpoint is the state *of*: everything up to and including ``last``."""

    cluster: str
    group: GroupId
    previous: Entry
    last: Entry
    voters: tuple[NodeId, ...]
    """The voters as of ``last``."""


class CheckpointFile(Protocol):
    """A durable checkpoint, readable by offset, for sending. Reading stays possible after it was superseded."""

    header: CheckpointHeader
    size_bytes: int

    def read(self, offset: int, size_bytes: int) -> bytes: ...
    def blocks(self) -> Iterator[bytes]:
        """The blocks of ``StateMachine.freeze``, each verified; raises ``CheckpointCorrupt``."""
        ...

    def close(self) -> None: ...


class CheckpointWriter(Protocol):
    """A checkpoint in the making. Invisible until ``finish`` returned; a crash before that leaves a stray file."""

    def add(self, block: bytes) -> None: ...

    def finish(self) -> None:
        """Flush, fsync, give the file its name, fsync the directory. Slow: runs in a thread."""
        ...

    def abort(self) -> None: ...


class SnapshotSink(Protocol):
    """A checkpoint that arrives from another node, chunk by chunk, in order."""

    @property
    def received_bytes(self) -> int: ...

    def write(self, data: bytes) -> None: ...

    def finish(self) -> CheckpointFile:
        """Verify everything, fsync, name it. Slow: runs in a thread. Raises ``CheckpointCorrupt``."""
        ...

    def abort(self) -> None: ...


class CheckpointStore(Protocol):
    """The checkpoints of one group on this node's disk."""

    def headers(self) -> list[CheckpointHeader]:
        """Of all complete ones, newest first."""
        ...

    def open(self, index: int) -> CheckpointFile: ...
    def create(self, header: CheckpointHeader) -> CheckpointWriter: ...
    def receive(self) -> SnapshotSink: ...

    def discard(self, indexes: Collection[int]) -> None:
        """Delete these. Order duty: only once a newer one, and the log that goes with it, are durable."""
        ...


class Ticket(Protocol):
    """Whoever waits for the end of an operation. Called at most once, and only after the turn's commit."""

    def complete(self, value: Any) -> None: ...
    def fail(self, error: DkvError) -> None: ...


class DiskFull(Exception):
    """There is no room for what should be written. Nothing that was written before is harmed; try again later."""


class CheckpointCorrupt(Exception):
    """A checkpoint's bytes are not those that were written."""
