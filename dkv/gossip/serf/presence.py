"""Who is there, by what SWIM sees and by what is intended, ours included: the members' clock, the roster, our going."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from dkv.gossip.memberlist import events
from dkv.gossip.serf.departure import BROADCAST_TIMEOUT_S, PROPAGATE_DELAY_S, Departure, Stage
from dkv.gossip.serf.events import Departed, LeaveSwim, Level, MemberEvent, Note, Reconnect, SendUserMessage, SerfEvent
from dkv.gossip.serf.intents import Intent, Verdict
from dkv.gossip.serf.lamport import LamportClock
from dkv.gossip.serf.outflow import Outflow
from dkv.gossip.serf.roster import Roster
from dkv.gossip.wire.internal_queries import Status
from dkv.gossip.wire.serf_messages import JoinIntent, LeaveIntent, encode

if TYPE_CHECKING:
    import random

REAP_INTERVAL_S: Final = 15.0
RECONNECT_INTERVAL_S: Final = 30.0
RECONNECT_TIMEOUT_S: Final = 24 * 3600.0
"""For so long a failed member may come back under what is known of it."""
TOMBSTONE_TIMEOUT_S: Final = 24 * 3600.0
"""For so long nobody takes a left member for a living one by an old rumour. All four are Serf's defaults."""

FAREWELLS_MAX: Final = 64
"""In a cluster up to this size everybody is told of our leaving directly as well: news is told so few times there (the
local profile: twice by each) that one in eight misses it, and who hears only of the death takes it for a failure.
Serf's agents leave that to chance."""

Seen = events.MemberJoined | events.MemberUpdated | events.MemberFailed | events.MemberLeft


class Presence:
    """Of the member ``name``."""

    def __init__(
        self, name: str, *, rng: random.Random, now: float, outflow: Outflow, emit: Callable[[SerfEvent], None]
    ) -> None:
        self.name = name
        self.clock = LamportClock()
        self.roster = Roster(name, prune_delay_s=BROADCAST_TIMEOUT_S + PROPAGATE_DELAY_S)
        self._rng, self._outflow, self._emit = rng, outflow, emit
        self._departure = Departure()
        self._reap_due, self._reconnect_due = now + REAP_INTERVAL_S, now + RECONNECT_INTERVAL_S

    @property
    def stage(self) -> Stage:
        """Of our departure."""
        return self._departure.stage

    def see(self, seen: Seen, now: float) -> None:
        """What SWIM says about a member, or about us."""
        match seen:
            case events.MemberJoined():
                self._tell(self.roster.joined(seen.member))
            case events.MemberUpdated():
                self._tell(self.roster.updated(seen.member))
            case _:
                self._tell(self.roster.gone(seen.member.name, now))

    # --- intents ------------------------------------------------------------------------------------------------------

    def hear(self, intent: Intent, payload: bytes | None, now: float) -> None:
        """An intent. ``payload``: as it came; None from a push/pull, which reaches everybody by itself."""
        self.clock.witness(intent.ltime)
        verdict, happened = self.roster.hear(intent, now, staying=self._departure.staying)
        self._tell(happened)
        if verdict is Verdict.REFUTE:
            self._emit(Note(Level.DEBUG, "refuting an older leave intent"))
            self.tell_that_we_stay(now)
        elif verdict is not Verdict.IGNORE and payload is not None:
            self._outflow.intent(payload)

    def merge_left(self, name: str, ltime: int, now: float) -> None:
        """Somebody has ``name`` as left, by an intent of ``ltime``.

        Serf takes it as an intent one later, so that it counts where that intent came before the failure, too. It does
        so about members that it has as left itself, whose times thus grow with every exchange: ours do not.
        """
        entry = self.roster.get(name)
        if entry is not None and entry.status is Status.LEFT:
            self.clock.witness(ltime)
            entry.status_ltime = max(entry.status_ltime, ltime)
        else:
            self.hear(LeaveIntent(ltime=ltime + 1, node=name), None, now)

    def tell_that_we_stay(self, now: float) -> None:
        """A join intent of the present time: later than all that was said of us. Not while we leave."""
        if self._departure.staying:
            intent = JoinIntent(ltime=self.clock.time, node=self.name)
            self.hear(intent, encode(intent), now)

    def force_leave(self, name: str, now: float, *, prune: bool) -> None:
        """An operator says that ``name`` is gone for good."""
        intent = LeaveIntent(ltime=self.clock.time, node=name, prune=prune)
        self.hear(intent, encode(intent), now)

    # --- our going ----------------------------------------------------------------------------------------------------

    def leave(self, now: float) -> None:
        """Begin to go; a second time nothing happens."""
        if not self._departure.staying:
            return
        self._departure.begin(now)
        intent = LeaveIntent(ltime=self.clock.time, node=self.name)
        self.clock.witness(intent.ltime)
        self._tell(self.roster.hear(intent, now, staying=False)[1])
        others = self.roster.with_status(Status.ALIVE)  # we ourselves are leaving by now
        if others:
            self._outflow.farewell(encode(intent))
        for member in others if len(others) <= FAREWELLS_MAX else ():
            self._emit(SendUserMessage(member.address, encode(intent)))

    def advance_departure(self, now: float, *, death_is_told: bool) -> None:
        """On to the next stage, if it is time."""
        told = self._outflow.farewell_is_told
        match self._departure.advance(now, intent_is_told=told, death_is_told=death_is_told):
            case Stage.DEATH:
                self._emit(LeaveSwim())
            case Stage.GONE:
                self._emit(Departed())

    # --- time ---------------------------------------------------------------------------------------------------------

    def next_timer(self) -> float:
        prune_due = self.roster.next_prune()
        due = min(self._reap_due, self._reconnect_due, self._departure.next_timer())
        return min(due, math.inf if prune_due is None else prune_due)

    def fire_timer(self, now: float) -> None:
        self._tell(self.roster.prune(now))
        if now >= self._reap_due:
            self._reap_due = now + REAP_INTERVAL_S
            self._tell(self.roster.reap(now, failed_s=RECONNECT_TIMEOUT_S, left_s=TOMBSTONE_TIMEOUT_S))
        if now >= self._reconnect_due:
            self._reconnect_due = now + RECONNECT_INTERVAL_S
            self._maybe_reconnect()

    def _maybe_reconnect(self) -> None:
        """The more of us there are, the less often each one tries: together about once an interval for each failed."""
        failed = self.roster.with_status(Status.FAILED)
        present = len(self.roster.with_status(Status.ALIVE, Status.LEAVING))
        if failed and self._departure.staying and self._rng.random() <= len(failed) / max(1, present):
            self._emit(Reconnect(self._rng.choice(failed).address))

    def _tell(self, happened: Iterable[MemberEvent]) -> None:
        for each in happened:
            self._emit(each)
