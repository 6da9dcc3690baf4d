"""How the nodes see one another by gossip, put together from their ``GET /nodes``.

Pure. What a node thinks of itself counts only where nobody else has a word: a node that is cut off is alive to itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

Seen = Mapping[str, tuple[str, ...]]
"""Status (alive, leaving, left, failed) → names of the nodes that see it so."""
LEFT = "left"


@dataclass(frozen=True, slots=True)
class Stranger:
    """A member of the Serf cluster whose process is none of ours: an agent, or a node that was started by hand."""

    name: str
    address: str
    tags: Mapping[str, str]
    seen: Seen


@dataclass(frozen=True, slots=True)
class Sightings:
    """``nodes``: by name; absent if gossip says nothing of it. ``strangers``: but for those that have left."""

    nodes: Mapping[str, Seen] = field(default_factory=dict)
    strangers: tuple[Stranger, ...] = ()


def sightings(ours: Collection[str], views: Mapping[str, Any]) -> Sightings:
    """``ours``: names; ``views``: of some of them the body of ``GET /nodes``; one that is none counts for nothing.

    A node that is being let in, or was just let go, stands among the others and not among the members.
    """
    seen: dict[str, dict[str, list[str]]] = {}
    facts: dict[str, Mapping[str, Any]] = {}
    for seer, view in sorted(views.items()):
        for name, fact in (*_members(view), *_others(view)):
            seen.setdefault(name, {}).setdefault(str(fact.get("status")), []).append(seer)
            facts[name] = {**facts.get(name, {}), **fact}
    told = {name: _by_others(name, statuses) for name, statuses in seen.items()}
    return Sightings(
        {name: told[name] for name in ours if name in told},
        tuple(
            Stranger(name, str(facts[name].get("address", "")), dict(facts[name].get("tags") or {}), statuses)
            for name, statuses in sorted(told.items())
            if name not in ours and statuses.keys() != {LEFT}
        ),
    )


def statuses(view: Any) -> dict[str, str]:
    """Name → status: one node's own view, by its ``GET /nodes``."""
    return {name: str(fact.get("status")) for name, fact in (*_members(view), *_others(view))}


def decisions(view: Any) -> tuple[Mapping[str, Any], ...]:
    """What the autopilot decided, newest last, by the ``GET /nodes`` of the node that leads."""
    return tuple(_rows(view, "autopilot"))


def described(seen: Seen) -> str:
    """``alive``; where they do not agree ``alive 3, failed 1``; "" if nobody has a word."""
    ordered = sorted(seen, key=lambda status: (-len(seen[status]), status))
    return ordered[0] if len(ordered) == 1 else ", ".join(f"{status} {len(seen[status])}" for status in ordered)


def _members(view: Any) -> list[tuple[str, Mapping[str, Any]]]:
    return [(str(row.get("id")), row["gossip"]) for row in _rows(view, "members") if _is_a_row(row.get("gossip"))]


def _others(view: Any) -> list[tuple[str, Mapping[str, Any]]]:
    return [(str(row.get("name")), row) for row in _rows(view, "others")]


def _rows(view: Any, name: str) -> list[Mapping[str, Any]]:
    rows = view.get(name) if _is_a_row(view) else None
    return [row for row in rows if _is_a_row(row)] if isinstance(rows, list) else []


def _is_a_row(value: Any) -> bool:
    return isinstance(value, Mapping)


def _by_others(name: str, seen: Mapping[str, list[str]]) -> Seen:
    told = {status: tuple(seer for seer in seers if seer != name) for status, seers in seen.items()}
    return {status: seers for status, seers in told.items() if seers} or {
        status: tuple(seers) for status, seers in seen.items()
    }
