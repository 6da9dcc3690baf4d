"""What the node's inside tells the HTTP edge: values that both sides name."""

from __future__ import annotations

from dataclasses import dataclass

from dkv.errors import LeaderHint
from dkv.kv.commands import Row
from dkv.levels import Level


@dataclass(frozen=True, slots=True)
class View:
    """This node at this instant, for the headers of each reply. ``node`` is its name."""

    node: str
    leader: LeaderHint | None
    term: int
    applied_index: int
    ready: bool


@dataclass(frozen=True, slots=True)
class ReadReply:
    """``rows`` in the order of the keys; ``index``: the state's that was read; ``level``: the effective one."""

    rows: list[Row | None]
    index: int
    level: Level
