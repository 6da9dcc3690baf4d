"""etcd's JSON gateway: requests as documents, replies as values, errors as outcomes.

Pure. Keys and values are base64, 64-bit numbers are strings, and whatever is 0 or false is left out. The token of a
version is its ``mod_revision``; a key that is absent has 0. Law: an error is definite only if etcd raises it before it
proposes anything; everything else may have been proposed.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from harness.systems.base import Version

Document = dict[str, Any]

DEFINITE = (
    "etcdserver: too many requests",
    "etcdserver: request is too large",
    "etcdserver: no leader",
    "etcdserver: not capable",
    "etcdserver: key is not provided",
    "etcdserver: mvcc: database space exceeded",
    "raft proposal dropped",
)
"""Refused before anything was proposed, or by the state machine itself. ``request timed out``, ``leader changed``,
``server stopped`` are not among them: the proposal may be on its way."""


def range_of(key: str) -> Document:
    """``/v3/kv/range``: linearizable unless asked otherwise."""
    return {"key": encode(key)}


def put(key: str, value: str) -> Document:
    """``/v3/kv/put``."""
    return {"key": encode(key), "value": encode(value)}


def put_if(key: str, token: int, value: str) -> Document:
    """``/v3/kv/txn``: if the key's mod_revision is ``token``."""
    compare = {"key": encode(key), "target": "MOD", "result": "EQUAL", "mod_revision": str(token)}
    return {"compare": [compare], "success": [{"requestPut": put(key, value)}]}


def version_of(reply: Mapping[str, Any]) -> Version:
    """Of a reply to ``range_of``."""
    for row in reply.get("kvs", ()):
        return Version(decode(row.get("value", "")), int(row["mod_revision"]))
    return Version(None, 0)


def revision_of(reply: Mapping[str, Any]) -> int:
    """Of a reply to a write: what the key's mod_revision is now."""
    return int(reply["header"]["revision"])


def is_definite(reply: Mapping[str, Any]) -> bool:
    """Whether this error says that nothing happened and nothing will."""
    return any(message(reply).endswith(text) for text in DEFINITE)


def message(reply: Mapping[str, Any]) -> str:
    """The error's text, as etcd's own client would show it."""
    return str(reply.get("message") or reply.get("error") or "no message")


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def decode(text: str) -> str:
    return base64.b64decode(text).decode()
