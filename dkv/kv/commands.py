"""What can be asked of the state machine, what it answers, and their bytes.

A *batch* is one Raft entry's payload: commands in order, and the leader's wall clock that gives time-to-live its only
notion of time (so that expiry is the same on every node and on every replay).
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

KEY_BYTES_MAX = 4 * 1024
VALUE_BYTES_MAX = 1024 * 1024
"""CONTRACT: keys ≤ 4 KiB, values ≤ 1 MiB (UTF-8 bytes); far below the 4 MiB beyond which pysyncobj fragments entries."""

ANY_REVISION = -1
"""``Command.cas``: no condition. 0 means "only if absent"."""

SYSTEM_PREFIX = "\x00"
"""Keys that begin so belong to dkv itself (the directory of members); users cannot name them."""


class Op(IntEnum):
    """``GET`` is a read through the log (``level=strong``). ``CLOCK`` only moves time on, so that keys can expire."""

    SET = 0
    DELETE = 1
    GET = 2
    CLOCK = 3


class Command(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """``id`` is the idempotency id, "" for none. ``ttl_ms`` 0: for ever."""

    op: Op
    key: str = ""
    value: str = ""
    cas: int = ANY_REVISION
    ttl_ms: int = 0
    id: str = ""


class Batch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The payload of one Raft entry. ``time_ms``: the proposer's wall clock, milliseconds since the epoch."""

    time_ms: int
    commands: list[Command]


class Code(IntEnum):
    """How one command ended."""

    OK = 0
    NOT_FOUND = 1
    CAS_MISMATCH = 2
    ID_REUSED = 3


class Result(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """``revision``: of the key after the command (for CAS_MISMATCH and NOT_FOUND the present one, 0 if there is none).

    ``found``: whether the key had a value before a SET or DELETE, or has one for a GET. ``value``: of a GET, else "".
    """

    code: Code
    revision: int
    found: bool
    value: str = ""


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A key's value. ``revision``: Raft index of the entry that wrote it. ``expires_ms`` 0: never."""

    value: str
    revision: int
    expires_ms: int = 0
