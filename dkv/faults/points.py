"""Named places at which a node may be told to die at once, as a process dies to which nobody said good-bye.

Only shells pass a point (storage, files, host); a kernel knows of none. A point says *between what* the process ends:
everything before its name has happened, nothing behind it has.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, cast

Hit = Callable[[str], None]
"""What a shell calls when it passes a point."""

POINTS = {
    "fsync": "About to flush a file or a directory: what was written to it since the last time is not durable.",
    "append.before_commit": "Entries were appended in this turn; their transaction has not begun.",
    "append.after_commit": "Entries are durable; nobody was told.",
    "vote.before_commit": "The term or the vote changed in this turn; its transaction has not begun.",
    "vote.after_commit": "Term and vote are durable; no vote and no request for one has left.",
    "trim.before_commit": "A checkpoint is durable; the log that it covers is still there.",
    "trim.after_commit": "The log begins later; its rows before that are debris.",
    "checkpoint.before_rename": "A checkpoint's bytes are durable; it bears no name.",
    "checkpoint.after_rename": "A checkpoint and its name are durable; the log was not trimmed.",
    "checkpoint.before_discard": "A newer checkpoint is durable; the older ones are about to be deleted.",
    "snapshot.before_rename": "A snapshot from the leader is verified and durable; it bears no name.",
    "snapshot.after_rename": "A snapshot and its name are durable; log and machine are still the former ones.",
    "snapshot.before_install": "A snapshot's machine is in place; the log's reset to it is not durable.",
    "snapshot.after_install": "The log's reset to a snapshot is durable; the leader was not told.",
    "send.before": "The turn is durable; the frames for one more peer are about to leave.",
    "send.after": "All frames of the turn were handed to the links; no client was answered.",
    "answer.before": "A turn is durable and its frames have left; whoever waits for it is about to be answered.",
    "apply.before": "An entry is committed; this node is about to apply it.",
    "apply.after": "An entry is applied in memory; nobody was told.",
}
"""Name → what is true there."""


class Machine(Protocol):
    def apply(self, index: int, payload: bytes) -> Any: ...


M = TypeVar("M", bound=Machine)


def kill_self() -> None:
    """SIGKILL: no handler, no flush, no farewell."""
    os.kill(os.getpid(), signal.SIGKILL)


def pass_by(name: str) -> None:
    """The ``Hit`` of a node without faults."""


class Points:
    """Counts passages, and kills at those that were armed. From any thread."""

    def __init__(self, kill: Callable[[], None] = kill_self) -> None:
        self._kill = kill
        self._lock = threading.Lock()
        self._hits: Counter[str] = Counter()
        self._armed: dict[str, tuple[int, int]] = {}

    def arm(self, wanted: Mapping[str, Mapping[str, int]]) -> None:
        """``{point: {"kill_at": k}}``: die at the k-th passage from now.

        Replaces all that was armed. ``ValueError``: nothing was changed.
        """
        checked = {name: _kill_at(name, order) for name, order in wanted.items()}
        with self._lock:
            self._armed = {name: (k, self._hits[name] + k) for name, k in checked.items()}

    def hit(self, name: str) -> None:
        """The process is at ``name``."""
        assert name in POINTS, f"{name} is no point"
        with self._lock:
            self._hits[name] += 1
            dies = name in self._armed and self._hits[name] == self._armed[name][1]
        if dies:
            self._kill()

    def status(self) -> dict[str, dict[str, int]]:
        """As armed last."""
        with self._lock:
            return {name: {"kill_at": k} for name, (k, _) in self._armed.items()}

    def hits(self) -> dict[str, int]:
        """How often each point was passed since the start; all names."""
        with self._lock:
            return {name: self._hits[name] for name in POINTS}


def _kill_at(name: str, order: object) -> int:
    if name not in POINTS:
        raise ValueError(f"there is no point {name!r}; known are: {', '.join(POINTS)}")
    k = order.get("kill_at") if isinstance(order, Mapping) and len(order) == 1 else None
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise ValueError(f'{name}: say {{"kill_at": k}} with k = 1, 2, 3, …, not {order!r:.100}')
    return k


def with_apply_points(machine: type[M], points: Points) -> type[M]:
    """``machine`` with a point before and after each applied entry."""

    def apply(self: M, index: int, payload: bytes) -> Any:
        points.hit("apply.before")
        result = machine.apply(self, index, payload)
        points.hit("apply.after")
        return result

    return cast("type[M]", type(machine.__name__, (machine,), {"__slots__": (), "apply": apply}))
