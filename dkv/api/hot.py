"""The hot requests, from a parsed head to a reply, without a task: each is the ticket that the store calls back.

It asks the same plans, the same routes and the same handling as the full path does, so that only the framing differs.
"""

from __future__ import annotations

from typing import Any, Protocol

from dkv.api.exchange import REQUEST_ID, Exchange
from dkv.api.handling import Handling
from dkv.api.heads import Head
from dkv.api.kv import KeyValueRoutes
from dkv.api.plans import COMMAND_TARGET, KEY_PREFIX, Plan
from dkv.api.response import Response
from dkv.api.services import Store
from dkv.clock import Clock
from dkv.errors import DkvError
from dkv.metrics import Metrics, RouteMeter


class Asker(Protocol):
    """The connection that a hot request came by: exactly one of these is called, perhaps at once."""

    def reply(self, response: Response) -> None: ...

    def hand_over(self) -> None:
        """The request was not carried out and needs more than the lane can do: let the full path have it."""
        ...


class _HotExchange(Exchange):
    """An exchange that is its own ticket. ``content`` is there from the beginning."""

    __slots__ = ("_hot", "asker", "plan")

    plan: Plan

    def __init__(self, hot: HotRoutes, asker: Asker, head: Head, body: bytes, request_id: str, started: float) -> None:
        super().__init__(head.name, head.target, head.headers, request_id, started, hot.meter_of(head))
        self.query = head.query
        self.argument = head.argument
        self.content = body
        self.asker = asker
        self._hot = hot

    def complete(self, value: Any) -> None:
        self._hot.answer(self, value)

    def fail(self, error: DkvError) -> None:
        self._hot.refuse(self, error)


class HotRoutes:
    """Serves what ``heads`` lets through."""

    def __init__(self, kv: KeyValueRoutes, handling: Handling, store: Store, metrics: Metrics, clock: Clock) -> None:
        self._kv = kv
        self._handling = handling
        self._store = store
        self._clock = clock
        self._command_meter = metrics.route(COMMAND_TARGET)
        self._key_meter = metrics.route(f"{KEY_PREFIX}{{key}}")

    def meter_of(self, head: Head) -> RouteMeter:
        """The very one of the full path."""
        return self._command_meter if head.is_command else self._key_meter

    def serve(self, head: Head, body: bytes, asker: Asker) -> None:
        """``asker`` gets its reply, now or later. Never raises."""
        handling = self._handling
        request_id = handling.request_id(head.headers.get(REQUEST_ID))
        exchange = _HotExchange(self, asker, head, body, request_id, self._clock.now())
        try:
            handling.admission.enter()
        except DkvError as error:
            self._reply(exchange, handling.explain(exchange, error))
            return
        try:
            exchange.parse_parameters(head.method.parameters)
            exchange.plan = head.method.plan(exchange, body)
            self._kv.begin(exchange, exchange.plan, exchange)
        except Exception as error:
            self.refuse(exchange, error)

    def answer(self, exchange: _HotExchange, outcome: Any) -> None:
        """The store has spoken."""
        try:
            response = self._kv.respond(exchange, exchange.plan, outcome)
        except Exception as error:
            self.refuse(exchange, error)
        else:
            self._handling.leave(exchange)
            self._reply(exchange, response)

    def refuse(self, exchange: _HotExchange, error: Exception) -> None:
        """The store, or its answer, failed."""
        self._handling.leave(exchange)
        if isinstance(error, DkvError) and self._forwards(exchange, error):
            exchange.asker.hand_over()
        else:
            self._reply(exchange, self._handling.explain(exchange, error))

    def _forwards(self, exchange: _HotExchange, error: DkvError) -> bool:
        try:
            return self._handling.forwards(exchange, error, self._store.view().node)
        except DkvError:  # an unreadable flag: the full path says so
            return True

    def _reply(self, exchange: _HotExchange, response: Response) -> None:
        exchange.asker.reply(self._handling.finish(exchange, response))
