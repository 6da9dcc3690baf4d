"""How each system spells an operation over HTTP: a request as its path and its JSON body. Pure.

All of them are POSTs to one address, sent on connections that stay open. Law: whatever could cost a client time
(base64, JSON) is done here, before the load begins.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

LINEARIZABLE, NONE = "linearizable", "none"
"""Read levels: the latest value for certain, or what the asked node has."""

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent, and how many operations it is."""

    path: str
    body: bytes
    operations: int = 1

    def encoded(self, host: str) -> bytes:
        """As HTTP/1.1 on a connection that stays open."""
        head = f"POST {self.path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(self.body)}\r\n\r\n".encode() + self.body


class Dialect(Protocol):
    """``anywhere``: the request may reach a node that does not lead."""

    def set(self, key: str, value: str, *, anywhere: bool = False) -> Request: ...

    def get(self, key: str, level: str) -> Request: ...

    def batch(self, pairs: Pairs, *, anywhere: bool = False) -> Request:
        """All of them set, in one request."""
        ...


class DkvDialect:
    """``POST /`` as in the seed. Followers redirect a write unless they are asked to forward it."""

    def set(self, key: str, value: str, *, anywhere: bool = False) -> Request:
        return Request(_dkv_path(anywhere), _json(_dkv_set(key, value)))

    def get(self, key: str, level: str) -> Request:
        command = {"cmd": "get", "key": key}
        return Request("/", _json(command if level == LINEARIZABLE else {**command, "level": level}))

    def batch(self, pairs: Pairs, *, anywhere: bool = False) -> Request:
        return Request(_dkv_path(anywhere), _json([_dkv_set(*pair) for pair in pairs]), len(pairs))


class EtcdDialect:
    """The JSON gateway: keys and values in base64, a batch is a transaction, a stale read a serializable one."""

    def set(self, key: str, value: str, *, anywhere: bool = False) -> Request:
        return Request("/v3/kv/put", _json(_etcd_put(key, value)))

    def get(self, key: str, level: str) -> Request:
        range_of: dict[str, Any] = {"key": _base64(key)}
        return Request("/v3/kv/range", _json(range_of if level == LINEARIZABLE else {**range_of, "serializable": True}))

    def batch(self, pairs: Pairs, *, anywhere: bool = False) -> Request:
        puts = [{"requestPut": _etcd_put(*pair)} for pair in pairs]
        return Request("/v3/kv/txn", _json({"success": puts}), len(pairs))


class ExampleDialect:
    """``pysyncobj_node``: the commands of dkv, set and get one at a time."""

    def set(self, key: str, value: str, *, anywhere: bool = False) -> Request:
        return Request("/", _json(_dkv_set(key, value)))

    def get(self, key: str, level: str) -> Request:
        return Request("/", _json({"cmd": "get", "key": key}))

    def batch(self, pairs: Pairs, *, anywhere: bool = False) -> Request:
        raise NotImplementedError("the library's example has no batches")


def _dkv_path(anywhere: bool) -> str:
    return "/?forward=1" if anywhere else "/"


def _dkv_set(key: str, value: str) -> dict[str, str]:
    return {"cmd": "set", "key": key, "val": value}


def _etcd_put(key: str, value: str) -> dict[str, str]:
    return {"key": _base64(key), "value": _base64(value)}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _json(document: Mapping[str, Any] | Sequence[Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
