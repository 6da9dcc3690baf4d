"""Results → JSON bodies: what ``POST /`` and its REST twin answer. Pure.

* set: ``{"val": the value that was set, "revision": its revision, "found": whether the key had a value before}``.
* get: ``{"val", "revision", "found": true}``; a missing key is an error (404 ``KEY_NOT_FOUND``).
* delete: ``{"val": null, "revision", "found": whether there was something to delete}``. Deleting what is not there is
  no error, so that it can be repeated; ask with ``cas`` to know what was deleted.
* batch: the array of these, in order. A get of a missing key is ``{"val": null, "revision": 0, "found": false}`` in it:
  ``null`` is not ``""``, and one missing key of fifty is not a failed request. Status 200 means that *all* commands
  succeeded. Else the status is that of the first that failed (409, 422), ``failed`` is its place, ``replies`` has one
  element a command, the failed ones with ``error``, ``code``, ``outcome``; the ``outcome`` at the top is
  ``not_applied`` only if not one mutation of the batch took effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from dkv.api.limits import REPLY_VALUE_BYTES_MAX
from dkv.errors import CasMismatch, DkvError, IdReused, KeyNotFound, Outcome, TooLarge
from dkv.kv.commands import Code, Command, Op, Result, Row


class Reply(msgspec.Struct, gc=False):
    """One command that succeeded."""

    val: str | None
    revision: int
    found: bool


class FailedReply(msgspec.Struct, gc=False):
    """One command of a batch that did not."""

    error: str
    code: str
    outcome: Outcome
    revision: int


encode: Final = msgspec.json.Encoder().encode

_SET, _GET, _OK = Op.SET, Op.GET, Code.OK


def key_not_found(key: str) -> KeyNotFound:
    """For a get, by whatever level."""
    return KeyNotFound(f"Key {_shown(key)} has no value.")


def error_of(command: Command, result: Result) -> DkvError | None:
    """What went wrong, if something did. A missing key fails a GET only."""
    if result.code is _OK:
        return None
    if result.code is Code.NOT_FOUND:
        return key_not_found(command.key) if command.op is _GET else None
    if result.code is Code.CAS_MISMATCH:
        present = f"is at revision {result.revision}" if result.revision else "has no value"
        expected = f"revision {command.cas}" if command.cas else "no value"
        mismatch = CasMismatch(f"Key {_shown(command.key)} {present}, but cas expects {expected}. Nothing was changed.")
        mismatch.details["revision"] = result.revision
        return mismatch
    return IdReused(
        f"The id {command.id!r} was used before for another command. Nothing was changed; "
        "take a new id for each new command."
    )


def reply_of(command: Command, result: Result) -> Reply:
    """One command's success."""
    if command.op is _SET:
        return Reply(command.value, result.revision, result.found)
    if command.op is _GET and result.found:
        return Reply(result.value, result.revision, True)
    return Reply(None, result.revision, result.found)


def row_reply(row: Row | None) -> Reply:
    """One get of a batch of gets."""
    return Reply(None, 0, False) if row is None else Reply(row.value, row.revision, True)


class BatchFailure(DkvError):
    """Some command of a batch failed: the error of the first one, with what became of the others."""

    def __init__(self, first: DkvError, failed: int, replies: list[Reply | FailedReply], applied: int) -> None:
        others = "nothing changed anything" if not applied else f"{applied} took effect"
        super().__init__(
            f"Command {failed} of the batch (counted from 0) failed: {first.message} "
            f"Of the rest, {others}; see replies.",
            outcome=Outcome.UNKNOWN if applied else Outcome.NOT_APPLIED,
        )
        self.code, self.status, self.retryable = first.code, first.status, first.retryable  # type: ignore[misc]
        self.details.update(failed=failed, replies=replies)


def batch_replies(commands: Sequence[Command], results: Sequence[Result]) -> list[Reply]:
    """All replies of a batch that went through the log. Raises ``BatchFailure`` if one command failed."""
    assert len(commands) == len(results), f"{len(results)} results for {len(commands)} commands"
    errors = [
        None if result.code is _OK or command.op is _GET else error_of(command, result)
        for command, result in zip(commands, results, strict=True)
    ]
    first = next(filter(None, errors), None)
    if first is None:
        return [reply_of(command, result) for command, result in zip(commands, results, strict=True)]
    replies: list[Reply | FailedReply] = [
        reply_of(command, result)
        if error is None
        else FailedReply(error.message, error.code, error.outcome, result.revision)
        for command, result, error in zip(commands, results, errors, strict=True)
    ]
    applied = sum(error is None and command.op is not _GET for command, error in zip(commands, errors, strict=True))
    raise BatchFailure(first, errors.index(first), replies, applied)


def check_reply_size(replies: Sequence[Reply], *, applied: bool) -> None:
    """Raises ``TooLarge`` rather than build a reply that stops the loop. ``applied``: the batch had mutations."""
    size = sum(len(reply.val) for reply in replies if reply.val is not None)
    if size > REPLY_VALUE_BYTES_MAX:
        done = "Its mutations took effect, only the reply is refused" if applied else "Nothing was changed"
        raise TooLarge(
            f"The values of this batch come to {size} characters, more than the {REPLY_VALUE_BYTES_MAX} that one reply "
            f"may have. {done}; ask for fewer keys at once.",
            outcome=Outcome.UNKNOWN if applied else Outcome.NOT_APPLIED,
        )


def _shown(key: str) -> str:
    """A key in an error message: quoted, and never a whole 4 KiB."""
    return repr(key) if len(key) <= 64 else f"{key[:64]!r}…"
