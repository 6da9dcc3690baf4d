"""The plan of a run: plan.json and operations.jsonl. The same seed gives the same bytes.

``operations`` names the file's digest, so that a replay knows that it runs the very same list. Times are from the
start of the clients' work, rounded to milliseconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from harness.errors import UsageError
from harness.faults.fault import Fault

FORMAT = "dkv-plan"
VERSION = 1


class Operation(msgspec.Struct, frozen=True, array_like=True):
    """A line of operations.jsonl: ``[0.013, 2, "write", "k4", "v7"]``. ``time_s``: when it is meant to begin.

    ``value``: what is written, appended or added; for increment the amount; None for read and delete. A cas takes the
    version that clients saw last: that is a fact of the run.
    """

    time_s: float
    client: int
    f: str
    key: str
    value: str | int | None = None


class Operations(msgspec.Struct, frozen=True, kw_only=True):
    """What operations.jsonl must be."""

    count: int
    sha256: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """``duration_s``: the clients' work; faults are healed ``quiet_s`` before its end. ``settings``: the nodes' own.

    ``mix``: what this seed drew from what it was allowed: for people, and part of the bytes. ``origin``: the plan that
    this one was shrunk from.
    """

    format: str = FORMAT
    version: int = VERSION
    seed: int
    system: str
    nodes: int
    workload: str
    duration_s: float
    quiet_s: float
    clients: int
    rate: float
    timeout_s: float
    settings: dict[str, int]
    mix: dict[str, Any]
    faults: tuple[Fault, ...]
    operations: Operations
    origin: str = ""


def to_json(plan: Plan) -> bytes:
    """Canonical: sorted keys, one indentation, a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(plan, order="sorted"), indent=1) + b"\n"


def from_json(data: bytes) -> Plan:
    """UsageError for what is no plan, or one of another version."""
    try:
        plan = msgspec.json.decode(data, type=Plan)
    except msgspec.DecodeError as error:
        raise UsageError(f"this is no plan: {error}") from None
    if (plan.format, plan.version) != (FORMAT, VERSION):
        raise UsageError(f"a plan of format {plan.format} {plan.version}: this testbed reads {FORMAT} {VERSION}")
    return plan


def to_lines(operations: Sequence[Operation]) -> bytes:
    """operations.jsonl."""
    return msgspec.json.Encoder().encode_lines(operations)


def from_lines(data: bytes, expected: Operations) -> list[Operation]:
    """UsageError if it is not the file that the plan names."""
    if digest(data) != expected.sha256:
        raise UsageError("operations.jsonl is not the one that plan.json names: its digest differs")
    return msgspec.json.Decoder(Operation).decode_lines(data)


def described(operations: Sequence[Operation]) -> Operations:
    """Their number and digest."""
    return Operations(count=len(operations), sha256=digest(to_lines(operations)))


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
