"""Each operation of a client as a value: its request, how to read the reply, and what may be done when it
fails.

Pure. Data operations all go to ``POST /``: keys of any characters travel safely in JSON. Idempotency ids go
into each command (``id``), so a batch may be sent again as freely as a single command.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import msgspec

from dkv.client.protocol import (
    Answer,
    Reply,
    Request,
    parse_absence,
    parse_answer,
    parse_answers,
    parse_document,
    parse_failed_answers,
)
from dkv.errors import BadRequest, DkvError

T = TypeVar("T")

LEADER_LEVELS = frozenset({"weak", "strong"})
"""Levels that only the leader serves; the others are served by any node."""

CHANGE_TIMEOUT_S = 30.0
"""For changes of the cluster, which wait for a node to catch up: what a node gives them by itself."""

Command = dict[str, Any]
"""``{"cmd", "key", "val"?, "level"?, "cas"?, "ttl"?, "id"?}``, as in CONTRACT §1."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """``mutation``: it can change something. ``resendable``: sending it twice has the effect of sending it
    once.

    ``at_leader``: only the leader serves it. ``parse_refused``: the value that a refusal stands for, None if
    it is a true one. ``f key value cas`` describe it in a history; ``f`` is "" for what histories leave out.
    """

    request: Request
    parse: Callable[[Reply], T]
    mutation: bool = False
    resendable: bool = True
    at_leader: bool = False
    parse_refused: Callable[[Reply], T | None] = lambda reply: None
    f: str = ""
    key: str | None = None
    value: Any = None
    cas: int | None = None


def get(key: str, level: str) -> Call[Answer]:
    """Read one key; a missing one is ``ABSENT``."""
    request = _post("/", {"cmd": "get", "key": key, "level": level})
    at_leader = level in LEADER_LEVELS
    return Call(request, parse_answer, at_leader=at_leader, parse_refused=parse_absence, f="get", key=key)


def put(key: str, value: str, *, cas: int | None, ttl_s: float | None, id: str) -> Call[Answer]:
    """Write one key. ``cas``: only at this revision (0: only if absent). ``ttl_s``: seconds to live. ``id``:
    or "".
    """
    command = _slim({"cmd": "set", "key": key, "val": value, "cas": cas, "ttl": ttl_s, "id": id})
    return _mutation(command, bool(id), f="set", key=key, value=value, cas=cas)


def delete(key: str, *, cas: int | None, id: str) -> Call[Answer]:
    """Delete one key; a missing one is ``ABSENT``."""
    command = _slim({"cmd": "delete", "key": key, "cas": cas, "id": id})
    return _mutation(command, bool(id), parse_refused=parse_absence, f="delete", key=key, cas=cas)


def batch(commands: Sequence[Command], level: str, id: str) -> Call[list[Answer | DkvError]]:
    """Commands in one Raft entry. Those without an id of their own get ``id`` and their place; "": none.

    ``level`` is for a batch that only reads: beside mutations, gets go through the log as these do.
    """
    mutation = any(command.get("cmd") != "get" for command in commands)
    common = {} if mutation else {"level": level}
    sent = [_slim(_identified({**common, **command}, id, place)) for place, command in enumerate(commands)]
    leader_level = any(command.get("level") in LEADER_LEVELS for command in sent)
    return Call(
        _post("/", sent),
        lambda reply: parse_answers(reply, len(sent)),
        parse_refused=lambda reply: parse_failed_answers(reply, len(sent)),
        mutation=mutation,
        resendable=all(command.get("cmd") == "get" or "id" in command for command in sent),
        at_leader=mutation or leader_level,
        f="batch",
        value=sent,
    )


def status() -> Call[Any]:
    """``GET /status``: one node's own view."""
    return Call(Request("GET", "/status"), parse_document)


def nodes() -> Call[Any]:
    """``GET /nodes``: members and voters."""
    return Call(Request("GET", "/nodes"), parse_document)


def leader() -> Call[Any]:
    """``GET /leader``."""
    return Call(Request("GET", "/leader"), parse_document)


def hashkv() -> Call[Any]:
    """``GET /hashkv``: applied index and digest of one node."""
    return Call(Request("GET", "/hashkv"), parse_document)


def leave() -> Call[Any]:
    """``POST /leave``: the node that is asked goes, in order."""
    return _administration(Request("POST", "/leave"))


def remove(name: str) -> Call[Any]:
    """``DELETE /nodes/{id}``: take a node, which may be dead, out of the cluster."""
    return _administration(Request("DELETE", f"/nodes/{quote(name, safe='')}"))


def transfer(name: str | None) -> Call[Any]:
    """``POST /leader``: hand the leadership to a node; None: to the one that is furthest."""
    return _administration(_post("/leader", _slim({"target": name})))


def _administration(request: Request) -> Call[Any]:
    """Changes of the cluster carry no idempotency id: once sent, they are never sent again on a guess."""
    return Call(request, parse_document, mutation=True, resendable=False, at_leader=True)


def _mutation(command: Command, resendable: bool, **described: Any) -> Call[Answer]:
    request = _post("/", command)
    return Call(request, parse_answer, mutation=True, resendable=resendable, at_leader=True, **described)


def _identified(command: Command, id: str, place: int) -> Command:
    if command.get("cmd") == "get" or not id:
        return command
    return {"id": f"{id}-{place}", **command}


def _slim(command: Command) -> Command:
    """Without what was not asked for: an absent ``id`` is told from an empty one by nobody."""
    return {name: value for name, value in command.items() if value is not None and (name, value) != ("id", "")}


def _post(path: str, document: Any) -> Request:
    try:
        body = msgspec.json.encode(document)
    except UnicodeEncodeError as error:
        raise BadRequest("A key or value holds half a character (lone surrogate); nothing was sent.") from error
    return Request("POST", path, body, {"Content-Type": "application/json"})
