"""Keys and values over HTTP: plans carried out in the ``Store``, and what came of them as replies.

What is asked: ``plans``. What the bodies look like: ``requests``, ``replies``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dkv.api import replies
from dkv.api.envelope import Envelope
from dkv.api.exchange import Exchange
from dkv.api.limits import Limits
from dkv.api.plans import BY_KEY, COMMAND, KEY_PREFIX, Method, Plan, ReadPlan, WritePlan
from dkv.api.response import TEXT, Response
from dkv.api.routes import Handler, Resource
from dkv.api.services import Store
from dkv.kv.commands import Result
from dkv.raft.contracts import Ticket
from dkv.views import ReadReply


class KeyValueRoutes:
    """The handlers, over one ``Store``."""

    def __init__(self, store: Store, envelope: Envelope, limits: Limits) -> None:
        self._store = store
        self._envelope = envelope
        self._timeout_s = limits.request_timeout_s
        self.command = self._handler(COMMAND)

    def resource(self) -> Resource:
        """``POST /`` (``command``) is apart: its path has a GET as well."""
        return Resource(f"{KEY_PREFIX}{{key}}", {name: self._handler(method) for name, method in BY_KEY.items()})

    def _handler(self, method: Method) -> Handler:
        async def handle(exchange: Exchange) -> Response:
            exchange.parse_parameters(method.parameters)
            body = await exchange.body() if method.takes_body else b""
            return await self._carry_out(exchange, method.plan(exchange, body))

        return handle

    async def _carry_out(self, exchange: Exchange, plan: Plan) -> Response:
        deadline = exchange.deadline(self._timeout_s)
        if isinstance(plan, WritePlan):
            exchange.mutates = True
            return self.respond(exchange, plan, await self._store.write(plan.commands, deadline=deadline))
        reply = await self._store.read(
            plan.keys, plan.level, deadline=deadline, min_index=plan.min_index, freshness_s=plan.freshness_s
        )
        return self.respond(exchange, plan, reply)

    def begin(self, exchange: Exchange, plan: Plan, ticket: Ticket) -> None:
        """The same without a coroutine: the ticket hears of what ``respond`` makes a reply of, perhaps at once."""
        deadline = exchange.deadline(self._timeout_s)
        if isinstance(plan, WritePlan):
            exchange.mutates = True
            self._store.begin_write(plan.commands, ticket, deadline=deadline)
            return
        self._store.begin_read(
            plan.keys, plan.level, ticket, deadline=deadline, min_index=plan.min_index, freshness_s=plan.freshness_s
        )

    def respond(self, exchange: Exchange, plan: Plan, outcome: Any) -> Response:
        """``outcome``: the store's results or its ``ReadReply``. Raises the error of a command that failed."""
        if isinstance(plan, WritePlan):
            return self._written(exchange, plan, outcome)
        return self._values(exchange, plan, outcome)

    def _written(self, exchange: Exchange, plan: WritePlan, results: Sequence[Result]) -> Response:
        if plan.is_batch:
            rows = replies.batch_replies(plan.commands, results)
            replies.check_reply_size(rows, applied=True)
            return self._envelope.reply(exchange, replies.encode(rows))
        (command,), (result,) = plan.commands, results
        error = replies.error_of(command, result)
        if error is not None:
            raise error
        return self._envelope.reply(exchange, replies.encode(replies.reply_of(command, result)))

    def _values(self, exchange: Exchange, plan: ReadPlan, read: ReadReply) -> Response:
        if plan.is_batch:
            rows = [replies.row_reply(row) for row in read.rows]
            replies.check_reply_size(rows, applied=False)
            return self._envelope.reply(exchange, replies.encode(rows), index=read.index, level=read.level)
        (row,) = read.rows
        if row is None:
            raise replies.key_not_found(plan.keys[0])
        if plan.is_raw:
            return self._envelope.reply(
                exchange,
                row.value.encode("utf-8"),
                index=read.index,
                level=read.level,
                content_type=TEXT,
                extra=f"X-DKV-Revision: {row.revision}\r\n",
            )
        body = replies.encode(replies.row_reply(row))
        return self._envelope.reply(exchange, body, index=read.index, level=read.level)
