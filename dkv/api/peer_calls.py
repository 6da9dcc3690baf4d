"""A node's own requests to another node's REST API: to join, and to be let go.

Law: an answer that is no success comes back as the error that it names; what may have been read and was not answered
is ``unknown``.
"""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from dkv.api.egress import Egress
from dkv.api.exchange import TIMEOUT
from dkv.clock import Clock
from dkv.errors import BY_CODE, DkvError, InternalError, LeaderHint, Outcome, Timeout, UnknownOutcome, Unreachable

CALL_S_MIN = 0.05
"""Less than this is not worth a connection."""


class _Refusal(msgspec.Struct):
    """What every reply but a success says (CONTRACT §1)."""

    error: str
    code: str
    outcome: Outcome
    leader: LeaderHint | None = None


class PeerCalls:
    """One connection pool, made on first use; ``close`` it."""

    def __init__(self, clock: Clock, egress: Egress) -> None:
        self._clock, self._egress = clock, egress
        self._session: aiohttp.ClientSession | None = None

    async def call(self, rest: str, method: str, path: str, body: Any, deadline: float) -> Any:
        """``body`` and the reply are JSON; ``rest`` is ``host:port``. Raises ``DkvError``."""
        remaining_s = max(CALL_S_MIN, deadline - self._clock.now())
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(local_addr=self._egress.source),
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=False,
            )
        data = None if body is None else msgspec.json.encode(body)
        headers = {TIMEOUT: f"{remaining_s:.3f}", "Content-Type": "application/json"}
        try:
            async with asyncio.timeout(remaining_s):
                await self._egress.through(rest)
                async with self._session.request(
                    method, URL(f"http://{rest}{path}"), data=data, headers=headers, allow_redirects=False
                ) as reply:
                    content = await reply.read()
                    await self._egress.through(rest)
                    return _understood(rest, reply.status, content)
        except TimeoutError:
            raise Timeout(f"{rest} did not answer {method} {path} in time.") from None
        except aiohttp.ClientConnectorError as error:
            raise Unreachable(f"{rest} cannot be reached: {error.os_error}.") from None
        except aiohttp.ClientError as error:
            raise UnknownOutcome(f"The connection to {rest} was cut ({type(error).__name__}).") from None

    async def close(self) -> None:
        """Drop all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _understood(rest: str, status: int, content: bytes) -> Any:
    try:
        if status < 300:
            return msgspec.json.decode(content)
        refusal = msgspec.json.decode(content, type=_Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InternalError(f"{rest} answered {status} with something that is no reply of dkv.") from None
    kind: type[DkvError] = BY_CODE.get(refusal.code, InternalError)
    raise kind(refusal.error, outcome=refusal.outcome, leader=refusal.leader)
