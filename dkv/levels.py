"""How fresh a read must be (CONTRACT §1): the names that users type, and their order."""

from __future__ import annotations

from enum import StrEnum


class Level(StrEnum):
    """From the cheapest promise to the dearest; ``LINEARIZABLE`` is what a reader gets who asks for nothing.

    ``NONE``: this node's state, however old. ``WEAK``: the leader's own state, unconfirmed. ``LINEARIZABLE``: at
    least what was acknowledged before the read began (Raft thesis §6.4, ReadIndex). ``STRONG``: through the log.
    """

    NONE = "none"
    WEAK = "weak"
    LINEARIZABLE = "linearizable"
    STRONG = "strong"


BY_STRENGTH: tuple[Level, ...] = (Level.NONE, Level.WEAK, Level.LINEARIZABLE, Level.STRONG)


def strongest(levels: list[Level]) -> Level:
    """The one level that keeps the promise of each of ``levels`` (not empty)."""
    return max(levels, key=BY_STRENGTH.index)
