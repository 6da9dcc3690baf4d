"""What else a run leaves behind, a file each: faults.jsonl, nodes.jsonl, verdict.json.

Times are of the same clock as the history's, so that everything can be drawn on one axis.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class Phase(StrEnum):
    """Of a fault's life: it is planned, set, seen to work, taken back."""

    INJECT = "inject"
    PROBE = "probe"
    HEAL = "heal"


class FaultRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of faults.jsonl. ``fault``: its number in the plan. ``began_s`` to ``ended_s``: how long the phase took.

    ``fired``: for a probe, whether the fault was seen to work (None: cannot be seen). ``links``: directed pairs that
    are cut or slowed.
    """

    fault: int
    kind: str
    phase: Phase
    began_s: float
    ended_s: float
    nodes: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    fired: bool | None = None
    detail: str = ""


class NodeSample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of nodes.jsonl: one node at one moment, as it says itself. ``role`` "" : it did not answer.

    ``process``: running, paused, dead. ``last``: index of its newest log entry. ``term_at``: of entries, where a system
    tells. ``digest`` belongs to ``applied``. ``vote``: whom it voted for in ``term``. ``settled``: what it says of
    term, vote and log is on its disk.
    """

    time_s: float
    node: str
    process: str
    role: str = ""
    term: int = 0
    leader: str = ""
    commit: int = 0
    applied: int = 0
    last: int = 0
    voters: tuple[str, ...] = ()
    digest: str = ""
    vote: str = ""
    settled: bool = True


class Validity(StrEnum):
    """A verdict's three values; the exit codes 0, 1, 2 of ``check`` and ``chaos``."""

    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"


class Check(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was judged. ``sentence``: what went wrong, for a person; "" if nothing did.

    ``key``, ``time_s`` and ``operations`` (the minimal sub-history, as of ``Operation.as_dict``) say where to look.
    """

    name: str
    validity: Validity
    sentence: str = ""
    key: str | None = None
    time_s: float | None = None
    operations: tuple[dict[str, Any], ...] = ()
    detail: dict[str, Any] = {}


class Assumption(msgspec.Struct, frozen=True, kw_only=True):
    """What must hold for the run to mean anything; apart from the verdict."""

    name: str
    held: bool
    sentence: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """verdict.json. Invalid if any check is; else unknown if any is; else valid."""

    validity: Validity
    sentence: str
    checks: tuple[Check, ...]
    assumptions: tuple[Assumption, ...]
    statistics: dict[str, Any]
