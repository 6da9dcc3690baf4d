"""Which pending requests share one Raft entry: a turn's requests, in order, packed into payloads.

A request (a list of commands) is atomic, so it is never split. A payload ends at a limit, or when a request
would mutate a key that an earlier request of the payload mutates as well: a revision is the index of an
entry, and two requests must be able to tell their writes apart (it is the CAS token). Within one request a
key may repeat.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dkv.errors import TooLarge
from dkv.kv.commands import Command, Op, size_bytes

BATCH_BYTES_MAX = 2 * 1024 * 1024
"""Twice the largest value; pysyncobj fragments entries of 4 MiB and more, which must never happen."""

BATCH_COMMANDS_MAX = 2048
"""Bounds what one ``apply`` costs: about 12 ms with 1e6 keys. Twice what one request may hold."""

BATCH_OVERHEAD_BYTES = 16
"""Of a payload around its commands: array headers and the time."""

_GET = Op.GET


@dataclass(slots=True)
class Payload:
    """The commands of one entry, and how many of them belong to each of the requests, in order."""

    commands: list[Command] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)


def validate_request(request: Sequence[Command]) -> int:
    """→ its size in bytes, at most. Raises ``TooLarge`` if one entry cannot hold it; commands are validated apart."""
    if len(request) > BATCH_COMMANDS_MAX:
        raise TooLarge(f"The batch has {len(request)} commands; the limit is {BATCH_COMMANDS_MAX}.")
    request_bytes = size_bytes(request[0]) if len(request) == 1 else sum(map(size_bytes, request))
    if BATCH_OVERHEAD_BYTES + request_bytes > BATCH_BYTES_MAX:
        raise TooLarge(f"The batch has about {request_bytes} bytes; the limit is {BATCH_BYTES_MAX} bytes.")
    return request_bytes


def form_payloads(requests: Iterable[tuple[Sequence[Command], int]]) -> list[Payload]:
    """Requests, each with what ``validate_request`` returned → payloads, everything in order. O(1) per command."""
    payloads: list[Payload] = []
    payload = Payload()
    mutated: set[str] = set()
    payload_bytes = 0
    for request, request_bytes in requests:
        if len(request) == 1:
            keys = [request[0].key] if request[0].op < _GET else []
        else:
            keys = [command.key for command in request if command.op < _GET]
        if (
            not payloads
            or payload_bytes + request_bytes > BATCH_BYTES_MAX
            or len(payload.commands) + len(request) > BATCH_COMMANDS_MAX
            or not mutated.isdisjoint(keys)
        ):
            payload = Payload()
            payloads.append(payload)
            mutated = set()
            payload_bytes = BATCH_OVERHEAD_BYTES
        assert payload_bytes + request_bytes <= BATCH_BYTES_MAX, "a request beyond the limit was let in"
        payload.commands.extend(request)
        payload.lengths.append(len(request))
        mutated.update(keys)
        payload_bytes += request_bytes
    return payloads
