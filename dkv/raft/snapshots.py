"""State transfer to a peer whose next entry is no longer in the log (Raft §7), pulled by the one who needs it.

A snapshot is the leader's newest checkpoint file, sent by offset: the puller asks for the next chunk when it has the
last, so flow control needs no window, a lost chunk is asked for again, and the sender keeps nothing but an open file.
The puller stages the bytes, verifies all of them, makes a second state machine from them in the background, and only
then installs log base and machine in one turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from dkv.raft.contracts import (
    CheckpointCorrupt,
    CheckpointFile,
    CheckpointHeader,
    CheckpointStore,
    DiskFull,
    NodeId,
    SnapshotSink,
    StateMachine,
)
from dkv.raft.messages import SnapshotChunk, SnapshotPull
from dkv.raft.options import Options

M = TypeVar("M", bound=StateMachine)

Background = Callable[[Callable[[], object], Callable[[object], None]], None]
"""``background(work, done)``: run ``work`` beside the loop; ``done(its result or exception)`` between two turns."""


class SnapshotSender:
    """Answers pulls. A superseded checkpoint stays readable while it is being pulled."""

    def __init__(self, store: CheckpointStore, options: Options) -> None:
        self._store, self._options = store, options
        self._open: dict[int, tuple[CheckpointFile, float]] = {}

    def answer(self, pull: SnapshotPull, newest_index: int, term: int, now: float) -> SnapshotChunk | None:
        """The chunk that ``pull`` asks for, or the first of the newest if that one is gone; None if there is none."""
        index = pull.index if pull.index in self._open else newest_index
        offset = pull.offset if index == pull.index else 0
        if not index:
            return None
        if index not in self._open:
            self._open[index] = (self._store.open(index), now)
        file, _ = self._open[index]
        self._open[index] = (file, now)
        if offset > file.size_bytes:
            return None
        data = file.read(offset, self._options.snapshot_chunk_bytes)
        return SnapshotChunk(term, index, offset, file.size_bytes, data)

    def close_idle(self, now: float) -> None:
        """Close what nobody asked for lately."""
        for index, (file, used_at) in list(self._open.items()):
            if now - used_at > self._options.snapshot_idle_s:
                del self._open[index]
                file.close()


@dataclass(slots=True)
class _Transfer:
    leader: NodeId
    asked_at: float
    index: int = 0
    offset: int = 0
    size_bytes: int = 0
    sink: SnapshotSink | None = None
    verifying: bool = False


@dataclass(frozen=True, slots=True)
class ReadySnapshot(Generic[M]):
    """Durable under its name, verified, and loaded: what remains is to install it."""

    header: CheckpointHeader
    machine: M


class SnapshotReceiver(Generic[M]):
    """Pulls one snapshot at a time."""

    def __init__(
        self,
        store: CheckpointStore,
        load_machine: Callable[[Iterator[bytes]], M],
        background: Background,
        options: Options,
    ) -> None:
        self._store, self._load, self._background, self._options = store, load_machine, background, options
        self._transfer: _Transfer | None = None
        self._ready: ReadySnapshot[M] | None = None

    def needed(self, leader: NodeId, term: int, now: float) -> SnapshotPull | None:
        """The leader says that its log cannot help us; the first pull, unless a transfer from it is under way."""
        if self._ready is not None:
            return None
        if self._transfer is not None:
            if self._transfer.leader == leader or self._transfer.verifying:
                return None
            self.abort()
        self._transfer = _Transfer(leader, now)
        return SnapshotPull(term, 0, 0)

    def chunk(self, sender: NodeId, chunk: SnapshotChunk, term: int, now: float) -> SnapshotPull | None:
        """Take the next bytes; the pull for those that follow."""
        transfer = self._transfer
        if transfer is None or sender != transfer.leader or transfer.verifying:
            return None
        try:
            if not self._stored(transfer, chunk):
                return None
        except DiskFull:
            self.abort()
            return None
        assert transfer.sink is not None, "bytes of a transfer that was begun"
        transfer.offset += len(chunk.data)
        transfer.asked_at = now
        if transfer.offset < transfer.size_bytes:
            return SnapshotPull(term, transfer.index, transfer.offset)
        self._verify(transfer, transfer.sink)
        return None

    def resend(self, term: int, now: float) -> tuple[NodeId, SnapshotPull] | None:
        """The last pull again, when nothing came for a while."""
        transfer = self._transfer
        if transfer is None or transfer.verifying or now - transfer.asked_at < self._options.snapshot_retry_s:
            return None
        transfer.asked_at = now
        return transfer.leader, SnapshotPull(term, transfer.index, transfer.offset)

    def take_ready(self) -> ReadySnapshot[M] | None:
        """What can be installed now, once."""
        ready, self._ready = self._ready, None
        return ready

    def abort(self) -> None:
        """Forget the transfer; the next notice begins another."""
        transfer, self._transfer = self._transfer, None
        if transfer is not None and transfer.sink is not None:
            transfer.sink.abort()

    def _stored(self, transfer: _Transfer, chunk: SnapshotChunk) -> bool:
        if chunk.index != transfer.index:
            if chunk.offset != 0:
                return False
            self._begin(transfer, chunk)
        if chunk.offset != transfer.offset or chunk.size_bytes != transfer.size_bytes:
            return False
        assert transfer.sink is not None, "bytes of a transfer that was begun"
        transfer.sink.write(chunk.data)
        return True

    def _begin(self, transfer: _Transfer, chunk: SnapshotChunk) -> None:
        if transfer.sink is not None:
            transfer.sink.abort()
        transfer.index, transfer.offset, transfer.size_bytes = chunk.index, 0, chunk.size_bytes
        transfer.sink = self._store.receive()

    def _verify(self, transfer: _Transfer, sink: SnapshotSink) -> None:
        transfer.verifying = True

        def work() -> ReadySnapshot[M]:
            file = sink.finish()
            try:
                return ReadySnapshot(file.header, self._load(file.blocks()))
            finally:
                file.close()

        self._background(work, self._verified)

    def _verified(self, outcome: object) -> None:
        self._transfer = None
        if isinstance(outcome, ReadySnapshot):
            self._ready = outcome
        elif not isinstance(outcome, CheckpointCorrupt | DiskFull):
            assert isinstance(outcome, BaseException), f"neither a snapshot nor an error: {outcome!r}"
            raise outcome
