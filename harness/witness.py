"""Users' own clients as witnesses: what ``dkv.client`` says that it did, in the words of the history.

A cas names a revision, the checker's model a value: whoever has seen the revision has told which value it was, so a cas
on a revision that no witness ever saw cannot be judged, and is refused. Law: a process number is never used again after
an unknown outcome.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

from dkv import client as users
from dkv.client import Client
from harness.errors import UsageError
from harness.history.events import Event, EventType

WORDS = {"get": "read", "set": "write", "delete": "delete"}


class Witness:
    """``clock``: seconds, monotonic, whose zero is the history's. ``name_of``: ``host:port`` → the node's name."""

    def __init__(self, clock: Callable[[], float], origin_s: float, name_of: Callable[[str], str]) -> None:
        self._clock, self._origin_s, self._name_of = clock, origin_s, name_of
        self._processes = itertools.count()
        self._values: dict[tuple[str, int], str] = {}
        self._lock = threading.Lock()
        self.events: list[Event] = []

    def client(self, addresses: list[str], timeout_s: float) -> Client:
        """One more client, for one thread, whose reads are linearizable and whose deeds are recorded."""
        made: Client

        def hear(event: users.Event) -> None:
            self.hear(event)
            if event.type is users.EventType.INFO:
                made.process = next(self._processes)

        made = Client(addresses, timeout_s, history=hear, process=next(self._processes), clock=self._clock)
        return made

    def hear(self, told: users.Event) -> None:
        """The next event of a client, from any thread. Raises UsageError for what no model judges."""
        with self._lock:
            self.events.append(self._translated(told))

    def _translated(self, told: users.Event) -> Event:
        if told.f not in WORDS or told.key is None or (told.f == "delete" and told.cas is not None):
            raise UsageError(
                f"a {told.f} like this one cannot be judged: use get, set (also with cas) and plain delete"
            )
        f, value = WORDS[told.f], told.value
        if told.f == "set" and told.cas is not None:
            f, value = "cas", [self._expected(told.key, told.cas), told.value]
        ended_ok = told.type is users.EventType.OK
        if ended_ok and told.revision and isinstance(told.value, str):
            self._values[told.key, told.revision] = told.value
        if told.f != "set" and not ended_ok:
            value = None
        return Event(
            process=told.process,
            type=EventType(told.type),
            f=f,
            key=told.key,
            value=value,
            time_s=told.time_s - self._origin_s,
            node=None if told.node is None else self._name_of(told.node),
            error=told.error,
        )

    def _expected(self, key: str, revision: int) -> str | None:
        if revision == 0:
            return None
        if (key, revision) not in self._values:
            raise UsageError(f"a cas of {key!r} on revision {revision}, which no recorded client has seen")
        return self._values[key, revision]
