"""The blocking client: threads (or greenlets) may share one.

A thin shell: ``core.Operation`` decides, this file sends, waits and asks again.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, TypeVar

from dkv.client import calls
from dkv.client.calls import CHANGE_TIMEOUT_S, Call, Command
from dkv.client.connection import Pool
from dkv.client.core import Done, Event, Raise, Retry, Send
from dkv.client.history import History
from dkv.client.protocol import Answer
from dkv.client.session import Row, Session, address_of
from dkv.errors import DkvError

T = TypeVar("T")


class Client:
    """A cluster's keys. ``nodes``: addresses of any of its nodes (``"host:port,host:port"`` or a list).

    ``timeout``: seconds for a whole operation with all its retries (changes of the cluster have their own).
    ``level``: of reads, unless a call says otherwise. ``session``: reads see at least what this client has
    written and read before, at any level. ``idempotent``: give each mutation an id, so that it can safely be
    sent again. ``history``: told of each data operation, as done by ``process`` at times of ``clock``. Errors
    are those of ``dkv.errors``; a mutation whose end nobody knows raises ``UnknownOutcome``, every other error
    of a mutation means that it was not applied.

    >>> with Client("127.0.0.1:30001") as client:  # doctest: +SKIP
    ...     client.set("greeting", "hello")
    ...     client.get("greeting")
    """

    def __init__(
        self,
        nodes: str | Iterable[str],
        timeout: float = 5.0,
        level: str = "linearizable",
        retry: Retry | None = None,
        history: History | None = None,
        *,
        session: bool = False,
        idempotent: bool = True,
        process: int = 0,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self._session = Session(
            nodes,
            timeout_s=timeout,
            level=level,
            retry=retry,
            read_your_writes=session,
            idempotent=idempotent,
            history=history,
            process=process,
            clock=clock,
            # The system's source: forked copies of a client must never draw the same ids.
            rng=rng or random.SystemRandom(),
        )
        self._clock = clock
        self._pool = Pool()
        self._lock = threading.Lock()

    def get(self, key: str, level: str | None = None) -> str | None:
        """The key's value, None if it has none."""
        row = self.get_row(key, level)
        return None if row is None else row.value

    def get_row(self, key: str, level: str | None = None) -> Row | None:
        """The key's value and revision, None if it has none."""
        answer = self._run(self._session.get(key, level))
        return Row(answer.val, answer.revision) if answer.found and answer.val is not None else None

    def set(
        self,
        key: str,
        value: str,
        *,
        cas: int | None = None,
        ttl: float | None = None,
        idempotent: bool | None = None,
    ) -> int:
        """Write; returns the new revision. ``cas``: only at this revision, 0: only if absent, else
        ``CasMismatch``.

        ``ttl``: seconds after which the key is gone.
        """
        return self._run(self._session.put(key, value, cas, ttl, idempotent)).revision

    def delete(self, key: str, *, cas: int | None = None, idempotent: bool | None = None) -> bool:
        """Delete; returns whether the key was there."""
        return self._run(self._session.delete(key, cas, idempotent)).found

    def batch(
        self, commands: Sequence[Command], level: str | None = None, *, idempotent: bool | None = None
    ) -> list[Answer | DkvError]:
        """Commands (``{"cmd": "set", "key": …, "val": …}``) in one Raft entry; each one's answer, or its
        error.
        """
        return self._run(self._session.batch(commands, level, idempotent))

    def status(self, node: str | None = None) -> dict[str, Any]:
        """``/status`` of the node at this address, or of any."""
        return self._run(calls.status(), node)

    def nodes(self) -> Any:
        """``/nodes``: members and voters, as one node sees them."""
        return self._run(calls.nodes())

    def leader(self) -> dict[str, Any]:
        """``/leader``: who leads, as one node sees it."""
        return self._run(calls.leader())

    def hashkv(self, node: str) -> dict[str, Any]:
        """Applied index and digest of the node at this address: equal index must mean equal digest."""
        return self._run(calls.hashkv(), node)

    def leave(self, name: str, *, timeout: float = CHANGE_TIMEOUT_S) -> Any:
        """Let the node of this name leave in order; it must be alive."""
        address = address_of(self.nodes(), name)
        return self._run(calls.leave(), address, timeout)

    def remove(self, name: str, *, timeout: float = CHANGE_TIMEOUT_S) -> Any:
        """Take the node of this name, dead or alive, out of the cluster."""
        return self._run(calls.remove(name), None, timeout)

    def transfer(self, name: str | None = None, *, timeout: float = CHANGE_TIMEOUT_S) -> Any:
        """Hand the leadership to the node of this name, or to the one that is furthest."""
        return self._run(calls.transfer(name), None, timeout)

    @property
    def process(self) -> int:
        """Who acts, in the history. After an ``info`` Jepsen's rule is to go on as somebody new."""
        return self._session.process

    @process.setter
    def process(self, process: int) -> None:
        self._session.process = process

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._pool.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, call: Call[T], only: str | None = None, timeout_s: float | None = None) -> T:
        with self._session.recording(call) as recording:
            done = self._drive(call, only, timeout_s)
            if recording is not None:
                recording.ok(done)
            return done.value

    def _drive(self, call: Call[T], only: str | None, timeout_s: float | None) -> Done[T]:
        with self._lock:
            operation = self._session.operation(call, only, timeout_s)
            step = operation.start(self._clock())
        while True:
            if isinstance(step, Done):
                with self._lock:
                    self._session.observe(step)
                return step
            if isinstance(step, Raise):
                raise step.error
            event: Event = None
            if isinstance(step, Send):
                event = self._pool.exchange(step)
            else:
                time.sleep(step.seconds)
            with self._lock:
                step = operation.advance(event, self._clock())
