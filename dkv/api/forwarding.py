"""A write at a follower, proxied once to the leader (``?forward=1``, or ``--on-follower forward``).

Law: a request is sent at most once, at most one hop, within its deadline. Refused before it was sent: ``not_applied``;
cut or late after: ``unknown``. aiohttp would by itself send a PUT again when a kept connection was cut; a middleware
turns that cut into an error of ours before it can.
"""

from __future__ import annotations

import asyncio
import io
from typing import Final

import aiohttp
from yarl import URL

from dkv.api.egress import Egress
from dkv.api.exchange import (
    CONTENT_TYPE,
    FORWARDED_BY,
    IDEMPOTENCY_KEY,
    MIN_INDEX,
    REQUEST_ID,
    TIMEOUT,
    Exchange,
)
from dkv.api.limits import TIMEOUT_S_MAX, TIMEOUT_S_MIN
from dkv.api.response import JSON, Response
from dkv.clock import Clock
from dkv.errors import LeaderHint, LeadershipLost, NoLeader, Outcome, Timeout

CONNECTIONS_MAX: Final = 256
"""To the leader; requests beyond wait for one, within their deadline."""

IDLE_S: Final = 15.0
"""A kept connection is dropped long before the leader would (75 s), so that none is used while it is being closed."""

REPLY_MARGIN_S: Final = 0.05
"""The leader is given this much less time, so that its own, better, error arrives before ours."""

_PASSED_ON: Final = (CONTENT_TYPE, IDEMPOTENCY_KEY, MIN_INDEX)
_PASSED_BACK: Final = (
    "X-DKV-Node",
    "X-DKV-Leader",
    "X-DKV-Term",
    "X-DKV-Index",
    "X-DKV-Revision",
    "X-DKV-Effective-Level",
    "X-Request-Id",
    "Retry-After",
    "Location",
)


class _CutAfterSending(Exception):
    """The connection ended when the request may already have been read."""


class Forwarder:
    """One pool of connections, made on first use; ``close`` it."""

    def __init__(self, clock: Clock, egress: Egress) -> None:
        self._clock, self._egress = clock, egress
        self._session: aiohttp.ClientSession | None = None

    async def forward(self, exchange: Exchange, leader: LeaderHint, node: str, deadline: float) -> Response:
        """The leader's reply, as it is. Raises ``NoLeader``, ``LeadershipLost`` or ``Timeout``."""
        remaining_s = deadline - self._clock.now()
        if remaining_s <= TIMEOUT_S_MIN:
            raise Timeout(
                "No time was left to ask the leader. Nothing was sent.",
                outcome=Outcome.NOT_APPLIED,
                leader=leader,
            )
        body = await exchange.body()
        try:
            async with asyncio.timeout(remaining_s):
                return await self._proxy(exchange, leader, node, body, remaining_s)
        except TimeoutError:
            raise Timeout(
                f"Leader {leader.id} did not answer in time; the request may take effect yet.", leader=leader
            ) from None
        except _CutAfterSending as error:
            raise LeadershipLost(
                f"The connection to leader {leader.id} was cut after the request was sent ({error}); "
                "it may have taken effect. Read the key before you send it again.",
                leader=leader,
            ) from None
        except aiohttp.ClientConnectorError as error:
            raise NoLeader(
                f"Leader {leader.id} at {leader.rest} cannot be reached ({error.os_error}). Nothing was sent; "
                "ask again in a moment.",
                leader=leader,
            ) from None

    async def close(self) -> None:
        """Drop all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _proxy(
        self, exchange: Exchange, leader: LeaderHint, node: str, body: bytes, remaining_s: float
    ) -> Response:
        if self._session is None:
            self._session = _session(self._egress.source)
        leader_s = min(TIMEOUT_S_MAX, max(TIMEOUT_S_MIN, remaining_s - REPLY_MARGIN_S))
        headers = {name: text for name in _PASSED_ON if (text := exchange.header(name)) is not None}
        headers |= {FORWARDED_BY: node, REQUEST_ID: exchange.request_id, TIMEOUT: f"{leader_s:.3f}"}
        url = URL(f"http://{leader.rest}{exchange.target}", encoded=True)
        await self._egress.through(leader.rest)
        async with self._session.request(
            exchange.method, url, data=io.BytesIO(body), headers=headers, allow_redirects=False
        ) as answer:
            try:
                content = await answer.read()
            except aiohttp.ClientError as error:
                raise _CutAfterSending(type(error).__name__) from None
        await self._egress.through(leader.rest)
        return self._passed_back(answer, content)

    def _passed_back(self, answer: aiohttp.ClientResponse, content: bytes) -> Response:
        lines = [f"Content-Type: {answer.headers.get(CONTENT_TYPE, JSON)}", f"Content-Length: {len(content)}"]
        lines += [f"{name}: {answer.headers[name]}" for name in _PASSED_BACK if name in answer.headers]
        head = "".join(f"{line}\r\n" for line in lines)
        return Response(answer.status, head, content)


def _session(source: tuple[str, int] | None) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX, keepalive_timeout=IDLE_S, local_addr=source),
        timeout=aiohttp.ClientTimeout(total=None),  # each request has its own, from its deadline
        middlewares=(_send_once,),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


async def _send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise  # nothing was sent
    except aiohttp.ClientError as error:
        raise _CutAfterSending(type(error).__name__) from None
