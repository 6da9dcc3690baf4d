"""What can be asked of the state machine, what it answers, and their bytes.

A *batch* is one Raft entry's payload: commands in order, and the leader's wall clock that gives time-to-live
its only notion of time (so that expiry is the same on every node and on every replay).
"""

from __future__ import annotations

from enum import IntEnum
from hashlib import blake2b
from typing import Annotated

import msgspec

from dkv.errors import BadRequest, TooLarge

KEY_BYTES_MAX = 4 * 1024
VALUE_BYTES_MAX = 1024 * 1024
"""UTF-8 bytes, both; far below the 4 MiB beyond which pysyncobj fragments entries."""

ID_LENGTH_MAX = 128
"""Characters. A UUID has 36; the ids of the last minutes are kept in memory on every node."""

TTL_MS_MAX = 100 * 365 * 86_400_000
"""A century: beyond any purpose, and far from where clock + ttl would leave MessagePack's 64 bits."""

TIME_MS_MAX = REVISION_MAX = 2**53
"""Of a proposer's clock and of a log index, for the same reason."""

ANY_REVISION = -1
"""``Command.cas``: no condition. 0 means "only if absent"."""

SYSTEM_PREFIX = "\x00"
"""Keys that begin so belong to dkv itself (the directory of members); users cannot name them."""


class Op(IntEnum):
    """``GET`` is a read through the log (``level=strong``); ``CLOCK`` only moves time on, for expiry."""

    SET = 0
    DELETE = 1
    GET = 2
    CLOCK = 3


class Command(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    """``id`` is the idempotency id, "" for none. ``ttl_ms`` 0: for ever.

    An unknown field is an error: to skip it would be to apply something else than other nodes do.
    """

    op: Op
    key: str = ""
    value: str = ""
    cas: Annotated[int, msgspec.Meta(ge=ANY_REVISION, le=REVISION_MAX)] = ANY_REVISION
    ttl_ms: Annotated[int, msgspec.Meta(ge=0, le=TTL_MS_MAX)] = 0
    id: str = ""


class Batch(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    """The payload of one Raft entry. ``time_ms``: the proposer's wall clock, milliseconds since the epoch."""

    time_ms: Annotated[int, msgspec.Meta(ge=0, le=TIME_MS_MAX)]
    commands: list[Command]


class Code(IntEnum):
    """How one command ended."""

    OK = 0
    NOT_FOUND = 1
    CAS_MISMATCH = 2
    ID_REUSED = 3


class Result(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How a command ended.

    ``revision``: of the key after the command (for CAS_MISMATCH and NOT_FOUND the present one, 0 if there is
    none); of a DELETE that found the key the entry's index, its token for "read your writes".
    ``found``: whether the key had a value before a SET or DELETE, or has one for a GET.
    ``value``: of a GET, else "".
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


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Batch] = msgspec.msgpack.Decoder(Batch)

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises for bytes that are not what was expected."""

COMMAND_OVERHEAD_BYTES = 34
"""Headers of a command's array and strings, its op, and two integers of nine bytes."""


class BadBatch(Exception):
    """Bytes that are no batch of ours."""


def encode_batch(batch: Batch) -> bytes:
    """Batch → MessagePack arrays."""
    return _encoder.encode(batch)


def decode_batch(payload: bytes) -> Batch:
    """Bytes → batch. Raises ``BadBatch``: wrong types or fields, numbers out of range, bytes left over."""
    try:
        return _decoder.decode(payload)
    except UNREADABLE as error:
        raise BadBatch(str(error)) from None


def fingerprint(command: Command) -> bytes:
    """Eight bytes of what the command does, whatever its id: a repetition has the same ones."""
    what = (command.op, command.key, command.value, command.cas, command.ttl_ms)
    return blake2b(_encoder.encode(what), digest_size=8).digest()


def size_bytes(command: Command) -> int:
    """An upper bound of the command's bytes within a payload."""
    key, value, id = command.key, command.value, command.id
    if key.isascii() and value.isascii() and id.isascii():
        return COMMAND_OVERHEAD_BYTES + len(key) + len(value) + len(id)
    return COMMAND_OVERHEAD_BYTES + utf8_bytes(key) + utf8_bytes(value) + utf8_bytes(id)


def utf8_bytes(text: str) -> int:
    """Length in UTF-8. Raises ``UnicodeEncodeError`` for a lone surrogate."""
    # isascii reads a flag: the common case costs nothing, however long the value.
    return len(text) if text.isascii() else len(text.encode())


def validate(command: Command) -> None:
    """Raises ``BadRequest`` or ``TooLarge`` for what a user may not ask; dkv's own writes need not pass."""
    if _is_plain(command):
        return
    _validate_key(command.key)
    value_bytes = _utf8_size("value", command.value)
    if value_bytes > VALUE_BYTES_MAX:
        raise TooLarge(f"The value has {value_bytes} bytes; the limit is {VALUE_BYTES_MAX} bytes of UTF-8.")
    if not ANY_REVISION <= command.cas <= REVISION_MAX:
        raise BadRequest(
            f"cas is {command.cas}; it is a revision (0: only if the key is absent), at most {REVISION_MAX}."
        )
    if not 0 <= command.ttl_ms <= TTL_MS_MAX:
        raise BadRequest(f"The time to live is {command.ttl_ms} ms; the limits are 0 and {TTL_MS_MAX} ms (100 years).")
    if len(command.id) > ID_LENGTH_MAX:
        raise BadRequest(f"The id has {len(command.id)} characters; the limit is {ID_LENGTH_MAX}.")
    _utf8_size("id", command.id)


def _is_plain(command: Command) -> bool:
    """ASCII, within the limits, nothing optional: nearly all commands are, and each is checked."""
    key, value = command.key, command.value
    return (
        not command.id
        and command.cas == ANY_REVISION
        and command.ttl_ms == 0
        and key.isascii()
        and value.isascii()
        and 0 < len(key) <= KEY_BYTES_MAX
        and key[0] != SYSTEM_PREFIX
        and len(value) <= VALUE_BYTES_MAX
    )


def _validate_key(key: str) -> None:
    if not key:
        raise BadRequest("The key is empty; a key has at least one character.")
    if key.startswith(SYSTEM_PREFIX):
        raise BadRequest("The key begins with a NUL character; such keys belong to dkv itself.")
    key_bytes = _utf8_size("key", key)
    if key_bytes > KEY_BYTES_MAX:
        raise TooLarge(f"The key has {key_bytes} bytes; the limit is {KEY_BYTES_MAX} bytes of UTF-8.")


def _utf8_size(what: str, text: str) -> int:
    try:
        return utf8_bytes(text)
    except UnicodeEncodeError:
        raise BadRequest(f"The {what} holds a lone surrogate, which UTF-8 cannot express.") from None
