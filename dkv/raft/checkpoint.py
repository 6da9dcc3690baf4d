"""Checkpoints as files ``checkpoint-<group>-<index>`` in the data directory, and snapshots on their way in.

A file is written under another name, fsynced, renamed, and the rename fsynced (``part_file``): whatever
bears the name is complete, or was damaged since. Which of the complete ones counts: ``recovery``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dkv.errors import StartupError
from dkv.faults.points import Hit, pass_by
from dkv.faults.state import Faults, files_of
from dkv.files import OS_FILES, Files
from dkv.raft.checkpoint_format import (
    FOOTER_BYTES,
    PROLOGUE,
    RECORD,
    Digest,
    NewerFormat,
    check_prologue,
    check_record,
    decode_footer,
    decode_header,
    decode_record_head,
    encode_footer,
    encode_record_head,
    encode_start,
)
from dkv.raft.contracts import CheckpointCorrupt, CheckpointHeader, GroupId
from dkv.raft.part_file import PartFile


class FileCheckpoints:
    """The checkpoints of one group of one cluster; a ``contracts.CheckpointStore``.

    One per group, and only while the directory is locked: the constructor removes what a crash left unfinished.
    The methods may be called from different threads.
    """

    def __init__(self, directory: Path, cluster: str, group: GroupId, *, faults: Faults | None = None) -> None:
        self._files = files_of(faults)
        self._hit: Hit = pass_by if faults is None else faults.points.hit
        self._directory, self._cluster, self._group = directory, cluster, group
        self._complete_name = re.compile(rf"checkpoint-{group}-(\d+)")
        self._part_numbers = itertools.count()
        for name in self._files.names(directory):
            if name.startswith(f"checkpoint-{group}-part-"):
                self._files.unlink(directory / name)

    def headers(self) -> list[CheckpointHeader]:
        """Of all complete ones, newest first. ``StartupError`` if one is of a newer format."""
        headers = []
        for index in self._indexes():
            try:
                file = self.open(index)
            except NewerFormat as error:
                raise StartupError(f"{error}: start the newer version again") from error
            except CheckpointCorrupt:
                continue
            headers.append(file.header)
            file.close()
        return headers

    def open(self, index: int) -> OpenCheckpoint:
        """The one at ``index``, header and length checked. ``CheckpointCorrupt``; ``FileNotFoundError``."""
        file = OpenCheckpoint(self._path(index), self._files)
        if file.header.last.index != index:
            file.close()
            raise CheckpointCorrupt(f"{self._path(index)} is a checkpoint at {file.header.last.index}")
        return file

    def create(self, header: CheckpointHeader) -> PartialCheckpoint:
        """Begin to write one. ``DiskFull``."""
        assert (header.cluster, header.group) == (self._cluster, self._group), f"not of this store: {header}"
        return PartialCheckpoint(self._begin_part(), header, self._path(header.last.index), self._hit)

    def receive(self) -> ReceivedCheckpoint:
        """Begin to receive one. ``DiskFull``."""
        return ReceivedCheckpoint(self._begin_part(), self._admit, self._files, self._hit)

    def discard(self, indexes: Collection[int]) -> None:
        """Delete these; whoever has one open may go on reading."""
        if indexes:
            self._hit("checkpoint.before_discard")
        for index in indexes:
            with suppress(FileNotFoundError):
                self._files.unlink(self._path(index))

    def _path(self, index: int) -> Path:
        return self._directory / f"checkpoint-{self._group}-{index}"

    def _indexes(self) -> list[int]:
        names = map(self._complete_name.fullmatch, self._files.names(self._directory))
        return sorted((int(name[1]) for name in names if name), reverse=True)

    def _begin_part(self) -> PartFile:
        return PartFile(self._directory / f"checkpoint-{self._group}-part-{next(self._part_numbers)}", self._files)

    def _admit(self, header: CheckpointHeader) -> Path:
        if (header.cluster, header.group) != (self._cluster, self._group):
            raise CheckpointCorrupt(f"a snapshot of group {header.group} of cluster {header.cluster}, not of ours")
        return self._path(header.last.index)


class OpenCheckpoint:
    """A complete checkpoint, open for reading; a ``contracts.CheckpointFile``. Survives the removal of its
    name.

    Constructor: checks prologue, header and length, whatever the size. ``CheckpointCorrupt``;
    ``FileNotFoundError``.
    """

    def __init__(self, path: Path, files: Files = OS_FILES) -> None:
        self._path = path
        self._file = files.open(path)
        self.size_bytes = self._file.size_bytes
        try:
            with _naming(path):
                check_prologue(self.read(0, PROLOGUE.size))
                head, header = self._record(PROLOGUE.size) or (b"", b"")
                self.header = decode_header(header)
                self._blocks_at = PROLOGUE.size + len(head) + len(header)
                footer_at = max(0, self.size_bytes - FOOTER_BYTES)
                self._footer = decode_footer(self.read(footer_at, FOOTER_BYTES), self.size_bytes)
        except BaseException:
            self._file.close()
            raise

    def read(self, offset: int, size_bytes: int) -> bytes:
        """Bytes from ``offset`` on, fewer only at the end. From any thread."""
        return self._file.read_at(offset, size_bytes)

    def blocks(self) -> Iterator[bytes]:
        """Every block, checked before it is handed out; the file as a whole is checked at the end."""
        digest = Digest()
        with _naming(self._path):
            digest.add(self.read(0, self._blocks_at))
            while record := self._record(digest.size_bytes):
                digest.add_block(*record)
                yield record[1]
            if digest.footer() != self._footer:
                raise CheckpointCorrupt("its blocks are not those that were written")

    def close(self) -> None:
        """Let go; an unnamed file's bytes are freed now."""
        self._file.close()

    def _record(self, offset: int) -> tuple[bytes, bytes] | None:
        head = self.read(offset, RECORD.size)
        expected = decode_record_head(head)
        if expected is None:
            return None
        data = self.read(offset + RECORD.size, expected[0])
        check_record(data, *expected)
        return head, data


class PartialCheckpoint:
    """A checkpoint in the making; a ``contracts.CheckpointWriter``. After any error it is aborted."""

    def __init__(self, part: PartFile, header: CheckpointHeader, path: Path, hit: Hit) -> None:
        self._part, self._path, self._hit = part, path, hit
        self._digest = Digest()
        start = encode_start(header)
        self._digest.add(start)
        part.write(start)

    def add(self, block: bytes) -> None:
        """One more block. ``DiskFull``."""
        head = encode_record_head(block)
        self._digest.add_block(head, block)
        self._part.write(head)
        self._part.write(block)

    def finish(self) -> None:
        """Make it durable and visible. ``DiskFull``."""
        self._part.write(encode_footer(self._digest.footer()))
        self._part.sync()
        self._hit("checkpoint.before_rename")
        self._part.rename(self._path)
        self._hit("checkpoint.after_rename")

    def abort(self) -> None:
        """Forget it. Harmless when it has ended already."""
        self._part.abort()


class ReceivedCheckpoint:
    """A snapshot that arrives in order; a ``contracts.SnapshotSink``. After any error it is aborted."""

    def __init__(self, part: PartFile, admit: Callable[[CheckpointHeader], Path], files: Files, hit: Hit) -> None:
        self._part, self._admit, self._files, self._hit = part, admit, files, hit
        self.received_bytes = 0

    def write(self, data: bytes) -> None:
        """The next bytes. ``DiskFull``."""
        self._part.write(data)
        self.received_bytes += len(data)

    def finish(self) -> OpenCheckpoint:
        """Check every byte, then make it durable and visible. ``CheckpointCorrupt``, ``DiskFull``."""
        self._part.sync()
        try:
            file = OpenCheckpoint(self._part.path, self._files)
        except CheckpointCorrupt:
            self.abort()
            raise
        try:
            for _ in file.blocks():
                pass
            path = self._admit(file.header)
            self._hit("snapshot.before_rename")
            self._part.rename(path)
            self._hit("snapshot.after_rename")
        except BaseException:
            file.close()
            self.abort()
            raise
        return file

    def abort(self) -> None:
        """Forget it. Harmless when it has ended already."""
        self._part.abort()


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except CheckpointCorrupt as error:
        raise type(error)(f"{path} cannot be used: {error}") from error
