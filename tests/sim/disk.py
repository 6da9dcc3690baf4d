"""A disk that forgets what was not flushed: the log's and the checkpoints' contracts, in memory.

``GroupLog`` calls pile up until ``commit`` makes all of them durable at once, like SQLite's transaction. A checkpoint
becomes durable when ``finish`` runs. ``crash`` drops everything else, as a power cut does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import msgspec

from dkv.raft.contracts import (
    GENESIS,
    CheckpointCorrupt,
    CheckpointHeader,
    Entry,
    LoggedState,
    NodeId,
)

Change = Callable[["Durable"], None]


class Durable:
    """What survives."""

    def __init__(self, voters: Sequence[NodeId]) -> None:
        self.entries: list[Entry] = list(GENESIS)
        self.term = 0
        self.vote: NodeId | None = None
        self.commit_index = 1
        self.base_voters = tuple(voters)
        self.checkpoints: dict[int, MemoryCheckpoint] = {}

    def term_at(self, index: int) -> int | None:
        """Term of the entry at ``index``; None where the log does not have it."""
        offset = index - self.entries[0].index
        return self.entries[offset].term if 0 <= offset < len(self.entries) else None

    def append(self, entry: Entry) -> None:
        assert entry.index == self.entries[-1].index + 1, f"gap: {entry.index} behind {self.entries[-1].index}"
        self.entries.append(entry)


class Disk:
    """Of one node. Implements ``GroupLog`` and ``CheckpointStore``."""

    def __init__(self, voters: Sequence[NodeId]) -> None:
        self.durable = Durable(voters)
        self._pending: list[Change] = []

    # ---- the log

    def load(self) -> LoggedState:
        d = self.durable
        return LoggedState(list(d.entries), d.term, d.vote, d.commit_index, d.base_voters)

    def append(self, entry: Entry) -> None:
        self._pending.append(lambda d: d.append(entry))

    def truncate_from(self, index: int) -> None:
        def change(d: Durable) -> None:
            del d.entries[index - d.entries[0].index :]

        self._pending.append(change)

    def trim_to(self, index: int, base_voters: Sequence[NodeId]) -> None:
        def change(d: Durable) -> None:
            d.entries = d.entries[index - d.entries[0].index :]
            d.base_voters = tuple(base_voters)

        self._pending.append(change)

    def reset(self, base: Sequence[Entry], base_voters: Sequence[NodeId]) -> None:
        def change(d: Durable) -> None:
            d.entries = list(base)
            d.base_voters = tuple(base_voters)

        self._pending.append(change)

    def set_hard_state(self, term: int, vote: NodeId | None) -> None:
        def change(d: Durable) -> None:
            d.term, d.vote = term, vote

        self._pending.append(change)

    def set_commit_index(self, index: int) -> None:
        def change(d: Durable) -> None:
            d.commit_index = index

        self._pending.append(change)

    def commit(self) -> None:
        """One transaction."""
        for change in self._pending:
            change(self.durable)
        self._pending.clear()

    def crash(self) -> None:
        """What was not flushed is gone."""
        self._pending.clear()

    # ---- the checkpoints

    def headers(self) -> list[CheckpointHeader]:
        return [self.durable.checkpoints[index].header for index in sorted(self.durable.checkpoints, reverse=True)]

    def open(self, index: int) -> MemoryCheckpoint:
        return self.durable.checkpoints[index]

    def create(self, header: CheckpointHeader) -> MemoryWriter:
        return MemoryWriter(self.durable, header)

    def receive(self) -> MemorySink:
        return MemorySink(self.durable)

    def discard(self, indexes: Collection[int]) -> None:
        for index in indexes:
            self.durable.checkpoints.pop(index, None)


class MemoryCheckpoint:
    """A complete checkpoint."""

    def __init__(self, header: CheckpointHeader, blocks: Sequence[bytes]) -> None:
        self.header, self._blocks = header, list(blocks)
        self.data = msgspec.msgpack.encode((header, self._blocks))
        self.size_bytes = len(self.data)

    def read(self, offset: int, size_bytes: int) -> bytes:
        return self.data[offset : offset + size_bytes]

    def blocks(self) -> Iterator[bytes]:
        return iter(self._blocks)

    def close(self) -> None:
        pass


class MemoryWriter:
    """Nothing is durable before ``finish``."""

    def __init__(self, durable: Durable, header: CheckpointHeader) -> None:
        self._durable, self._header, self._blocks = durable, header, list[bytes]()

    def add(self, block: bytes) -> None:
        self._blocks.append(block)

    def finish(self) -> None:
        self._durable.checkpoints[self._header.last.index] = MemoryCheckpoint(self._header, self._blocks)

    def abort(self) -> None:
        pass


class MemorySink:
    """Collects a checkpoint's bytes from elsewhere."""

    def __init__(self, durable: Durable) -> None:
        self._durable, self._data = durable, bytearray()

    @property
    def received_bytes(self) -> int:
        return len(self._data)

    def write(self, data: bytes) -> None:
        self._data += data

    def finish(self) -> MemoryCheckpoint:
        try:
            header, blocks = msgspec.msgpack.decode(bytes(self._data), type=tuple[CheckpointHeader, list[bytes]])
        except msgspec.MsgspecError as error:
            raise CheckpointCorrupt(str(error)) from None
        checkpoint = MemoryCheckpoint(header, blocks)
        self._durable.checkpoints[header.last.index] = checkpoint
        return checkpoint

    def abort(self) -> None:
        pass
