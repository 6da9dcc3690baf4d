"""The members as Serf sees them: SWIM says who is there, intents say who means to be, and both together the status.

========  ===============  =================  ================  =================
status    SWIM: joined     SWIM: gone         join intent       leave intent
========  ===============  =================  ================  =================
alive     (member-join)    failed             stamp             leaving
leaving   alive            left               alive             stamp
left      alive            -                  stamp             stamp
failed    alive            -                  stamp             left (member-leave)
========  ===============  =================  ================  =================

An intent that is not newer than the last one does nothing at all. Failed and left members are remembered for a day.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from dkv.gossip.memberlist import events
from dkv.gossip.serf.events import MemberChange, MemberEvent
from dkv.gossip.serf.intents import Intent, RecentIntents, Verdict, judge
from dkv.gossip.wire.internal_queries import Member, Status
from dkv.gossip.wire.limits import NODES_MAX, BadPacket
from dkv.gossip.wire.particulars import Versions
from dkv.gossip.wire.serf_messages import LeaveIntent
from dkv.gossip.wire.tags import decode_tags

MEMBERS_MAX: Final = NODES_MAX
"""SWIM's table has the same limit, but forgets the dead in seconds: here those who are gone longest make room."""

_UNTOLD: Final = Versions(0, 0, 0, 0, 0, 0)
_GONE: Final = (Status.FAILED, Status.LEFT)


class Entry(msgspec.Struct):
    """What is known about one member. ``gone_since``: when it failed or left."""

    member: Member
    status_ltime: int = 0
    gone_since: float = 0.0

    @property
    def status(self) -> Status:
        return self.member.status

    def become(self, status: Status) -> None:
        self.member = msgspec.structs.replace(self.member, status=status)


class Roster:
    """``name``: our own. ``prune_delay_s``: how long a leaving member has for its farewell before it is pruned."""

    def __init__(self, name: str, prune_delay_s: float) -> None:
        self._name, self._prune_delay_s = name, prune_delay_s
        self._entries: dict[str, Entry] = {}
        self._recent = RecentIntents()
        self._prune_due: dict[str, float] = {}
        self.version = 0
        """Another one after each change of a member's status, address or tags."""

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def get(self, name: str) -> Entry | None:
        return self._entries.get(name)

    def members(self) -> list[Member]:
        """All, ourselves among them, whatever their status."""
        return [entry.member for entry in self]

    def with_status(self, *statuses: Status) -> list[Member]:
        return [entry.member for entry in self if entry.status in statuses]

    # --- what SWIM says -----------------------------------------------------------------------------------------------

    def joined(self, told: events.Member) -> list[MemberEvent]:
        """A member is there, for the first time or again. An intent may have come before it."""
        entry, status, happened = self._entries.get(told.name), Status.ALIVE, list[MemberEvent]()
        if entry is None:
            happened += self._make_room()
            intent = self._recent.newest(told.name)
            if isinstance(intent, LeaveIntent):
                status = Status.LEAVING
            entry = Entry(_read(told, status), intent.ltime if intent else 0)
            self._entries[told.name] = entry
        entry.member, entry.gone_since = _read(told, status), 0.0
        self.version += 1
        self._prune_due.pop(told.name, None)
        return [*happened, MemberEvent(MemberChange.JOIN, entry.member)]

    def updated(self, told: events.Member) -> list[MemberEvent]:
        """A member says something else about itself."""
        entry = self._entries.get(told.name)
        if entry is None:
            return []
        entry.member = _read(told, entry.status)
        self.version += 1
        return [MemberEvent(MemberChange.UPDATE, entry.member)]

    def gone(self, name: str, now: float) -> list[MemberEvent]:
        """A member does not answer, or says farewell; only an intent of its own makes the second of the first."""
        entry = self._entries.get(name)
        if entry is None or entry.status in _GONE:
            return []
        left = entry.status is Status.LEAVING
        entry.become(Status.LEFT if left else Status.FAILED)
        entry.gone_since = now
        self.version += 1
        return [MemberEvent(MemberChange.LEAVE if left else MemberChange.FAILED, entry.member)]

    # --- what intents say ---------------------------------------------------------------------------------------------

    def hear(self, intent: Intent, now: float, *, staying: bool = True) -> tuple[Verdict | None, list[MemberEvent]]:
        """An intent's verdict (None: about nobody that we know, and new), and what happened.

        ``staying``: whether we mean to stay, for the intents that are about us.
        """
        entry = self._entries.get(intent.node)
        if entry is None:
            return (None if self._recent.remember(intent, now) else Verdict.IGNORE), []
        about_us_staying = staying and intent.node == self._name
        verdict = judge(intent, entry.status, entry.status_ltime, about_us_staying=about_us_staying)
        if verdict in (Verdict.IGNORE, Verdict.REFUTE):
            return verdict, []
        entry.status_ltime = intent.ltime
        happened = _CHANGES[verdict](entry)
        self.version += verdict is not Verdict.STAMP
        if isinstance(intent, LeaveIntent) and intent.prune:
            happened += self._prune(entry, now)
        return verdict, happened

    # --- time ---------------------------------------------------------------------------------------------------------

    def next_prune(self) -> float | None:
        """When a leaving member's farewell is over."""
        return min(self._prune_due.values(), default=None)

    def prune(self, now: float) -> list[MemberEvent]:
        """Forgets the leaving and left members that are to be pruned by now; who is alive again stays."""
        due = [name for name, at in self._prune_due.items() if at <= now]
        for name in due:
            del self._prune_due[name]
        entries = [entry for name in due if (entry := self._entries.get(name)) is not None]
        return [self._forget(entry) for entry in entries if entry.status in (Status.LEAVING, Status.LEFT)]

    def reap(self, now: float, *, failed_s: float, left_s: float) -> list[MemberEvent]:
        """Forgets who failed or left longer ago than that, and intents about nobody."""
        self._recent.expire(now)
        limits = {Status.FAILED: failed_s, Status.LEFT: left_s}
        due = [entry for entry in self if entry.status in limits and now - entry.gone_since > limits[entry.status]]
        return [self._forget(entry) for entry in due]

    def _make_room(self) -> list[MemberEvent]:
        if len(self) < MEMBERS_MAX:
            return []
        gone = min((entry for entry in self if entry.status in _GONE), key=lambda entry: entry.gone_since, default=None)
        return [self._forget(gone)] if gone is not None else []

    def _prune(self, entry: Entry, now: float) -> list[MemberEvent]:
        if entry.status is Status.LEAVING:
            self._prune_due[entry.member.node] = now + self._prune_delay_s
            return []
        return [self._forget(entry)] if entry.status in _GONE else []

    def _forget(self, entry: Entry) -> MemberEvent:
        del self._entries[entry.member.node]
        self.version += 1
        return MemberEvent(MemberChange.REAP, entry.member)


def _read(told: events.Member, status: Status) -> Member:
    """Tags that cannot be read are none: it is their member's business alone."""
    try:
        tags = decode_tags(told.meta)
    except BadPacket:
        tags = {}
    return Member(node=told.name, address=told.address, tags=tags, status=status, versions=told.versions or _UNTOLD)


def _stamp(entry: Entry) -> list[MemberEvent]:
    return []


def _rejoin(entry: Entry) -> list[MemberEvent]:
    entry.become(Status.ALIVE)
    return []


def _begin_leaving(entry: Entry) -> list[MemberEvent]:
    entry.become(Status.LEAVING)
    return []


def _take_as_left(entry: Entry) -> list[MemberEvent]:
    """Its tombstone keeps the age of its failure."""
    entry.become(Status.LEFT)
    return [MemberEvent(MemberChange.LEAVE, entry.member)]


_CHANGES: Final = {
    Verdict.STAMP: _stamp,
    Verdict.REJOIN: _rejoin,
    Verdict.BEGIN_LEAVING: _begin_leaving,
    Verdict.TAKE_AS_LEFT: _take_as_left,
}
