"""Keys and values over HTTP: ``POST /`` and ``/v1/kv/{key}``. What the bodies look like: ``requests``, ``replies``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from dkv.api import replies, requests
from dkv.api.envelope import Envelope
from dkv.api.exchange import IDEMPOTENCY_KEY, Exchange
from dkv.api.limits import Limits
from dkv.api.parameters import parse_duration, parse_key, parse_level
from dkv.api.response import TEXT, Response
from dkv.api.routes import Resource
from dkv.api.services import Store
from dkv.errors import BadRequest
from dkv.kv.batches import validate_request
from dkv.kv.commands import Command, Op
from dkv.levels import Level, strongest
from dkv.views import ReadReply

_OF_COMMAND: Final = frozenset({"level", "freshness", "forward"})
_OF_GET: Final = frozenset({"level", "freshness", "raw", "forward"})
_OF_PUT: Final = frozenset({"raw", "cas", "ttl", "forward"})
_OF_DELETE: Final = frozenset({"cas", "forward"})

Number = TypeVar("Number", int, float)


class KeyValueRoutes:
    """The handlers, over one ``Store``."""

    def __init__(self, store: Store, envelope: Envelope, limits: Limits) -> None:
        self._store = store
        self._envelope = envelope
        self._timeout_s = limits.request_timeout_s

    def resource(self) -> Resource:
        """``POST /`` is apart: its path has a GET as well."""
        return Resource("/v1/kv/{key}", {"GET": self.get, "PUT": self.put, "DELETE": self.delete})

    async def command(self, exchange: Exchange) -> Response:
        """``POST /``: one command, or an array of them."""
        exchange.parse_parameters(_OF_COMMAND)
        body = requests.parse_commands(await exchange.body())
        if isinstance(body, list):
            return await self._batch(exchange, body)
        level = self._level(exchange, body.level)
        command = requests.to_command(body, exchange.header(IDEMPOTENCY_KEY) or "")
        if command.op is Op.GET:
            return await self._get(exchange, command.key, level, raw=False)
        return await self._write(exchange, command)

    async def get(self, exchange: Exchange) -> Response:
        """``GET /v1/kv/{key}?level=&freshness=&raw``."""
        exchange.parse_parameters(_OF_GET)
        key = requests.get_command(parse_key(exchange.argument)).key
        return await self._get(exchange, key, self._level(exchange, None), raw=exchange.flag("raw"))

    async def put(self, exchange: Exchange) -> Response:
        """``PUT /v1/kv/{key}?cas=&ttl=&raw``."""
        exchange.parse_parameters(_OF_PUT)
        key = parse_key(exchange.argument)
        body = await exchange.body()
        raw = exchange.flag("raw")
        put = requests.PutBody(requests.parse_raw_value(body)) if raw else requests.parse_put(body)
        cas = _one_of("cas", exchange.integer("cas"), put.cas)
        ttl_text = exchange.parameters.get("ttl")
        ttl_s = _one_of("ttl", None if ttl_text is None else parse_duration("ttl", ttl_text), put.ttl)
        command_id = requests.one_id(put.id, exchange.header(IDEMPOTENCY_KEY) or "")
        return await self._write(exchange, requests.set_command(key, put.val, cas, ttl_s, command_id))

    async def delete(self, exchange: Exchange) -> Response:
        """``DELETE /v1/kv/{key}?cas=``."""
        exchange.parse_parameters(_OF_DELETE)
        key = parse_key(exchange.argument)
        command_id = exchange.header(IDEMPOTENCY_KEY) or ""
        return await self._write(exchange, requests.delete_command(key, exchange.integer("cas"), command_id))

    async def _write(self, exchange: Exchange, command: Command) -> Response:
        deadline = exchange.deadline(self._timeout_s)
        exchange.mutates = True
        (result,) = await self._store.write((command,), deadline=deadline)
        error = replies.error_of(command, result)
        if error is not None:
            raise error
        return self._envelope.reply(exchange, replies.encode(replies.reply_of(command, result)))

    async def _get(self, exchange: Exchange, key: str, level: Level, *, raw: bool) -> Response:
        read = await self._read(exchange, (key,), level)
        (row,) = read.rows
        if row is None:
            raise replies.key_not_found(key)
        if raw:
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

    async def _read(self, exchange: Exchange, keys: Sequence[str], level: Level) -> ReadReply:
        freshness = exchange.parameters.get("freshness")
        if freshness is not None and level is not Level.NONE:
            raise BadRequest(f"freshness goes with level=none only; {level.value} reads are not bounded by age.")
        return await self._store.read(
            keys,
            level,
            deadline=exchange.deadline(self._timeout_s),
            min_index=exchange.min_index(),
            freshness_s=None if freshness is None else parse_duration("freshness", freshness),
        )

    async def _batch(self, exchange: Exchange, bodies: list[requests.CommandBody]) -> Response:
        """With a mutation in it: all in order through the log, as one entry. Gets alone: one read of one state."""
        key = exchange.header(IDEMPOTENCY_KEY)
        commands = [requests.to_command(body, f"{key}/{place}" if key else "") for place, body in enumerate(bodies)]
        level = strongest([self._level(exchange, body.level) for body in bodies])
        if all(command.op is Op.GET for command in commands):
            read = await self._read(exchange, [command.key for command in commands], level)
            rows = [replies.row_reply(row) for row in read.rows]
            replies.check_reply_size(rows, applied=False)
            return self._envelope.reply(exchange, replies.encode(rows), index=read.index, level=read.level)
        validate_request(commands)
        deadline = exchange.deadline(self._timeout_s)
        exchange.mutates = True
        results = await self._store.write(commands, deadline=deadline)
        rows = replies.batch_replies(commands, results)
        replies.check_reply_size(rows, applied=True)
        return self._envelope.reply(exchange, replies.encode(rows))

    def _level(self, exchange: Exchange, in_body: str | None) -> Level:
        """The body's, else the query's, else linearizable."""
        text = exchange.parameters.get("level") if in_body is None else in_body
        return Level.LINEARIZABLE if text is None else parse_level(text)


def _one_of(name: str, in_query: Number | None, in_body: Number | None) -> Number | None:
    if in_query is not None and in_body is not None and in_query != in_body:
        raise BadRequest(f"{name} is {in_query} in the query and {in_body} in the body; send one of them.")
    return in_query if in_query is not None else in_body
