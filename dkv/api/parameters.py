"""Query strings and header values → typed values, or a ``BadRequest`` that says what is wrong. Pure.

An unknown, doubled or unreadable parameter is an error, never a silent default: a misspelt ``level`` must not turn
into another promise.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, unquote_to_bytes

from dkv.api.limits import REVISION_MAX, TIMEOUT_S_MAX, TIMEOUT_S_MIN
from dkv.errors import BadRequest
from dkv.kv.commands import TTL_MS_MAX
from dkv.levels import BY_STRENGTH, Level

Parameters = dict[str, str]

PARAMETERS_MAX = 16
"""More than any resource knows."""

_LEVELS: Final = {level.value: level for level in Level}
_LEVEL_NAMES: Final = ", ".join(level.value for level in reversed(BY_STRENGTH))
_DURATION: Final = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(us|ms|s|m|h)?", re.ASCII)
_UNIT_S: Final = {None: 1.0, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_FLAGS: Final = {"": True, "1": True, "true": True, "0": False, "false": False}


def parse_query(raw: str, allowed: frozenset[str]) -> Parameters:
    """``level=none&raw`` → ``{"level": "none", "raw": ""}``. Raises ``BadRequest``."""
    try:
        pairs = parse_qsl(raw, keep_blank_values=True, errors="strict", max_num_fields=PARAMETERS_MAX)
    except ValueError:
        raise BadRequest(f"The query string is not UTF-8, or has more than {PARAMETERS_MAX} parameters.") from None
    found: Parameters = {}
    for name, value in pairs:
        if name not in allowed:
            known = ", ".join(sorted(allowed)) or "none"
            raise BadRequest(f"Unknown query parameter {name!r}; this resource knows: {known}.")
        if name in found:
            raise BadRequest(f"Query parameter {name!r} is given twice.")
        found[name] = value
    return found


def parse_key(raw: str) -> str:
    """The part of a path after ``/v1/kv/``, percent-encoded, slashes allowed. Raises ``BadRequest``."""
    try:
        return unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("The key in the path is not UTF-8 once percent-decoded.") from None


def parse_level(text: str) -> Level:
    """``linearizable``, … Raises ``BadRequest``."""
    level = _LEVELS.get(text)
    if level is None:
        raise BadRequest(f"Unknown level {text!r}; the levels are: {_LEVEL_NAMES}.")
    return level


def parse_flag(name: str, text: str) -> bool:
    """``?raw``, ``raw=1``, ``raw=true`` and their opposites. Raises ``BadRequest``."""
    flag = _FLAGS.get(text)
    if flag is None:
        raise BadRequest(f"{name} is {text!r}; use 1 or 0.")
    return flag


def parse_integer(name: str, text: str) -> int:
    """A revision or an index, 0 … 2^63-1. Raises ``BadRequest``."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 19 and int(text) <= REVISION_MAX):
        raise BadRequest(f"{name} is {text!r}; it must be a whole number from 0 to 2^63-1.")
    return int(text)


def parse_duration(name: str, text: str) -> float:
    """``500ms``, ``2s``, ``1m``, ``0.5`` → seconds; a bare number is seconds. Raises ``BadRequest``."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise BadRequest(f"{name} is {text!r}; it must be a time such as 500ms, 2s, or a number of seconds.")
    return float(match[1]) * _UNIT_S[match[2]]


def parse_timeout(text: str) -> float:
    """``X-DKV-Timeout`` → seconds. Raises ``BadRequest``."""
    timeout_s = parse_duration("X-DKV-Timeout", text)
    if not TIMEOUT_S_MIN <= timeout_s <= TIMEOUT_S_MAX:
        raise BadRequest(f"X-DKV-Timeout is {text!r}; it must be from {TIMEOUT_S_MIN} to {TIMEOUT_S_MAX:g} seconds.")
    return timeout_s


def to_ttl_ms(ttl_s: float) -> int:
    """A time to live in seconds → whole milliseconds, never rounded down to "for ever". Raises ``BadRequest``."""
    if not 0.0 < ttl_s <= TTL_MS_MAX / 1000:
        raise BadRequest(f"ttl is {ttl_s:g}; it must be a number of seconds above 0, at most {TTL_MS_MAX // 1000}.")
    return max(1, round(ttl_s * 1000))
