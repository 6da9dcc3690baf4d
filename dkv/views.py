"""What the node's inside tells the HTTP edge: values that both sides name."""

from __future__ import annotations

import msgspec

from dkv.errors import LeaderHint
from dkv.kv.commands import Row
from dkv.levels import Level


class View(msgspec.Struct, frozen=True, gc=False):
    """This node at this instant, for the headers of each reply. ``node`` is its name.

    A struct, since one is made for each reply: 0.2 µs, a frozen dataclass takes 1.5.
    """

    node: str
    leader: LeaderHint | None
    term: int
    applied_index: int


class ReadReply(msgspec.Struct, frozen=True, gc=False):
    """``rows`` in the order of the keys; ``index``: the state's that was read; ``level``: the effective one."""

    rows: list[Row | None]
    index: int
    level: Level
