"""What a client holds between its operations, whichever way it does its I/O: settings, nodes, the index it
has seen.

Pure but for the clock and the source of ids, which are given. Law: with ``read_your_writes``, an index once
seen is asked of every later read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from dkv.client import calls
from dkv.client.calls import Call, Command
from dkv.client.core import Done, Operation, Retry
from dkv.client.history import History, Recording
from dkv.client.nodes import Nodes, parse_address
from dkv.client.protocol import Answer, find_rest
from dkv.errors import DkvError, MembershipRefused

if TYPE_CHECKING:
    import random

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """A key's value and revision (Raft index of the entry that wrote it: the token for ``cas``)."""

    value: str
    revision: int


def address_of(nodes: Any, name: str) -> str:
    """Where the node of this name listens, by the answer of ``/nodes``; raises ``MembershipRefused``."""
    address = find_rest(nodes, name)
    if address is None:
        raise MembershipRefused(f"No node is called {name!r}; nothing was changed. See: dkv nodes")
    return address


class Session:
    """Makes operations and learns from their ends. Not thread-safe: its owner serialises the calls."""

    def __init__(
        self,
        addresses: str | Iterable[str],
        *,
        timeout_s: float,
        level: str,
        retry: Retry | None,
        read_your_writes: bool,
        idempotent: bool,
        history: History | None,
        process: int,
        clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        if timeout_s <= 0:
            raise ValueError(f"timeout must be above 0 seconds, not {timeout_s}")
        self.nodes = Nodes(addresses.split(",") if isinstance(addresses, str) else addresses, rng)
        self.process = process
        self.index = 0
        self._timeout_s = timeout_s
        self._level = level
        self._retry = retry or Retry()
        self._read_your_writes = read_your_writes
        self._idempotent = idempotent
        self._history = history
        self._clock = clock
        self._rng = rng

    def get(self, key: str, level: str | None) -> Call[Answer]:
        """As ``calls.get``, at the session's level and, if asked for, not behind what it has seen."""
        return self._up_to_date(calls.get(key, level or self._level))

    def put(self, key: str, value: str, cas: int | None, ttl: float | None, idempotent: bool | None) -> Call[Answer]:
        """As ``calls.put``, under a fresh id."""
        return calls.put(key, value, cas=cas, ttl_s=ttl, id=self._fresh_id(idempotent))

    def delete(self, key: str, cas: int | None, idempotent: bool | None) -> Call[Answer]:
        """As ``calls.delete``, under a fresh id."""
        return calls.delete(key, cas=cas, id=self._fresh_id(idempotent))

    def batch(
        self, commands: Sequence[Command], level: str | None, idempotent: bool | None
    ) -> Call[list[Answer | DkvError]]:
        """As ``calls.batch``, under a fresh id."""
        return self._up_to_date(calls.batch(commands, level or self._level, self._fresh_id(idempotent)))

    def operation(self, call: Call[T], only: str | None, timeout_s: float | None) -> Operation[T]:
        """``call`` with the session's patience, or its own. ``only``: the address of the one node to ask."""
        deadline = self._clock() + (self._timeout_s if timeout_s is None else timeout_s)
        node = None if only is None else parse_address(only)
        return Operation(call, self.nodes, self._retry, self._rng, deadline=deadline, only=node)

    def recording(self, call: Call[Any]) -> AbstractContextManager[Recording | None]:
        """The context that tells the history about ``call``, if there is a history and the call belongs into
        it.
        """
        if self._history is None or not call.f:
            return nullcontext()
        return Recording(self._history, self._clock, self.process, call)

    def observe(self, done: Done[Any]) -> None:
        """Remember how far the cluster has been seen to be."""
        revision = done.value.revision if isinstance(done.value, Answer) else 0
        self.index = max(self.index, done.index, revision)

    def _up_to_date(self, call: Call[T]) -> Call[T]:
        if not self._read_your_writes or not self.index:
            return call
        headers = {**call.request.headers, "X-DKV-Min-Index": str(self.index)}
        return replace(call, request=replace(call.request, headers=headers))

    def _fresh_id(self, idempotent: bool | None) -> str:
        wanted = self._idempotent if idempotent is None else idempotent
        return f"{self._rng.getrandbits(128):032x}" if wanted else ""
