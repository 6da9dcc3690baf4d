"""The client of dkv, for programs: ``Client`` (blocking), ``AsyncClient`` (asyncio), and the errors they
raise.

``AsyncClient`` is looked up when first asked for: aiohttp takes a third of a second to import, which the
blocking client and the command line need not pay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dkv.client.core import Retry
from dkv.client.history import Event, EventType, History
from dkv.client.protocol import Answer
from dkv.client.session import Row
from dkv.client.sync import Client
from dkv.errors import (
    BadRequest,
    Busy,
    CasMismatch,
    DkvError,
    IdReused,
    InternalError,
    KeyNotFound,
    LeaderHint,
    LeadershipLost,
    MembershipRefused,
    MethodNotAllowed,
    NoLeader,
    NoSpace,
    NotLeader,
    NotReady,
    Outcome,
    Overloaded,
    RouteNotFound,
    ShuttingDown,
    SlowRequest,
    Timeout,
    TooLarge,
    Unauthorized,
    UnknownOutcome,
    Unreachable,
)

if TYPE_CHECKING:
    from dkv.client.aio import AsyncClient

__all__ = [
    "Answer",
    "AsyncClient",
    "BadRequest",
    "Busy",
    "CasMismatch",
    "Client",
    "DkvError",
    "Event",
    "EventType",
    "History",
    "IdReused",
    "InternalError",
    "KeyNotFound",
    "LeaderHint",
    "LeadershipLost",
    "MembershipRefused",
    "MethodNotAllowed",
    "NoLeader",
    "NoSpace",
    "NotLeader",
    "NotReady",
    "Outcome",
    "Overloaded",
    "Retry",
    "RouteNotFound",
    "Row",
    "ShuttingDown",
    "SlowRequest",
    "Timeout",
    "TooLarge",
    "Unauthorized",
    "UnknownOutcome",
    "Unreachable",
]


def __getattr__(name: str) -> Any:
    if name != "AsyncClient":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dkv.client.aio import AsyncClient

    return AsyncClient
