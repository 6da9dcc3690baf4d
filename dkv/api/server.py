"""The HTTP server: one handler per request, on aiohttp's low-level ``web.Server``.

Law: every request that was read gets one reply in its envelope, whatever happens; a broken invariant ends the process.
Start: ``await start(host, port)``. Stop: ``drain()`` (new requests are refused), then ``await stop()``.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from itertools import count
from typing import Final

from aiohttp import web

from dkv.api.admin import AdminRoutes
from dkv.api.admission import Admission
from dkv.api.complaints import Complaints
from dkv.api.connection import Connection, Places
from dkv.api.egress import Egress
from dkv.api.envelope import Envelope
from dkv.api.exchange import FORWARDED_BY, REQUEST_ID, Exchange
from dkv.api.forwarding import Forwarder
from dkv.api.kv import KeyValueRoutes
from dkv.api.limits import REQUEST_ID_CHARS_MAX, Limits
from dkv.api.response import Response
from dkv.api.routes import Handler, Resource, Routes
from dkv.api.services import Operations, Store
from dkv.clock import Clock, MonotonicClock
from dkv.errors import (
    BadRequest,
    DkvError,
    FatalError,
    InternalError,
    MethodNotAllowed,
    NotLeader,
    StartupError,
    Timeout,
)
from dkv.metrics import Metrics

LINGERING_S: Final = 2.0
"""How long what is left of a refused body is read and dropped, so that the client gets to see the refusal."""

BACKLOG: Final = 1024
"""Connections that wait to be accepted: as many as may have a request in flight."""

SHUTDOWN_S: Final = 0.5
"""For the last replies to leave; aiohttp waits twice this for a connection that is stuck."""

_REQUEST_ID: Final = re.compile(rf"[!-~]{{1,{REQUEST_ID_CHARS_MAX}}}", re.ASCII)
_LOOKING: Final = frozenset({"GET", "HEAD"})
_logger = logging.getLogger("dkv.api")


class OnFollower(StrEnum):
    """What a follower does with a write: send the client to the leader, or ask the leader itself."""

    REDIRECT = "redirect"
    FORWARD = "forward"


class ApiServer:
    """A node's HTTP edge. ``on_fatal`` is told of a broken invariant and ends the process."""

    def __init__(
        self,
        store: Store,
        operations: Operations,
        metrics: Metrics,
        *,
        on_fatal: Callable[[BaseException], None],
        on_follower: OnFollower = OnFollower.REDIRECT,
        limits: Limits | None = None,
        clock: Clock | None = None,
        egress: Egress | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._clock = clock or MonotonicClock()
        self._store = store
        self._operations = operations
        self._on_fatal = on_fatal
        self._on_follower = on_follower
        self._admission = Admission(self._limits)
        self._envelope = Envelope(store.view, self._limits.write_timeout_s)
        self._forwarder = Forwarder(self._clock, self._limits.write_timeout_s, egress or Egress())
        self._complaints = Complaints()
        self._drained = asyncio.Event()
        self._request_ids = count(1)
        self._request_prefix = secrets.token_hex(4)
        self._routes = Routes(self._resources(metrics), metrics)
        self._server: web.Server | None = None
        self._listener: asyncio.Server | None = None
        metrics.watch_in_flight(lambda: self._admission.in_flight)

    def _resources(self, metrics: Metrics) -> list[Resource]:
        kv = KeyValueRoutes(self._store, self._envelope, self._limits)
        admin = AdminRoutes(self._operations, self._envelope, self._admission, self._limits, metrics)
        root = Resource("/", {"POST": kv.command, "GET": admin.greeting})
        return [root, kv.resource(), *admin.resources()]

    # Life

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port (a free one if ``port`` is 0). Raises ``StartupError`` if that is not possible."""
        loop = asyncio.get_running_loop()
        places = Places(self._limits.connections_max)
        server = self._server = web.Server(self._handle, access_log=None)

        def connection() -> Connection:
            return Connection(
                server,
                places=places,
                on_malformed=self._malformed,
                loop=loop,
                access_log=None,
                logger=_logger,
                keepalive_timeout=self._limits.keepalive_timeout_s,
                lingering_time=LINGERING_S,
                auto_decompress=False,
            )

        try:
            self._listener = await loop.create_server(connection, host, port, backlog=BACKLOG)
        except OSError as error:
            raise StartupError(f"Cannot listen for HTTP on {host}:{port}: {error.strerror or error}.") from None
        bound: int = self._listener.sockets[0].getsockname()[1]
        return bound

    def drain(self) -> None:
        """From now on refuse what is new (503, ``/readyz`` too); what is in flight goes on."""
        self._admission.draining = True

    async def stop(self) -> None:
        """Wait for what is in flight (bounded), then close everything."""
        self.drain()
        if self._admission.in_flight:
            with suppress(TimeoutError):  # those that are left are cut off: their clients do not know the outcome
                async with asyncio.timeout(self._limits.drain_timeout_s):
                    await self._drained.wait()
        if self._listener is not None:
            self._listener.close()
        if self._server is not None:
            self._server.pre_shutdown()
            await self._server.shutdown(timeout=SHUTDOWN_S)
        await self._forwarder.close()

    # Requests

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        exchange = self._exchange(request)
        response = await self._answer(exchange)
        if self._admission.draining:
            response.force_close()
        now = self._clock.now()
        duration_s = now - exchange.started
        exchange.meter.observe(exchange.method, response.status, duration_s)
        if response.status >= 500 or duration_s > self._limits.slow_request_s:
            self._complain(exchange, response, now)
        return response

    async def _answer(self, exchange: Exchange) -> Response:
        try:
            return await self._serve(exchange)
        except DkvError as error:
            return self._envelope.error(exchange, error)
        except (FatalError, AssertionError) as error:
            _logger.critical("broken invariant", exc_info=error, extra={"request_id": exchange.request_id})
            self._on_fatal(error)
            return self._envelope.error(exchange, InternalError("This node found itself broken, and stops."))
        except ConnectionError:  # the client went away in the middle of its body: nobody will read this
            return self._envelope.error(exchange, BadRequest("The connection was closed."))
        except TimeoutError:
            return self._envelope.error(exchange, Timeout("The request took too long."))
        except Exception as error:  # the border: a bug becomes a 500 with its traceback in the log
            return self._bug(exchange, error)

    async def _serve(self, exchange: Exchange) -> Response:
        route = self._routes.find(exchange)
        exchange.meter = route.meter
        handler = route.handlers.get(exchange.method)
        if handler is None:
            error = MethodNotAllowed(f"{route.template} has no {exchange.method[:20]}; it has {route.allow}.")
            return self._envelope.error(exchange, error, extra=f"Allow: {route.allow}\r\n")
        if route.always and exchange.method in _LOOKING:
            return await handler(exchange)
        self._admission.enter()
        try:
            return await self._lead_or_forward(exchange, handler)
        finally:
            self._admission.leave(exchange.reserved_bytes)
            if self._admission.draining and not self._admission.in_flight:
                self._drained.set()

    async def _lead_or_forward(self, exchange: Exchange, handler: Handler) -> Response:
        try:
            return await handler(exchange)
        except NotLeader as error:
            node = self._store.view().node
            if error.leader is None or error.leader.id == node or not self._forwards(exchange):
                raise
            deadline = exchange.deadline(self._limits.request_timeout_s)
            return await self._forwarder.forward(exchange, error.leader, node, deadline)

    def _forwards(self, exchange: Exchange) -> bool:
        """Once at most: what another node forwarded is answered with a redirect instead."""
        if exchange.header(FORWARDED_BY) is not None:
            return False
        if "forward" in exchange.parameters:
            return exchange.flag("forward")
        return self._on_follower is OnFollower.FORWARD and exchange.forwardable

    # What is not quite a request

    def _exchange(self, request: web.BaseRequest) -> Exchange:
        request_id = request.headers.get(REQUEST_ID)
        if request_id is None or _REQUEST_ID.fullmatch(request_id) is None:
            request_id = f"{self._request_prefix}-{next(self._request_ids):x}"
        unmatched = self._routes.unmatched
        return Exchange(request, request_id, self._clock.now(), self._limits, self._admission, unmatched)

    def _malformed(self, request: web.BaseRequest, reason: str) -> web.StreamResponse:
        exchange = self._exchange(request)
        error = BadRequest(f"This is no HTTP request that can be understood: {reason.splitlines()[0][:200]!r}.")
        exchange.meter.observe(exchange.method, error.status, 0.0)
        response = self._envelope.error(exchange, error)
        response.force_close()
        return response

    def _bug(self, exchange: Exchange, error: Exception) -> Response:
        now = self._clock.now()
        self._complaints.note(
            now, logging.ERROR, "internal error", error, request_id=exchange.request_id, route=exchange.meter.template
        )
        message = "This node met an error of its own; its log has the details under this request_id."
        return self._envelope.error(exchange, InternalError(message))

    def _complain(self, exchange: Exchange, response: Response, now: float) -> None:
        self._complaints.note(
            now,
            logging.WARNING,
            "request failed" if response.status >= 500 else "slow request",
            route=exchange.meter.template,
            method=exchange.method,
            status=response.status,
            duration_s=round(now - exchange.started, 4),
            request_id=exchange.request_id,
        )
