"""What the HTTP edge asks of the node behind it; ``dkv.router``, ``dkv.membership`` and ``dkv.node`` provide it.

Every method may raise the errors of ``dkv.errors``; no other exception is expected from them. A ``deadline`` is in the
clock's time (``time.monotonic``); whoever is given one answers or raises ``Timeout`` by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from dkv.errors import LeaderHint
from dkv.joining import JoinAnswer, JoinRequest
from dkv.kv.commands import Command, Result
from dkv.levels import Level
from dkv.raft.contracts import Ticket
from dkv.views import ReadReply, View


class Store(Protocol):
    """Keys and values, wherever they live."""

    def view(self) -> View:
        """Cheap: called for each reply."""
        ...

    async def write(self, commands: Sequence[Command], *, deadline: float) -> list[Result]:
        """In order, in one entry of the log. One result a command."""
        ...

    async def read(
        self,
        keys: Sequence[str],
        level: Level,
        *,
        deadline: float,
        min_index: int = 0,
        freshness_s: float | None = None,
    ) -> ReadReply:
        """All keys as of one state whose index is at least ``min_index``.

        ``freshness_s``: with ``Level.NONE``, how old this node's last word from the leader may be.
        """
        ...

    def begin_write(self, commands: Sequence[Command], ticket: Ticket, *, deadline: float) -> object:
        """``write`` without a coroutine: the ticket hears of the results. Raises what is refused at once."""
        ...

    def begin_read(
        self,
        keys: Sequence[str],
        level: Level,
        ticket: Ticket,
        *,
        deadline: float,
        min_index: int = 0,
        freshness_s: float | None = None,
    ) -> object:
        """``read`` without a coroutine; the ticket may hear before this returns. Raises what is refused at once."""
        ...


class Operations(Protocol):
    """The node and its cluster, for people and their tools."""

    def status(self) -> dict[str, Any]: ...
    def nodes(self) -> dict[str, Any]: ...
    def leader(self) -> LeaderHint | None: ...
    def hashkv(self) -> dict[str, Any]:
        """At least ``index`` and ``digest``: equal index must mean equal digest on all nodes."""
        ...

    async def readiness(self, deadline: float) -> dict[str, str]:
        """Name of a check → "ok", or the reason why not."""
        ...

    async def transfer(self, target: str | None, deadline: float) -> LeaderHint: ...
    async def join(self, request: JoinRequest, deadline: float) -> JoinAnswer: ...
    async def leave(self, deadline: float) -> None:
        """This node leaves the cluster."""
        ...

    async def remove(self, name: str, deadline: float) -> None: ...
