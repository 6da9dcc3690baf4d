"""Whoever is told how a run goes on: a screen, lines, or a test."""

from __future__ import annotations

from typing import Protocol

from harness.bench.measurements import Figure, Sample


class Watch(Protocol):
    """Told of everything as soon as it is known."""

    def say(self, sentence: str) -> None:
        """Something happened that is no measurement."""
        ...

    def begin(self, what: str, left_s: float) -> None:
        """What is measured from now on, and how long the whole will still take."""
        ...

    def sample(self, sample: Sample) -> None: ...

    def figure(self, figure: Figure) -> None: ...
