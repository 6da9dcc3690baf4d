"""All faults of one node, as the fault port sees them: four parts, each replaced as a whole, all healed at once."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from dkv.errors import BadRequest
from dkv.faults.clock import ClockFaults
from dkv.faults.disk import DiskFaults
from dkv.faults.links import LinkFaults
from dkv.faults.points import Points
from dkv.files import OS_FILES, Files


class Faults:
    """Made once, before every organ that it is handed to."""

    def __init__(self, rng: random.Random) -> None:
        self.links = LinkFaults(rng)
        self.clock = ClockFaults()
        self.points = Points()
        self.disk = DiskFaults(self.points, rng=rng)
        self._parts: dict[str, Callable[[dict[str, Any]], None]] = {
            "links": self.links.set,
            "clock": self.clock.set,
            "disk": self.disk.set,
            "points": self.points.arm,
        }

    @property
    def parts(self) -> list[str]:
        """What ``set`` knows."""
        return list(self._parts)

    def set(self, part: str, document: Any) -> None:
        """Replace one part's faults. Raises ``BadRequest``, and nothing was changed."""
        if not isinstance(document, dict):
            raise BadRequest(f"/faults/{part} takes a JSON object. No fault was changed.")
        try:
            self._parts[part](document)
        except ValueError as error:
            raise BadRequest(f"{error}. No fault was changed.") from None

    def heal(self) -> None:
        """All of them. What links held is delivered; a clock keeps what it gained (see ``clock``)."""
        self.links.heal()
        self.clock.heal()
        self.disk.heal()
        self.points.arm({})

    def status(self) -> dict[str, Any]:
        """What is in force; ``hits``: how often each point was passed; ``effects``: see ``LinkFaults``."""
        return {
            "links": self.links.status(),
            "clock": self.clock.status(),
            "disk": self.disk.status(),
            "points": self.points.status(),
            "hits": self.points.hits(),
            "effects": self.links.effects(),
        }


def files_of(faults: Faults | None) -> Files:
    """The disk that an organ writes to: the operating system's, or a node under test's own."""
    return OS_FILES if faults is None else faults.disk.files
