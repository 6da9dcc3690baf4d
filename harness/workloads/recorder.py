"""The history as it happens: one clock, process numbers, and everybody who wants to hear of events.

Law: an invoke is told before anything is sent, an end after the answer came; a process does one thing at a time and is
never heard of again after an ``info``.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.history.events import Event, EventType
from harness.systems.base import Record


@dataclass
class Recorder:
    """``clock``: seconds since the run's start. ``listeners`` get every event, in order."""

    clock: Callable[[], float]
    listeners: Sequence[Record]
    counts: Counter[EventType] = field(default_factory=Counter)
    latencies_s: dict[str, list[float]] = field(default_factory=dict)
    processes: itertools.count[int] = field(default_factory=itertools.count)

    def actor(self) -> Actor:
        """A client of the history, under a number that nobody had."""
        return Actor(self, next(self.processes))

    def tell(self, event: Event) -> None:
        self.counts[event.type] += 1
        for listener in self.listeners:
            listener(event)


class Actor:
    """Who acts, under a process number; after an unknown outcome under a new one."""

    def __init__(self, recorder: Recorder, process: int) -> None:
        self._recorder, self.process = recorder, process
        self._began_s = 0.0

    def invoke(self, f: str, key: str, value: Any) -> None:
        self._began_s = self._recorder.clock()
        self._recorder.tell(
            Event(process=self.process, type=EventType.INVOKE, f=f, key=key, value=value, time_s=self._began_s)
        )

    def end(
        self, type: EventType, f: str, key: str, value: Any, node: str | None, error: str | None = None
    ) -> EventType:
        """What became of it; returns ``type``."""
        now = self._recorder.clock()
        self._recorder.tell(
            Event(process=self.process, type=type, f=f, key=key, value=value, time_s=now, node=node, error=error)
        )
        if type is EventType.OK:
            self._recorder.latencies_s.setdefault(f, []).append(now - self._began_s)
        elif type is EventType.INFO:
            self.process = next(self._recorder.processes)
        return type
