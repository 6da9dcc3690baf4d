"""Bodies → commands: the JSON that users send, checked to the last field. Pure.

Whatever passes here can be proposed: the state machine never meets an empty key, a value beyond its limit or a number
that its log cannot hold. Whatever does not is a ``BadRequest`` or ``TooLarge`` with a sentence that names the field.
"""

from __future__ import annotations

import json
from typing import Final

import msgspec

from dkv.api.limits import BATCH_COMMANDS_MAX, REVISION_MAX
from dkv.api.parameters import to_ttl_ms
from dkv.errors import BadRequest
from dkv.kv.commands import ANY_REVISION, Command, Op, validate


class CommandBody(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One command of ``POST /``. ``None`` and absent are the same. ``ttl``: seconds.

    ``val`` is ignored by get and delete, ``level`` by set and delete: the seed's clients send all fields always.
    """

    cmd: str
    key: str
    val: str | None = None
    level: str | None = None
    cas: int | None = None
    ttl: float | None = None
    id: str | None = None


class PutBody(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """``PUT /v1/kv/{key}`` as an object; a bare JSON string is the value alone."""

    val: str
    cas: int | None = None
    ttl: float | None = None
    id: str | None = None


# Each look at a member through its class costs as much as a field of the command that is being made.
_SET, _GET, _DELETE = Op.SET, Op.GET, Op.DELETE
OPS: Final = {"set": _SET, "get": _GET, "delete": _DELETE, "del": _DELETE}

EXAMPLE: Final = '{"cmd": "set", "key": "a", "val": "b"}'

_commands: Final[msgspec.json.Decoder[CommandBody | list[CommandBody]]] = msgspec.json.Decoder(
    CommandBody | list[CommandBody]
)
_put: Final[msgspec.json.Decoder[PutBody | str]] = msgspec.json.Decoder(PutBody | str)


def parse_commands(body: bytes) -> CommandBody | list[CommandBody]:
    """The body of ``POST /``: one command, or an array of 1 to 1024. Raises ``BadRequest``."""
    try:
        commands = _commands.decode(body)
    except ValueError as error:  # msgspec's errors, and UnicodeDecodeError
        raise BadRequest(f"The body is no command: {_reason(error)}. Example: {EXAMPLE}") from None
    if isinstance(commands, CommandBody):
        count, values = 1, int(commands.val is not None)
    else:
        count, values = len(commands), sum([command.val is not None for command in commands])
        if not 1 <= count <= BATCH_COMMANDS_MAX:
            raise BadRequest(f"The array has {count} commands; it must have 1 to {BATCH_COMMANDS_MAX}.")
    if body.count(b'"val"') > values or body.count(b'"key"') > count or body.count(b'"cmd"') > count:
        _refuse_duplicates(body)  # perhaps: a value may look like a name
    return commands


def parse_put(body: bytes) -> PutBody:
    """The body of ``PUT /v1/kv/{key}``: ``{"val": …}`` or a JSON string. Raises ``BadRequest``."""
    try:
        put = _put.decode(body)
    except ValueError as error:
        raise BadRequest(
            f'The body is no value: {_reason(error)}. Send {{"val": "…"}} or a JSON string, '
            "or add ?raw to store the body as it is."
        ) from None
    if isinstance(put, str):
        return PutBody(put)
    if body.count(b'"val"') > 1:
        _refuse_duplicates(body)
    return put


def parse_raw_value(body: bytes) -> str:
    """The body of ``PUT /v1/kv/{key}?raw``. Raises ``BadRequest``."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(f"The value is not UTF-8 (byte {error.start}); values are text.") from None


def _reason(error: ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "a string in it is not UTF-8"
    return str(error).replace("`", "'")


def _refuse_duplicates(body: bytes) -> None:
    """JSON leaves open which of two equal names counts; two readers that disagree lose somebody's value."""

    def check(pairs: list[tuple[str, object]]) -> dict[str, object]:
        names = dict(pairs)
        if len(names) < len(pairs):
            doubled = next(name for index, (name, _) in enumerate(pairs) if name in dict(pairs[:index]))
            raise BadRequest(f"Field {doubled!r} is given twice in one object.")
        return names

    json.loads(body, object_pairs_hook=check)


def get_command(key: str) -> Command:
    """Raises ``BadRequest`` or ``TooLarge``."""
    command = Command(_GET, key)
    validate(command)
    return command


def set_command(
    key: str, value: str | None, cas: int | None = None, ttl_s: float | None = None, command_id: str = ""
) -> Command:
    """Raises ``BadRequest`` or ``TooLarge``. ``cas`` None: whatever is there; 0: only if nothing is."""
    if value is None:
        raise BadRequest(f"A set needs val, a string. Example: {EXAMPLE}")
    ttl_ms = 0 if ttl_s is None else to_ttl_ms(ttl_s)
    command = Command(_SET, key, value, ANY_REVISION if cas is None else _revision(cas), ttl_ms, command_id)
    validate(command)
    return command


def delete_command(key: str, cas: int | None = None, command_id: str = "") -> Command:
    """Raises ``BadRequest`` or ``TooLarge``."""
    command = Command(_DELETE, key, "", ANY_REVISION if cas is None else _revision(cas), 0, command_id)
    validate(command)
    return command


def to_command(body: CommandBody, default_id: str = "") -> Command:
    """One command, as it goes through the log. ``default_id``: for a mutation that names no ``id`` itself."""
    op = OPS.get(body.cmd)
    if op is None:
        raise BadRequest(f"Unknown cmd {body.cmd!r}; the commands are: set, get, delete (or del).")
    if op is _SET:
        return set_command(body.key, body.val, body.cas, body.ttl, one_id(body.id, default_id))
    _refuse_misplaced("ttl", body.ttl, body.cmd)
    if op is _DELETE:
        return delete_command(body.key, body.cas, one_id(body.id, default_id))
    _refuse_misplaced("cas", body.cas, body.cmd)
    return get_command(body.key)


def _refuse_misplaced(name: str, value: object, cmd: str) -> None:
    if value is not None:
        raise BadRequest(f"{name} does not go with {cmd}.")


def one_id(in_body: str | None, in_header: str) -> str:
    """The idempotency id, from wherever it came; "" for none. Raises ``BadRequest`` if there are two."""
    if in_body and in_header and in_body != in_header:
        raise BadRequest(f"The Idempotency-Key header ({in_header!r}) and id ({in_body!r}) differ; send one of them.")
    return in_body or in_header


def _revision(cas: int) -> int:
    if not 0 <= cas <= REVISION_MAX:
        raise BadRequest(f'cas is {cas}; it must be a revision, or 0 for "only if absent".')
    return cas
