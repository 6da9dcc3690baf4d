"""Answers of nodes as text for people: tables that line up, whatever fields a node of another version adds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

FIRST_COLUMNS = ("node", "name", "id", "identity", "role", "status", "term", "leader", "rest", "raft")
"""What a person looks for comes first; the rest follows in the order of the answer."""

STATUS_COLUMNS = frozenset(
    {
        "node",
        "id",
        "role",
        "term",
        "gossip",
        "commit_index",
        "applied_index",
        "keys",
        "phase",
        "uptime_s",
        "pid",
        "error",
    }
)
"""What fits on a line of ``/status``; ``-o json`` has all of it."""

PIPE_WIDTH = 10_000
"""A pipe has no width of its own: there nothing is cut or folded."""


def print_json(document: Any) -> None:
    """One JSON document on standard output."""
    print(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())


def print_rows(rows: Iterable[Mapping[str, Any]], *, color: bool, only: Collection[str] | None = None) -> None:
    """One line a row, one column a field, or those in ``only``; nested values stay out (``-o json`` shows them)."""
    flat = [
        {
            name: value
            for name, value in row.items()
            if not isinstance(value, dict | list) and (not only or name in only)
        }
        for row in rows
    ]
    names = list(dict.fromkeys(name for row in flat for name in row))
    names.sort(key=lambda name: FIRST_COLUMNS.index(name) if name in FIRST_COLUMNS else len(FIRST_COLUMNS))
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in names:
        numbers = all(isinstance(row.get(name, 0), int | float) for row in flat)
        table.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for row in flat:
        table.add_row(*(Text(_shown(row.get(name))) for name in names))
    console = Console(no_color=not color, highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    console.print(table)


def rows_of(document: Any) -> list[dict[str, Any]]:
    """The rows in an answer such as ``/nodes``: the first array of objects in it, else the object itself."""
    candidates = [document, *document.values()] if isinstance(document, dict) else [document]
    for candidate in candidates:
        if isinstance(candidate, list) and candidate and all(isinstance(row, dict) for row in candidate):
            return candidate
    return [document] if isinstance(document, dict) else []


def member_rows(nodes: Any) -> list[dict[str, Any]]:
    """``/nodes``: each member with gossip's word for it, then whom gossip alone knows."""
    members = [_with_gossip(row, lambda gossip: gossip.get("status")) for row in rows_of(nodes)]
    return members + [{"id": other.get("name"), "gossip": other.get("status")} for other in nodes.get("others", [])]


def status_rows(answers: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """``/status`` of several nodes: gossip as "4 alive, 1 failed"."""
    return [_with_gossip(row, lambda gossip: _counted(gossip.get("members", {}))) for row in answers]


def _with_gossip(row: Mapping[str, Any], shown: Callable[[Any], Any]) -> dict[str, Any]:
    gossip = row.get("gossip")
    return {**row, "gossip": shown(gossip)} if isinstance(gossip, dict) else dict(row)


def _counted(members: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {status}" for status, count in members.items() if count)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
