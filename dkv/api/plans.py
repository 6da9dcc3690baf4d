"""Requests for keys and values → what the store is asked: one table for whatever parsed them. Pure.

Law: a plan is checked to its last field, so that carrying it out can only fail in the store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from dkv.api import requests
from dkv.api.exchange import IDEMPOTENCY_KEY, Exchange
from dkv.api.parameters import parse_duration, parse_key, parse_level
from dkv.errors import BadRequest
from dkv.kv.batches import validate_request
from dkv.kv.commands import Command, Op
from dkv.levels import Level, strongest

Number = TypeVar("Number", int, float)

COMMAND_TARGET: Final = "/"
KEY_PREFIX: Final = "/v1/kv/"


class WritePlan(msgspec.Struct, frozen=True, gc=False):
    """In order, through the log, as one entry. ``is_batch``: the reply is an array."""

    commands: Sequence[Command]
    is_batch: bool


class ReadPlan(msgspec.Struct, frozen=True, gc=False):
    """All keys as of one state. ``is_raw``: the reply is the value itself."""

    keys: Sequence[str]
    level: Level
    min_index: int
    freshness_s: float | None
    is_batch: bool
    is_raw: bool


Plan = WritePlan | ReadPlan


@dataclass(frozen=True, slots=True)
class Method:
    """What one method of one resource may be asked. ``plan`` raises ``BadRequest`` or ``TooLarge``."""

    parameters: frozenset[str]
    takes_body: bool
    plan: Callable[[Exchange, bytes], Plan]


def _command(exchange: Exchange, body: bytes) -> Plan:
    """``POST /``: one command, or an array of them."""
    commands = requests.parse_commands(body)
    if isinstance(commands, list):
        return _batch(exchange, commands)
    level = _level(exchange, commands.level)
    command = requests.to_command(commands, exchange.header(IDEMPOTENCY_KEY) or "")
    return _read(exchange, (command.key,), level) if command.op is Op.GET else WritePlan((command,), False)


def _batch(exchange: Exchange, bodies: list[requests.CommandBody]) -> Plan:
    """With a mutation in it: all in order through the log. Gets alone: one read of one state."""
    key = exchange.header(IDEMPOTENCY_KEY)
    commands = [requests.to_command(body, f"{key}/{place}" if key else "") for place, body in enumerate(bodies)]
    level = strongest([_level(exchange, named) for named in dict.fromkeys([body.level for body in bodies])])
    if all(command.op is Op.GET for command in commands):
        return _read(exchange, [command.key for command in commands], level, is_batch=True)
    validate_request(commands)
    return WritePlan(commands, True)


def _get(exchange: Exchange, body: bytes) -> Plan:
    """``GET /v1/kv/{key}?level=&freshness=&raw``."""
    key = requests.get_command(parse_key(exchange.argument)).key
    return _read(exchange, (key,), _level(exchange, None), is_raw=exchange.flag("raw"))


def _put(exchange: Exchange, body: bytes) -> Plan:
    """``PUT /v1/kv/{key}?cas=&ttl=&raw``."""
    key = parse_key(exchange.argument)
    raw = exchange.flag("raw")
    put = requests.PutBody(requests.parse_raw_value(body)) if raw else requests.parse_put(body)
    cas = _one_of("cas", exchange.integer("cas"), put.cas)
    ttl_text = exchange.parameters.get("ttl")
    ttl_s = _one_of("ttl", None if ttl_text is None else parse_duration("ttl", ttl_text), put.ttl)
    command_id = requests.one_id(put.id, exchange.header(IDEMPOTENCY_KEY) or "")
    return WritePlan((requests.set_command(key, put.val, cas, ttl_s, command_id),), False)


def _delete(exchange: Exchange, body: bytes) -> Plan:
    """``DELETE /v1/kv/{key}?cas=``."""
    command_id = exchange.header(IDEMPOTENCY_KEY) or ""
    key = parse_key(exchange.argument)
    return WritePlan((requests.delete_command(key, exchange.integer("cas"), command_id),), False)


COMMAND: Final = Method(frozenset({"level", "freshness", "forward"}), True, _command)
BY_KEY: Final = {
    "GET": Method(frozenset({"level", "freshness", "raw", "forward"}), False, _get),
    "PUT": Method(frozenset({"raw", "cas", "ttl", "forward"}), True, _put),
    "DELETE": Method(frozenset({"cas", "forward"}), False, _delete),
}


def _read(
    exchange: Exchange, keys: Sequence[str], level: Level, *, is_batch: bool = False, is_raw: bool = False
) -> ReadPlan:
    freshness = exchange.parameters.get("freshness")
    if freshness is not None and level is not Level.NONE:
        raise BadRequest(f"freshness goes with level=none only; {level.value} reads are not bounded by age.")
    freshness_s = None if freshness is None else parse_duration("freshness", freshness)
    return ReadPlan(keys, level, exchange.min_index(), freshness_s, is_batch, is_raw)


def _level(exchange: Exchange, in_body: str | None) -> Level:
    """The body's, else the query's, else linearizable."""
    text = exchange.parameters.get("level") if in_body is None else in_body
    return Level.LINEARIZABLE if text is None else parse_level(text)


def _one_of(name: str, in_query: Number | None, in_body: Number | None) -> Number | None:
    if in_query is not None and in_body is not None and in_query != in_body:
        raise BadRequest(f"{name} is {in_query} in the query and {in_body} in the body; send one of them.")
    return in_query if in_query is not None else in_body
