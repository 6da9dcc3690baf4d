"""One history format: JSON lines, a header and then one event a line, in Jepsen's words.

``invoke`` begins an operation, ``ok``, ``fail`` or ``info`` ends it: it happened with this result, it certainly did
not, nobody knows. Law: a process does one thing at a time, and after an ``info`` it is never heard of again (Jepsen's
rule: a client of unknown fate goes on under a new number). All times are of one clock, the harness's, monotonic, from
the run's start.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

FORMAT = "dkv-history"
VERSION = 1


class EventType(StrEnum):
    """Jepsen's four."""

    INVOKE = "invoke"
    OK = "ok"
    FAIL = "fail"
    INFO = "info"


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line. ``workload``: which of the checker's models judges it (register, append, set, counter)."""

    format: str = FORMAT
    version: int = VERSION
    workload: str = "register"
    system: str = ""
    seed: int | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``f`` and what ``value`` is, on invoke → on ok:

    read None → value | None (absent) · write value → value · cas [expected | None, new] → the same · delete None →
    whether it was there (or None: not told) · append element → element · add element → element · increment by → by;
    reads of append and set give a list, of counter an int. ``fail`` with error "CAS_MISMATCH" is an observation: the
    expected value was not there. ``node``: who answered.
    """

    process: int
    type: EventType
    f: str
    key: str | None = None
    value: Any = None
    time_s: float = 0.0
    node: str | None = None
    error: str | None = None
