"""The node's data directory: one process at a time, the room on its disk, and what a failed write means.

Law: a full disk is a state to live with (``DiskFull``: nothing happened, try again later); any other failure
of a write or an fsync leaves unknown bytes on the disk and ends the process (``FatalError``).
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dkv.errors import FatalError, StartupError
from dkv.files import write_all
from dkv.raft.contracts import DiskFull

RESERVE_BYTES_MAX = 64 * 1024 * 1024
RESERVE_SHARE = 0.05
"""Writes are refused while some room is left, so that terms and votes can still be recorded: 64 MiB is ten
times what the log's files grow by between two of SQLite's own checkpoints; a small disk gives a share
instead."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Disk full, quota used up, file size limit reached: errors that pass when somebody makes room."""


def disk_full(path: Path) -> DiskFull:
    """For people: what could not be written, and what to do."""
    return DiskFull(f"no room on the disk for {path}: nothing stored so far is harmed; make room, and it goes on")


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """``OSError`` while writing ``path`` → ``DiskFull`` or ``FatalError``."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise disk_full(path) from error
        raise FatalError(f"writing {path} failed ({error}): the disk does not keep its word") from error


def default_reserve_bytes(directory: Path) -> int:
    """The room below which writes should be refused."""
    disk = os.statvfs(directory)
    return min(RESERVE_BYTES_MAX, int(disk.f_blocks * disk.f_frsize * RESERVE_SHARE))


def has_room(directory: Path, offset: int, size_bytes: int) -> bool:
    """Try it: can a file of this directory have ``size_bytes`` at ``offset``? For errors that name no cause.

    The file is sparse up to ``offset``: it meets the size limit of the file that failed and costs only its
    tail.
    """
    probe = directory / "room.probe"
    fd = os.open(probe, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        os.lseek(fd, offset, os.SEEK_SET)
        write_all(fd, bytes(size_bytes))
        os.fsync(fd)
    except OSError as error:
        return error.errno not in NO_ROOM
    finally:
        os.close(fd)
        with suppress(FileNotFoundError):
            probe.unlink()
    return True


class DirectoryLock:
    """Held from construction to ``release``, or to the end of the process however it ends (``flock``)."""

    def __init__(self, directory: Path) -> None:
        self._fd = os.open(directory / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise StartupError(
                f"the data directory {directory} is in use by another process (pid {owner}): "
                "stop it first, or choose another --data-dir"
            ) from error
        os.ftruncate(self._fd, 0)
        with suppress(OSError):  # The pid only makes the message above kinder.
            os.pwrite(self._fd, f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        """Let another process in. The file stays: deleting it would open a race."""
        os.close(self._fd)
