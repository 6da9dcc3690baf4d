"""The HTTP server: every connection begins in the fast lane (``dkv.api.lane``) and is aiohttp's from its first request
on that is not hot, served by one handler per request on aiohttp's low-level ``web.Server``.

Start: ``await start(host, port)``. Stop: ``drain()`` (new requests are refused), then ``await stop()``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from aiohttp import web

from dkv.api.admin import AdminRoutes
from dkv.api.connection import Connection, Places
from dkv.api.egress import Egress
from dkv.api.envelope import Envelope
from dkv.api.exchange import REQUEST_ID, Exchange, StreamedExchange
from dkv.api.forwarding import Forwarder
from dkv.api.handling import Handling, OnFollower
from dkv.api.hot import HotRoutes
from dkv.api.kv import KeyValueRoutes
from dkv.api.lane import Lanes
from dkv.api.limits import Limits
from dkv.api.plans import COMMAND_TARGET
from dkv.api.response import Response
from dkv.api.routes import Handler, Resource, Routes
from dkv.api.sending import Sending
from dkv.api.services import Operations, Store
from dkv.clock import Clock, MonotonicClock
from dkv.errors import BadRequest, MethodNotAllowed, NotLeader, StartupError
from dkv.metrics import Metrics

LINGERING_S: Final = 2.0
"""How long what is left of a refused body is read and dropped, so that the client gets to see the refusal."""

BACKLOG: Final = 1024
"""Connections that wait to be accepted: as many as may have a request in flight."""

SHUTDOWN_S: Final = 0.5
"""For the last replies to leave; aiohttp waits twice this for a connection that is stuck."""

_LOOKING: Final = frozenset({"GET", "HEAD"})
_logger = logging.getLogger("dkv.api")


class ApiServer:
    """A node's HTTP edge. ``on_fatal`` is told of a broken invariant and ends the process. ``fast_lane`` False: aiohttp
    serves everything, which is what tests compare the lane with."""

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
        fast_lane: bool = True,
    ) -> None:
        self._limits = limits or Limits()
        self._clock = clock or MonotonicClock()
        self._store = store
        self._operations = operations
        self._envelope = Envelope(store.view)
        self._handling = Handling(self._envelope, self._limits, self._clock, on_fatal=on_fatal, on_follower=on_follower)
        self._admission = self._handling.admission
        self._forwarder = Forwarder(self._clock, egress or Egress())
        self._kv = KeyValueRoutes(store, self._envelope, self._limits)
        self._routes = Routes(self._resources(metrics), metrics)
        self._hot = HotRoutes(self._kv, self._handling, store, metrics, self._clock) if fast_lane else None
        self._lanes: Lanes | None = None
        self._server: web.Server | None = None
        self._listener: asyncio.Server | None = None
        metrics.watch_in_flight(lambda: self._admission.in_flight)

    def _resources(self, metrics: Metrics) -> list[Resource]:
        admin = AdminRoutes(self._operations, self._envelope, self._admission, self._limits, metrics)
        root = Resource(COMMAND_TARGET, {"POST": self._kv.command, "GET": admin.greeting})
        return [root, self._kv.resource(), *admin.resources()]

    # Life

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port (a free one if ``port`` is 0). Raises ``StartupError`` if that is not possible."""
        loop = asyncio.get_running_loop()
        places = Places(self._limits.connections_max)
        server = self._server = web.Server(self._handle, access_log=None)

        def full() -> Connection:
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

        lanes = self._lanes = Lanes(self._hot, places, self._limits, loop, full)
        try:
            self._listener = await loop.create_server(lanes.lane, host, port, backlog=BACKLOG)
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
                    await self._handling.drained.wait()
        if self._listener is not None:
            self._listener.close()
        if self._lanes is not None:
            self._lanes.close()
        if self._server is not None:
            self._server.pre_shutdown()
            await self._server.shutdown(timeout=SHUTDOWN_S)
        await self._forwarder.close()

    # Requests

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        exchange = self._exchange(request)
        try:
            response = await self._serve(exchange)
        except Exception as error:  # the border: a bug becomes a 500 with its traceback in the log
            response = self._handling.explain(exchange, error)
        return Sending(self._handling.finish(exchange, response), self._limits.write_timeout_s)

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
            self._handling.leave(exchange)

    async def _lead_or_forward(self, exchange: Exchange, handler: Handler) -> Response:
        try:
            return await handler(exchange)
        except NotLeader as error:
            node = self._store.view().node
            if error.leader is None or not self._handling.forwards(exchange, error, node):
                raise
            deadline = exchange.deadline(self._limits.request_timeout_s)
            return await self._forwarder.forward(exchange, error.leader, node, deadline)

    # What is not quite a request

    def _exchange(self, request: web.BaseRequest) -> Exchange:
        request_id = self._handling.request_id(request.headers.get(REQUEST_ID))
        unmatched = self._routes.unmatched
        return StreamedExchange(request, request_id, self._clock.now(), self._limits, self._admission, unmatched)

    def _malformed(self, request: web.BaseRequest, reason: str) -> web.StreamResponse:
        exchange = self._exchange(request)
        error = BadRequest(f"This is no HTTP request that can be understood: {reason.splitlines()[0][:200]!r}.")
        exchange.meter.observe(exchange.method, error.status, 0.0)
        response = self._envelope.error(exchange, error)
        response.closes = True
        return Sending(response, self._limits.write_timeout_s)
