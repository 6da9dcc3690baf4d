"""What a member has to say: into the node's log, and as Serf's agent words it to those who watch with ``serf monitor``.

Strangers can make any number of lines: beyond a rate they are counted, and the next line tells how many are missing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from dkv.gossip.rpc.log_tail import LogLine, LogTail
from dkv.gossip.serf.events import Level, MemberChange, MemberEvent
from dkv.gossip.wire.particulars import Address

BURST_LINES: Final = 200
LINES_PER_S: Final = 20.0
"""A cluster of two hundred may come all at once; what goes on for longer is better read in metrics."""

REFUSALS_S: Final = 5.0
"""Between two lines about packets and streams that came in vain."""

_LEVELS: Final = {
    Level.DEBUG: logging.DEBUG,
    Level.INFO: logging.INFO,
    Level.WARN: logging.WARNING,
    Level.ERR: logging.ERROR,
}

_CHANGES: Final = {
    MemberChange.JOIN: ("joined", "EventMemberJoin"),
    MemberChange.LEAVE: ("left", "EventMemberLeave"),
    MemberChange.FAILED: ("failed", "EventMemberFailed"),
    MemberChange.UPDATE: ("changed its tags", "EventMemberUpdate"),
    MemberChange.REAP: ("is forgotten", "EventMemberReap"),
}

log = logging.getLogger("dkv.gossip")


class Journal:
    """``now`` counts lines, ``wall_s`` (seconds since the epoch) dates them; ``watch`` gets each."""

    def __init__(self, now: Callable[[], float], wall_s: Callable[[], float], watch: Callable[[LogLine], None]) -> None:
        self.tail = LogTail()
        self._now, self._wall_s, self._watch = now, wall_s, watch
        self._room, self._counted_at, self._missing = float(BURST_LINES), now(), 0
        self._refused, self._refusal_due = 0, float("-inf")

    def write(self, level: Level, text: str, **fields: Any) -> None:
        """A line; ``fields`` are for the node's log alone."""
        self._put(level, text, f"agent: {text}", fields)

    def member(self, event: MemberEvent) -> None:
        """A member's status or tags changed."""
        verb, serfs_name = _CHANGES[event.change]
        name, address = event.member.node, event.member.address
        level = Level.WARN if event.change is MemberChange.FAILED else Level.INFO
        self._put(
            level,
            f"member {name} {verb}",
            f"serf: {serfs_name}: {name} {address.host}",
            {"member": name, "address": f"{address.host}:{address.port}", "status": event.member.status.name.lower()},
        )

    def refused(self, kind: str, source: Address | None, why: str) -> None:
        """Something came in vain: a line now and then."""
        self._refused += 1
        if self._now() < self._refusal_due:
            return
        self._refusal_due = self._now() + REFUSALS_S
        whence = f" from {source.host}:{source.port}" if source else ""
        self.write(Level.WARN, f"not understood{whence}: {why}", kind=kind, count=self._refused)
        self._refused = 0

    def _put(self, level: Level, text: str, serfs_text: str, fields: dict[str, Any]) -> None:
        now = self._now()
        self._room = min(BURST_LINES, self._room + max(0.0, now - self._counted_at) * LINES_PER_S)
        self._counted_at = now
        if self._room < 1:
            self._missing += 1
            return
        self._room -= 1
        if self._missing:
            fields = {**fields, "missing_lines": self._missing}
            self._missing = 0
        log.log(_LEVELS[level], "gossip: %s", text, extra=fields)
        dated = datetime.fromtimestamp(self._wall_s(), UTC).strftime("%Y/%m/%d %H:%M:%S")
        line = LogLine(str(level), f"{dated} [{level}] {serfs_text}")
        self.tail.append(line)
        self._watch(line)
