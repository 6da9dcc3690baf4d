"""How a request ended, as one word: dkv's own ``code`` where a node answered, the client's where none did.

Pure. Messages name keys and nodes, and would make a thousand kinds of failure out of one; codes group them.
"""

from __future__ import annotations

import json
from typing import Any

UNREACHABLE = "UNREACHABLE"
TIMEOUT = "TIMEOUT"
UNKNOWN_OUTCOME = "UNKNOWN_OUTCOME"
REFUSED = ("ConnectionRefusedError", "refused", "unreachable")
LATE = ("timed out", "timeout")


def failure(status: int, body: bytes | None, error: BaseException | None, *, mutates: bool) -> str | None:
    """None if it went well: a 2xx, or the honest answer that a key has no value. ``status`` 0: no reply."""
    if status == 0:
        return _no_reply(error, mutates)
    if 200 <= status < 300:
        return None
    code = document(body).get("code")
    if status == 404 and code == "KEY_NOT_FOUND":
        return None
    return str(code) if code else f"HTTP_{status}"


def document(body: bytes | None) -> dict[str, Any]:
    """The JSON object of a reply, {} if it has none."""
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _no_reply(error: BaseException | None, mutates: bool) -> str:
    """The HTTP library wraps what happened, so its words are searched as well as its types."""
    told = f"{type(error).__name__} {error}".lower()
    if any(word.lower() in told for word in REFUSED):
        return UNREACHABLE
    if any(word in told for word in LATE):
        return TIMEOUT
    return UNKNOWN_OUTCOME if mutates else UNREACHABLE
