"""Clients at work, as users have them: threads with ``dkv.client.Client`` over all nodes, everything recorded.

Each writer has a key of its own, which it writes under the condition of the revision that it knows: a write that were
lost, or done twice, would be refused. Beside it all write a few shared keys without a condition, and readers read
everything, linearizably, at any node. After an unknown outcome a writer goes on as somebody new, with a new key
(Jepsen's rule): so a client's own key ends at its last acknowledged value, or at a later one that was attempted.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType

from dkv.client import CasMismatch, Client, DkvError, Event, EventType, Outcome

SHARED = tuple(f"shared/{number}" for number in range(6))
SHARED_SHARE = 0.4
"""Of a writer's writes."""
PACE_S = 0.004
"""Between two operations of a thread: the clients share the processor with the nodes that they watch."""
END_S = 30.0
"""For a thread to end: longer than any one operation."""


class Load:
    """As a context: the clients work while inside. ``events``: what they did, for ``verdict.judge``."""

    def __init__(self, addresses: Sequence[str], *, writers: int = 4, readers: int = 2, pace_s: float = PACE_S) -> None:
        self.events: list[Event] = []
        self.writers = writers
        self._addresses = tuple(addresses)
        self._pace_s = pace_s
        self._processes = itertools.count()
        self._writing: dict[int, int] = {}
        self._own: list[str] = []
        self._ending = threading.Event()
        self._failures: list[BaseException] = []
        bodies = [self._write] * writers + [self._read] * readers
        self._threads = [
            threading.Thread(target=self._guarded, args=(body, number)) for number, body in enumerate(bodies)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(END_S)
        assert not any(thread.is_alive() for thread in self._threads), "a client does not end"
        assert not self._failures, self._failures

    @property
    def keys(self) -> list[str]:
        """Every key that anybody may have written."""
        return [*SHARED, *self._own]

    def writer(self, process: int) -> int:
        """Which of the writers, from 0 on, acted as this process."""
        return self._writing[process]

    def acknowledged(self, since_s: float, not_by: str = "") -> list[Event]:
        """Writes that a node other than ``not_by`` acknowledged after ``since_s`` (``time.monotonic``), in order."""
        found = []
        for event in reversed(self.events):
            if event.time_s < since_s - 1.0:  # threads append a moment after they looked at the clock
                break
            if event.type is EventType.OK and event.f == "set" and event.time_s >= since_s and event.node != not_by:
                found.append(event)
        return sorted(found, key=lambda event: event.time_s)

    def wait_progress(
        self, since_s: float, patience_s: float, not_by: str = "", *, by_all: bool = False
    ) -> list[Event]:
        """Until a write, or one of every writer, was acknowledged after ``since_s``; those writes."""
        give_up = time.monotonic() + patience_s
        while True:
            found = self.acknowledged(since_s, not_by)
            if len({self.writer(event.process) for event in found}) >= (self.writers if by_all else 1):
                return found
            assert time.monotonic() < give_up, f"no writes are acknowledged for {patience_s} s: {self.events[-5:]}"
            time.sleep(0.002)

    def client(self, addresses: Sequence[str] | None = None, timeout_s: float = 5.0) -> Client:
        """One more client whose deeds are recorded; for one thread."""
        return Client(
            addresses or self._addresses, timeout_s, history=self.events.append, process=next(self._processes)
        )

    def _guarded(self, body: Callable[[int, Client], None], number: int) -> None:
        try:
            with self.client() as client:
                body(number, client)
        except BaseException as error:
            self._failures.append(error)
            raise

    def _write(self, number: int, client: Client) -> None:
        rng = random.Random(number)
        key, revision = self._become(number, client)
        for count in itertools.count():
            if self._ending.wait(self._pace_s):
                return
            value = f"{client.process}-{count}"
            try:
                if rng.random() < SHARED_SHARE:
                    client.set(rng.choice(SHARED), value)
                else:
                    revision = client.set(key, value, cas=revision)
            except DkvError as error:
                if error.outcome is Outcome.UNKNOWN or isinstance(error, CasMismatch):
                    client.process = next(self._processes)
                    key, revision = self._become(number, client)

    def _become(self, number: int, client: Client) -> tuple[str, int]:
        """The key of this process, which nobody has written yet."""
        self._writing[client.process] = number
        self._own.append(f"own/{client.process}")
        return self._own[-1], 0

    def _read(self, number: int, client: Client) -> None:
        rng = random.Random(number)
        while not self._ending.wait(self._pace_s):
            with suppress(DkvError):  # recorded; that it cannot be read for a while is no verdict
                client.get_row(rng.choice(self.keys))
