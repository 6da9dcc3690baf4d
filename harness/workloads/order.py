"""Real time and revisions: a write that begins after another one was acknowledged gets a higher number. Pure.

A system that numbers its writes (dkv by their place in the log, etcd by its revision) tells by that what no value can:
an acknowledged write that was lost, and written over before anybody had read the key again. The next write that is
acknowledged takes a number that was given already.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from harness.history.records import Check, Validity

NAME = "revision order"


@dataclass(frozen=True, slots=True)
class Numbered:
    """A write that was acknowledged. ``node``: by whom."""

    revision: int
    key: str
    node: str
    time_s: float

    def told(self) -> str:
        return f"{self.key} at revision {self.revision} ({self.node or 'a node'}, {self.time_s:.3f} s)"


NOTHING = Numbered(0, "", "", 0.0)


@dataclass
class Order:
    """``newest``: the highest that was acknowledged. ``violation``: the first. ``clock``: the run's."""

    clock: Callable[[], float] = lambda: 0.0
    newest: Numbered = NOTHING
    violation: Check | None = None
    writes: int = field(default=0, init=False)

    def acknowledged(self, before: Numbered, key: str, revision: int, node: str | None) -> None:
        """``before``: what was ``newest`` when this write began."""
        self.writes += 1
        write = Numbered(revision, key, node or "", self.clock())
        if self.violation is None and revision <= before.revision:
            self.violation = Check(
                name=NAME,
                validity=Validity.INVALID,
                sentence=f"a write of {write.told()} began after one of {before.told()} had been acknowledged: "
                "revisions went back, so what was acknowledged is gone",
                key=key,
                time_s=write.time_s,
            )
        if revision > self.newest.revision:
            self.newest = write

    def check(self) -> Check:
        """Of all writes so far."""
        return self.violation or Check(name=NAME, validity=Validity.VALID, detail={"writes": self.writes})
