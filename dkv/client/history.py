"""What a client did, told to whoever checks it: invocations and their ends, in Jepsen's words.

``ok``: it happened, with this result. ``fail``: it certainly did not. ``info``: nobody knows. Reads have no
effect, so a read never ends as ``info``. Law: every ``invoke`` has exactly one end, also when the caller is
cancelled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, Protocol

from dkv.client.calls import Call
from dkv.client.core import Done
from dkv.client.protocol import Answer
from dkv.errors import DkvError, Outcome


class EventType(StrEnum):
    """Jepsen's four."""

    INVOKE = "invoke"
    OK = "ok"
    FAIL = "fail"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Event:
    """``f``: get, set, delete or batch. ``value``: what is written; for the ``ok`` of a get, what was read
    (None: no such key); of a delete, whether the key was there. ``revision``: of the key, on ``ok`` (0: none
    or unknown).

    ``node``: ``host:port`` of the node that answered or failed last. ``error``: its code. ``time_s``:
    client's clock.
    """

    process: int
    type: EventType
    f: str
    key: str | None
    value: Any
    time_s: float
    cas: int | None = None
    revision: int = 0
    node: str | None = None
    error: str | None = None


class History(Protocol):
    """Anything that takes events, one by one, in the order of each process; ``list.append`` will do."""

    def __call__(self, event: Event, /) -> object: ...


class Recording:
    """One operation's two events, as a context: leave it by ``ok`` or by an exception."""

    def __init__(self, history: History, clock: Callable[[], float], process: int, call: Call[Any]) -> None:
        self._history = history
        self._clock = clock
        self._process = process
        self._call = call

    def __enter__(self) -> Recording:
        self._tell(EventType.INVOKE, self._call.value)
        return self

    def ok(self, done: Done[Any]) -> None:
        """It happened."""
        value, revision = self._call.value, 0
        if isinstance(done.value, Answer):
            revision = done.value.revision
            value = {"get": done.value.val, "delete": done.value.found}.get(self._call.f, value)
        elif self._call.f == "batch":
            value = done.value
        self._tell(EventType.OK, value, revision=revision, node=done.node)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            return
        of_dkv = error if isinstance(error, DkvError) else None
        certain = not self._call.mutation or (of_dkv is not None and of_dkv.outcome is Outcome.NOT_APPLIED)
        self._tell(
            EventType.FAIL if certain else EventType.INFO,
            self._call.value,
            node=of_dkv.node if of_dkv else None,
            error=of_dkv.code if of_dkv else type(error).__name__,
        )

    def _tell(self, type: EventType, value: Any, **more: Any) -> None:
        call = self._call
        self._history(Event(self._process, type, call.f, call.key, value, self._clock(), cas=call.cas, **more))
