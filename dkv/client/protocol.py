"""What travels between a client and a node: requests, replies, and refusals turned back into typed errors.

Pure. Law: a reply that does not say ``not_applied`` in dkv's own words counts as ``unknown``. Garbage is
never taken for an answer, whatever its status.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec

from dkv.errors import BY_CODE, DkvError, InternalError, LeaderHint, NotLeader, Outcome

REPLY_BYTES_MAX = 256 * 1024 * 1024
"""A batch of a hundred gets of 1 MiB still fits; anything longer is not an answer to what this client can
ask.
"""

REDIRECTS = frozenset({307, 308})
"""The statuses that promise that the request was not processed; the others of 3xx change the method of a
POST.
"""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, without the node that it goes to."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole HTTP reply. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reply that is not a success. ``retryable``: whether the same request may fare better elsewhere or
    later.
    """

    error: DkvError
    retryable: bool


class Garbage(ValueError):
    """A reply of status 2xx whose body is not what the call promises."""


class Answer(msgspec.Struct, frozen=True):
    """What a node says about one command. ``val`` is None for a missing key and for deletes.

    ``revision``: Raft index of the entry that last wrote the key. ``found``: whether the key had a value.
    """

    val: str | None
    revision: int
    found: bool = True


ABSENT = Answer(None, 0, found=False)


class _Leader(msgspec.Struct, frozen=True):
    id: str
    rest: str


class _ErrorBody(msgspec.Struct, frozen=True):
    """CONTRACT §1; everything but ``error`` and ``code`` may be missing."""

    error: str
    code: str
    outcome: str = ""
    retryable: bool | None = None
    leader: _Leader | None = None
    revision: int | None = None
    retry_after_s: float | None = None


class _FailedBatch(msgspec.Struct, frozen=True):
    code: str
    replies: list[dict[str, Any]]


_failed_batches = msgspec.json.Decoder(_FailedBatch)
_errors = msgspec.json.Decoder(_ErrorBody)
_answers = msgspec.json.Decoder(Answer)
_results = msgspec.json.Decoder(list[dict[str, Any]])


def parse_answer(reply: Reply) -> Answer:
    """The reply to one command; raises ``Garbage``."""
    try:
        return _answers.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Garbage(str(error)) from error


def parse_answers(reply: Reply, size: int) -> list[Answer | DkvError]:
    """The replies to a batch of ``size`` commands, in order. A command that was refused is an error *in* the
    list.
    """
    try:
        return [_parse_result(row) for row in _of_size(_results.decode(reply.body), size)]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Garbage(str(error)) from error


def _of_size(rows: list[dict[str, Any]], size: int) -> list[dict[str, Any]]:
    if len(rows) != size:
        raise Garbage(f"{len(rows)} replies to {size} commands")
    return rows


def _parse_result(row: dict[str, Any]) -> Answer | DkvError:
    if "code" not in row:
        return msgspec.convert(row, Answer)
    body = msgspec.convert(row, _ErrorBody)
    if body.code == "KEY_NOT_FOUND":
        return ABSENT
    return _typed(body)


def parse_absence(reply: Reply) -> Answer | None:
    """``ABSENT`` for a missing key, None for any other refusal."""
    return ABSENT if parse_refusal(reply).error.code == "KEY_NOT_FOUND" else None


def parse_failed_answers(reply: Reply, size: int) -> list[Answer | DkvError] | None:
    """The replies to a batch of which some command failed; None if the batch was refused as a whole."""
    try:
        return [_parse_result(row) for row in _of_size(_failed_batches.decode(reply.body).replies, size)]
    except (msgspec.DecodeError, UnicodeDecodeError, Garbage):
        return None


def find_rest(document: Any, name: str) -> str | None:
    """The REST address of the node of this name in the answer of ``/nodes``; None if it is not there."""
    lists = document.values() if isinstance(document, dict) else [document]
    rows = [row for rows in lists if isinstance(rows, list) for row in rows if isinstance(row, dict)]
    found = (row.get("rest") for row in rows if name in (row.get("name"), row.get("id"), row.get("identity")))
    return next((rest for rest in found if isinstance(rest, str)), None)


def parse_document(reply: Reply) -> Any:
    """Any JSON object or array (``/status``, ``/nodes`` …); raises ``Garbage``."""
    try:
        document = msgspec.json.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Garbage(str(error)) from error
    if not isinstance(document, dict | list):
        raise Garbage(f"a {type(document).__name__}, where an object is promised")
    return document


def parse_refusal(reply: Reply) -> Refusal:
    """A reply that is not 2xx, as the error that it stands for. A foreign reply (a proxy's, say) is
    ``unknown``.
    """
    try:
        body = _errors.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        if reply.status in REDIRECTS:
            return Refusal(NotLeader("The node sent this request on.", leader=_located(reply)), True)
        return garbled(reply, "not in dkv's words")
    error = _typed(body)
    if error.leader is None and reply.status in REDIRECTS:
        error.leader = _located(reply)
    error.retry_after_s = _retry_after_s(reply) if body.retry_after_s is None else body.retry_after_s
    return Refusal(error, error.retryable if body.retryable is None else body.retryable)


def garbled(reply: Reply, why: str) -> Refusal:
    """The refusal that stands for a reply which nobody can make sense of."""
    error = InternalError(f"The reply (status {reply.status}) is {why}: is this the address of a dkv node?")
    return Refusal(error, True)


def last_index(reply: Reply) -> int:
    """``X-DKV-Index`` of a reply: how far the node had applied; 0 when it does not say."""
    text = reply.headers.get("x-dkv-index", "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _typed(body: _ErrorBody) -> DkvError:
    known = BY_CODE.get(body.code)
    leader = LeaderHint(body.leader.id, body.leader.rest) if body.leader else None
    try:
        outcome = Outcome(body.outcome)
    except ValueError:
        outcome = known.default_outcome if known else Outcome.UNKNOWN
    if known is None:
        return InternalError(f"{body.code}: {body.error}", outcome=outcome, leader=leader)
    error = known(body.error, outcome=outcome, leader=leader)
    if body.revision is not None:
        error.details["revision"] = body.revision
    return error


def _located(reply: Reply) -> LeaderHint | None:
    address = urlsplit(reply.headers.get("location", "")).netloc
    return LeaderHint("", address) if address else None


def _retry_after_s(reply: Reply) -> float | None:
    """Whole or broken seconds; HTTP dates, which dkv never sends, are ignored."""
    try:
        seconds = float(reply.headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < 86_400 else None
