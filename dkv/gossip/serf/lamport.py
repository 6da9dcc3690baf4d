"""A Lamport clock: "later than everything that I have heard of", without a wall clock. Serf has three of them.

What we say carries the present time, and is then witnessed as what others say is: the next one is later.
"""

from __future__ import annotations

from typing import Final

from dkv.gossip.wire.particulars import U64_MAX

LTIME_MAX: Final = 2**63
"""Later times are refused: a stranger who names 2^64 - 1 sets agents' clocks to 0, and would leave ours without a time
that can be sent. Honest clocks count messages; none comes near. What we say ourselves may go beyond."""


def is_plausible(ltime: int) -> bool:
    """Whether a time that a stranger names may be taken, and the one after it."""
    return ltime < LTIME_MAX


class LamportClock:
    """Begins at 1, so that 0 can mean "never"."""

    __slots__ = ("_time",)

    def __init__(self) -> None:
        self._time = 1

    @property
    def time(self) -> int:
        """What a message that is sent now would carry."""
        return self._time

    def witness(self, ltime: int) -> None:
        """Somebody, perhaps we ourselves, is at ``ltime``: we are later."""
        assert 0 <= ltime < U64_MAX, f"a Lamport time of {ltime} got past the gate"
        self._time = max(self._time, ltime + 1)
