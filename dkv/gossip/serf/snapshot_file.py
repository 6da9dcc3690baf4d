"""Serf's snapshot file: who was there, and how late it was, so that a restarted member rejoins alone.

Text, one line a change, appended; replayed from the top at the start. Written anew (compacted) when it has grown to
twice what its content needs. Compatible with the agent's own: either can go on with the other's file.

``alive: NAME HOST:PORT`` · ``not-alive: NAME`` · ``clock: N`` · ``event-clock: N`` · ``query-clock: N`` · ``leave`` ·
``# a comment``. Clocks are the last times *seen*. A line that is not understood, as the last one after a crash often
is, is skipped.
"""

from __future__ import annotations

from typing import Final

import msgspec

from dkv.gossip.serf.events import MemberChange, MemberEvent
from dkv.gossip.serf.lamport import LTIME_MAX
from dkv.gossip.wire.limits import NAME_BYTES_MAX, NODES_MAX
from dkv.gossip.wire.particulars import U16_MAX, Address

COMPACTION_BYTES_MIN: Final = 128 * 1024
"""Serf's minCompactSize: below it is not worth the trouble."""

MEMBER_BYTES: Final = 128
"""Serf's snapshotBytesPerNode: what a member's line takes, about."""

_GROWTH: Final = 2


class Clocks(msgspec.Struct, frozen=True):
    """The last Lamport time seen for members, events and queries."""

    members: int = 0
    events: int = 0
    queries: int = 0


_CLOCK_LINES: Final = {"clock": "members", "event-clock": "events", "query-clock": "queries"}


class SnapshotFile:
    """The file's content, and the lines to append to it: every verb that changes something returns them.

    ``rejoin_after_leave``: keep the members through a graceful leave, so that a restart joins them again.
    """

    def __init__(self, *, rejoin_after_leave: bool = False) -> None:
        self._rejoin_after_leave = rejoin_after_leave
        self._alive: dict[str, Address] = {}
        self._clocks = Clocks()

    @classmethod
    def replay(cls, text: str, *, rejoin_after_leave: bool = False) -> SnapshotFile:
        """What a file says. Never fails."""
        snapshot = cls(rejoin_after_leave=rejoin_after_leave)
        for line in text.splitlines():
            snapshot._replay(line)
        return snapshot

    @property
    def clocks(self) -> Clocks:
        return self._clocks

    @property
    def alive(self) -> dict[str, Address]:
        """Whom to try, in any order, at a restart: by name, ourselves perhaps among them."""
        return dict(self._alive)

    def member(self, event: MemberEvent) -> str:
        """A member came, went, or has another address.

        Who failed is not forgotten, other than by Serf: it may only be cut off, and if both sides restart while they
        are, neither would ever call the other again.
        """
        name, address = event.member.node, event.member.address
        if event.change is MemberChange.FAILED:
            return ""
        if event.change in (MemberChange.JOIN, MemberChange.UPDATE):
            if self._alive.get(name) == address:
                return ""
            self._alive[name] = address
            return _alive_line(name, address)
        return f"not-alive: {name}\n" if self._alive.pop(name, None) else ""

    def clock(self, seen: Clocks) -> str:
        """How late it is by now; the clocks only grow."""
        lines = ""
        for label, field in _CLOCK_LINES.items():
            if (ltime := getattr(seen, field)) > getattr(self._clocks, field):
                self._clocks = msgspec.structs.replace(self._clocks, **{field: ltime})
                lines += f"{label}: {ltime}\n"
        return lines

    def leave(self) -> str:
        """We leave on purpose: nobody is to be rejoined after that."""
        self._forget()
        return "leave\n"

    def compacted(self) -> str:
        """The whole content of a new file."""
        members = "".join(_alive_line(*entry) for entry in self._alive.items())
        clocks = "".join(f"{label}: {getattr(self._clocks, field)}\n" for label, field in _CLOCK_LINES.items())
        return members + clocks

    def is_due_for_compaction(self, size_bytes: int) -> bool:
        """``size_bytes``: of the file as it is."""
        return size_bytes > max(COMPACTION_BYTES_MIN, _GROWTH * MEMBER_BYTES * len(self._alive))

    def _forget(self) -> None:
        if not self._rejoin_after_leave:
            self._alive, self._clocks = {}, Clocks()

    def _replay(self, line: str) -> None:
        kind, _, rest = line.partition(": ")
        if line == "leave":
            self._forget()
        elif kind == "alive":
            name, _, place = rest.rpartition(" ")  # names may have spaces
            address = _read_address(place)
            fits = name and len(name.encode(errors="replace")) <= NAME_BYTES_MAX and len(self._alive) < NODES_MAX
            if fits and address is not None:
                self._alive[name] = address
        elif kind == "not-alive":
            self._alive.pop(rest, None)
        elif kind in _CLOCK_LINES and (ltime := _read_number(rest, LTIME_MAX)) is not None:
            self._clocks = msgspec.structs.replace(self._clocks, **{_CLOCK_LINES[kind]: ltime})


def _alive_line(name: str, address: Address) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"alive: {name} {host}:{address.port}\n"


def _read_address(place: str) -> Address | None:
    host, colon, digits = place.rpartition(":")
    port = _read_number(digits, U16_MAX)
    host = host.removeprefix("[").removesuffix("]")
    return Address(host, port) if colon and host and port else None


def _read_number(digits: str, maximum: int) -> int | None:
    if not digits.isascii() or not digits.isdecimal() or len(digits) > len(str(maximum)):
        return None
    return int(digits) if int(digits) <= maximum else None
