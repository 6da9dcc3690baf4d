"""Join and leave intents: when one says something new about a member, and those that came before the member itself.

The law: of a member's intents the one with the greatest Lamport time counts, in whatever order they arrive.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from dkv.gossip.wire.internal_queries import Status
from dkv.gossip.wire.serf_messages import JoinIntent, LeaveIntent

RECENT_INTENT_TIMEOUT_S: Final = 300.0
"""Serf's RecentIntentTimeout: an intent travels in seconds, the member that it is about not much slower."""

RECENT_INTENTS_MAX: Final = 4096
"""Intents about unknown names cost a stranger nothing; as many as Serf's queue of broadcasts holds."""

Intent = JoinIntent | LeaveIntent


class Verdict(Enum):
    """What an intent about a known member comes to."""

    IGNORE = "not newer than what is known"
    REFUTE = "says that we leave, and we do not"
    STAMP = "newer, changes no status"
    REJOIN = "a leaving member stays"
    BEGIN_LEAVING = "a living member leaves"
    TAKE_AS_LEFT = "a failed member is gone on purpose"


_BY_JOIN: Final = {Status.LEAVING: Verdict.REJOIN}
_BY_LEAVE: Final = {Status.ALIVE: Verdict.BEGIN_LEAVING, Status.FAILED: Verdict.TAKE_AS_LEFT}


def judge(intent: Intent, status: Status, status_ltime: int, *, about_us_staying: bool) -> Verdict:
    """Of a member with that status, whose last intent was of ``status_ltime`` (0: none was seen)."""
    if intent.ltime <= status_ltime:
        return Verdict.IGNORE
    if isinstance(intent, JoinIntent):
        return _BY_JOIN.get(status, Verdict.STAMP)
    return Verdict.REFUTE if about_us_staying else _BY_LEAVE.get(status, Verdict.STAMP)


class _Remembered(NamedTuple):
    intent: Intent
    since: float


class RecentIntents:
    """The newest intent about each name that is no member yet. The oldest make room for new names."""

    def __init__(self) -> None:
        self._by_name: dict[str, _Remembered] = {}

    def __len__(self) -> int:
        return len(self._by_name)

    def remember(self, intent: Intent, now: float) -> bool:
        """Whether it was new: only then is it gossiped on."""
        known = self._by_name.get(intent.node)
        if known is not None and intent.ltime <= known.intent.ltime:
            return False
        self._by_name.pop(intent.node, None)
        self._by_name[intent.node] = _Remembered(intent, now)
        if len(self._by_name) > RECENT_INTENTS_MAX:
            del self._by_name[next(iter(self._by_name))]
        return True

    def newest(self, name: str) -> Intent | None:
        """What is known about somebody who joins just now. It stays: the member can be forgotten and come again."""
        known = self._by_name.get(name)
        return known.intent if known else None

    def expire(self, now: float) -> None:
        """Forgets what is too old; they stand in the order of their times."""
        while self._by_name:
            name = next(iter(self._by_name))
            if now - self._by_name[name].since < RECENT_INTENT_TIMEOUT_S:
                return
            del self._by_name[name]
