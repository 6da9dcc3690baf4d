"""Whether there is room on the disk for more than what keeps the node itself alive."""

from __future__ import annotations

from typing import Protocol

from dkv.clock import Clock
from dkv.errors import NoSpace

CHECK_S = 0.25
CHECK_BYTES = 512 * 1024
"""How old the answer to "is the disk nearly full?" may be, and how much may be appended on its word: asking costs a
system call, but a fast writer fills what a small disk keeps in reserve within a quarter of a second."""

DISK_FULL = "This node's disk is full: writes are refused until there is room. Nothing was changed."
DISK_LOW = "This node's disk is nearly full: writes are refused until there is room. Nothing was changed."


class Disk(Protocol):
    def low_on_space(self) -> bool: ...


class Space:
    """``full`` is the turn's to set: a commit found no room at all."""

    def __init__(self, disk: Disk, clock: Clock) -> None:
        self.full = False
        self._disk, self._clock = disk, clock
        self._low = False
        self._checked_at = float("-inf")
        self._unchecked_bytes = 0

    def check(self, size_bytes: int = 0) -> None:
        """Before ``size_bytes`` are appended. Raises ``NoSpace``."""
        if self.full:
            raise NoSpace(DISK_FULL)
        now = self._clock.now()
        self._unchecked_bytes += size_bytes
        if now - self._checked_at > CHECK_S or self._unchecked_bytes > CHECK_BYTES:
            self._low, self._checked_at, self._unchecked_bytes = self._disk.low_on_space(), now, 0
        if self._low:
            raise NoSpace(DISK_LOW)
