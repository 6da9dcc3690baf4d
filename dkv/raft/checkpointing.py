"""When the applied state is written down, and what may be forgotten once it is.

Rare, in slices between turns, never in the way of the log: a checkpoint begins when enough log has come since the last
one, freezes the machine, takes one block a turn, and is flushed beside the loop. Then the log behind it
goes, but for a tail for peers that were away for a moment. Everything here runs after a turn's commit: a checkpoint
of index i never becomes visible before the log up to i is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dkv.raft.contracts import CheckpointHeader, CheckpointStore, CheckpointWriter, DiskFull, StateMachine
from dkv.raft.log import Log
from dkv.raft.options import Options
from dkv.raft.snapshots import Background


class Checkpointing:
    """The checkpoints of one replica. ``index``: of the newest durable one, 0 if there is none."""

    def __init__(
        self,
        log: Log,
        store: CheckpointStore,
        options: Options,
        background: Background,
        index: int,
        cluster: str,
        group: int,
    ) -> None:
        self._log, self._store, self._options, self._background = log, store, options, background
        self._cluster, self._group = cluster, group
        self.index = index
        self._state_bytes = 0
        self._blocks: Iterator[bytes] | None = None
        self._writer: CheckpointWriter | None = None
        self._header: CheckpointHeader | None = None
        self._preparing = self._flushing = False
        self._pause_turns = 0

    @property
    def is_writing(self) -> bool:
        """It is prepared, or blocks are still to be taken: another turn should follow soon."""
        return self._preparing or self._blocks is not None

    def step(self, applied_index: int, machine: StateMachine) -> None:
        """After a turn's commit: begin, or go on with, or leave it."""
        if self._blocks is not None:
            self._take_block()
        elif self._preparing or (not self._flushing and self._is_due(applied_index)):
            self._preparing = not machine.prepare()
            if not self._preparing:
                self._begin(applied_index, machine)

    def installed(self, index: int) -> None:
        """A snapshot took the place of state and log; its file is the newest checkpoint. Call after the commit."""
        self.abort()
        self.index = index
        self._background(lambda: self._discard_older(index), _raise_if_failed)

    def abort(self) -> None:
        """The machine that is being written was replaced."""
        blocks, writer = self._blocks, self._writer
        self._blocks = self._writer = self._header = None
        self._preparing = False
        if blocks is not None:
            close: Callable[[], None] | None = getattr(blocks, "close", None)
            if close is not None:
                close()
        if writer is not None:
            writer.abort()

    def _is_due(self, applied_index: int) -> bool:
        if self._pause_turns:
            self._pause_turns -= 1
            return False
        entries = applied_index - max(self.index, 1)
        if entries <= 0 or applied_index <= self._log.first_index + 1:
            return False
        bytes_due = max(self._options.checkpoint_bytes, self._state_bytes // 2)
        return entries >= self._options.checkpoint_entries or self._log.size_bytes >= bytes_due + self._kept_bytes()

    def _kept_bytes(self) -> int:
        """Log behind the last checkpoint does not count again."""
        return self._options.keep_bytes if self.index else 0

    def _begin(self, applied_index: int, machine: StateMachine) -> None:
        header = CheckpointHeader(
            self._cluster,
            self._group,
            self._log.entry(applied_index - 1),
            self._log.entry(applied_index),
            self._log.voters_at(applied_index),
        )
        try:
            self._writer = self._store.create(header)
        except DiskFull:
            self._pause_turns = 1000
            return
        self._header, self._blocks, self._state_bytes = header, machine.freeze(), 0

    def _take_block(self) -> None:
        assert self._blocks is not None, "a checkpoint is being written"
        assert self._writer is not None, "it has a file"
        assert self._header is not None, "and a header"
        block = next(self._blocks, None)
        try:
            if block is not None:
                self._state_bytes += len(block)
                self._writer.add(block)
                return
        except DiskFull:
            self.abort()
            self._pause_turns = 1000
            return
        writer, index = self._writer, self._header.last.index
        self._blocks = self._writer = self._header = None
        self._flushing = True
        self._background(writer.finish, lambda outcome: self._flushed(index, outcome))

    def _flushed(self, index: int, outcome: object) -> None:
        self._flushing = False
        if isinstance(outcome, DiskFull):
            self._pause_turns = 1000
            return
        _raise_if_failed(outcome)
        if index <= self.index:
            return  # a snapshot from the leader overtook it
        self.index = index
        self._background(lambda: self._discard_older(index), _raise_if_failed)
        self._trim(index)

    def _discard_older(self, index: int) -> None:
        # Older ones only: these calls may overtake each other, and the newest must survive all of them.
        self._store.discard([header.last.index for header in self._store.headers() if header.last.index < index])

    def _trim(self, index: int) -> None:
        """Forget log before the checkpoint's two base entries, but for the tail that peers may still ask for."""
        keep_from = min(index - 1, self._log.last_index - self._options.keep_entries)
        size_bytes = 0
        for position in range(index - 1, max(keep_from, self._log.first_index), -1):
            size_bytes += len(self._log.entry(position).command)
            if size_bytes > self._options.keep_bytes:
                keep_from = position
                break
        self._log.trim_to(keep_from)


def _raise_if_failed(outcome: object) -> None:
    if isinstance(outcome, BaseException):
        raise outcome
