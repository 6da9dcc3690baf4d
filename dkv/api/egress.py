"""How this node's own requests to other nodes leave it: from which address, and whether they get through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Egress:
    """``source``: the address to dial from, None for whichever the kernel takes.

    ``passage(rest)`` returns once the node at that REST address can be reached; None: nothing is in the way.
    """

    source: tuple[str, int] | None = None
    passage: Callable[[str], Awaitable[None]] | None = None

    async def through(self, rest: str) -> None:
        """Before a request and before its answer: a way that is cut is waited for, within the request's deadline."""
        if self.passage is not None:
            await self.passage(rest)
