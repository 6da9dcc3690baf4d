"""The Serf layer of one member, as a machine: SWIM's events and users' wishes in, what happened and what to do out.

It knows nothing of packets and streams: SWIM below asks it for payloads to gossip (``get_broadcasts``) and for its part
of a push/pull (``local_state``), and hands it what came (``receive``). Every message that is new is delivered once and
gossiped on as it came. ``Kernel`` puts both layers together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dkv.gossip.memberlist import events
from dkv.gossip.memberlist.profiles import LAN, Profile
from dkv.gossip.serf.asking import Question
from dkv.gossip.serf.departure import Stage
from dkv.gossip.serf.events import (
    Advertise,
    Level,
    Note,
    QueryKey,
    SerfEvent,
    UserEventReceived,
)
from dkv.gossip.serf.inquiries import Inquiries
from dkv.gossip.serf.lamport import LamportClock, is_plausible
from dkv.gossip.serf.outflow import Outflow
from dkv.gossip.serf.presence import Presence
from dkv.gossip.serf.snapshot_file import Clocks
from dkv.gossip.serf.user_events import EventRing, check_size
from dkv.gossip.wire.encryption import Keyring
from dkv.gossip.wire.internal_queries import Member, Status
from dkv.gossip.wire.limits import USER_STATE_BYTES_MAX, BadPacket
from dkv.gossip.wire.particulars import Address
from dkv.gossip.wire.serf_messages import (
    JoinIntent,
    LeaveIntent,
    Query,
    QueryResponse,
    Relay,
    SerfMessage,
    UserEvent,
    decode,
    encode,
)
from dkv.gossip.wire.serf_state import SerfState, decode_state, encode_state
from dkv.gossip.wire.tags import encode_tags

if TYPE_CHECKING:
    import random


class Leaving(Exception):
    """Who leaves cannot do that any more, in the agent's words."""


class Serf:
    """One member. ``recovered``: the clocks of its snapshot file; what is older than them is not delivered again."""

    def __init__(
        self,
        name: str,
        address: Address,
        *,
        rng: random.Random,
        now: float,
        profile: Profile = LAN,
        keyring: Keyring | None = None,
        recovered: Clocks | None = None,
    ) -> None:
        """``address``: where others reach us, as SWIM tells them."""
        self._events: deque[SerfEvent] = deque()
        emit = self._events.append
        self._outflow = Outflow(profile)
        self._event_clock = LamportClock()
        self._ring = EventRing(self._event_clock)
        self._joins_without_history = 0
        self._last_conflict: tuple[str, Address] | None = None
        self._presence = Presence(name, rng=rng, now=now, outflow=self._outflow, emit=emit)
        self._inquiries = Inquiries(
            name,
            address,
            rng=rng,
            profile=profile,
            roster=self._presence.roster,
            outflow=self._outflow,
            keyring=keyring,
            emit=emit,
        )
        if recovered is not None:
            self._recover(recovered)

    # --- the machine --------------------------------------------------------------------------------------------------

    def next_event(self) -> SerfEvent | None:
        """The oldest that was not taken yet."""
        return self._events.popleft() if self._events else None

    def next_timer(self) -> float:
        """When ``fire_timer`` is due."""
        return min(self._presence.next_timer(), self._inquiries.next_timer())

    def fire_timer(self, now: float) -> None:
        """All that is due; the stages of a departure are ``advance_departure``'s."""
        self._inquiries.fire_timer(now)
        self._presence.fire_timer(now)

    def receive(self, event: events.Event, now: float) -> None:
        """What SWIM saw. Its other events are not for us."""
        match event:
            case events.MemberJoined() | events.MemberUpdated() | events.MemberFailed() | events.MemberLeft():
                self._presence.see(event, now)
            case events.NameConflict():
                self._conflict(event, now)
            case events.UserMessage():
                self._receive_message(event.payload, now)
            case events.StateReceived():
                self._merge(event.user_state, event.join, now)

    # --- for SWIM -----------------------------------------------------------------------------------------------------

    def get_broadcasts(self, overhead_bytes: int, limit_bytes: int) -> list[bytes]:
        """Payloads to gossip, Serf's type byte first; each costs its size and the overhead."""
        return self._outflow.take(overhead_bytes, limit_bytes, max(1, len(self._presence.roster)))

    def local_state(self, join: bool) -> bytes:
        """Our part of a push/pull, whatever ``join`` says. Strangers' events and names cannot make it too large."""
        roster = self._presence.roster
        state = SerfState(
            ltime=self._presence.clock.time,
            event_ltime=self._event_clock.time,
            query_ltime=self._inquiries.clock.time,
            status_ltimes={entry.member.node: entry.status_ltime for entry in roster},
            left_members=tuple(member.node for member in roster.with_status(Status.LEFT)),
            events=self._ring.told(),
        )
        encoded = encode_state(state)
        if len(encoded) <= USER_STATE_BYTES_MAX:
            return encoded
        self._events.append(Note(Level.WARN, "our state is too large for a push/pull: without intents and events"))
        return encode_state(
            SerfState(ltime=state.ltime, event_ltime=state.event_ltime, query_ltime=state.query_ltime, status_ltimes={})
        )

    # --- what users want ----------------------------------------------------------------------------------------------

    def user_event(self, name: str, payload: bytes, *, coalesce: bool) -> None:
        """Tell everybody, ourselves too. Raises ``limits.TooLarge``."""
        event = UserEvent(ltime=self._event_clock.time, name=name, payload=payload, coalesce=coalesce)
        check_size(event)
        self._receive_event(event, encode(event))

    def ask(self, question: Question, now: float) -> QueryKey:
        """Ask everybody, ourselves too; the answers come as events. Raises ``limits.TooLarge``, ``TooManyQueries``."""
        return self._inquiries.ask(question, now)

    def respond(self, key: QueryKey, payload: bytes, now: float) -> None:
        """Answer a ``QueryReceived``. Raises ``queries.ResponseRefused``."""
        self._inquiries.respond(key, payload, now)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Our tags from now on. Raises ``limits.TooLarge``, ``Leaving``."""
        self._must_stay("change tags")
        self._events.append(Advertise(encode_tags(tags)))

    def begin_join(self, *, replay: bool) -> None:
        """Before the push/pulls of a join. ``replay``: deliver the user events of before."""
        self._must_stay("join")
        self._joins_without_history += not replay

    def end_join(self, joined: int, now: float, *, replay: bool) -> None:
        """After them; ``joined``: how many succeeded."""
        self._joins_without_history -= not replay
        if joined:
            self._presence.tell_that_we_stay(now)

    def force_leave(self, name: str, now: float, *, prune: bool = False) -> None:
        """An operator says that ``name``, which failed, is gone for good; ``prune``: and to be forgotten."""
        self._presence.force_leave(name, now, prune=prune)

    def leave(self, now: float) -> None:
        """Go; ``Departed`` says when it is over. A second time nothing happens."""
        self._presence.leave(now)

    def advance_departure(self, now: float, *, death_is_told: bool) -> None:
        """To be called after anything was sent, and at ``next_timer``. ``death_is_told``: ``Swim.leave_is_told``."""
        self._presence.advance_departure(now, death_is_told=death_is_told)

    # --- what we know -------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self._presence.name

    @property
    def stage(self) -> Stage:
        """Of our departure."""
        return self._presence.stage

    @property
    def keyring(self) -> Keyring | None:
        return self._inquiries.keyring

    @property
    def ourselves(self) -> Member | None:
        """None before SWIM told us of ourselves, its first event."""
        entry = self._presence.roster.get(self.name)
        return entry.member if entry else None

    def members(self) -> list[Member]:
        """All that are remembered, ourselves among them, whatever their status."""
        return self._presence.roster.members()

    @property
    def roster_version(self) -> int:
        """Another one whenever ``members`` would say something new."""
        return self._presence.roster.version

    def status_ltime(self, name: str) -> int | None:
        """The time of the last intent about a member; 0: none was seen, None: no such member."""
        entry = self._presence.roster.get(name)
        return entry.status_ltime if entry else None

    def clocks(self) -> Clocks:
        """The last times seen, for the snapshot file."""
        return Clocks(self._presence.clock.time - 1, self._event_clock.time - 1, self._inquiries.clock.time - 1)

    def stats(self) -> dict[str, int]:
        """By the names of ``serf info``."""
        return {
            "members": len(self._presence.roster),
            "failed": len(self._presence.roster.with_status(Status.FAILED)),
            "left": len(self._presence.roster.with_status(Status.LEFT)),
            "member_time": self._presence.clock.time,
            "event_time": self._event_clock.time,
            "query_time": self._inquiries.clock.time,
            "intent_queue": len(self._outflow.intents),
            "event_queue": len(self._outflow.events),
            "query_queue": len(self._outflow.queries),
        }

    # --- messages -----------------------------------------------------------------------------------------------------

    def _receive_message(self, payload: bytes, now: float) -> None:
        try:
            message = decode(payload)
        except BadPacket as bad:
            self._events.append(Note(Level.DEBUG, f"a Serf message was not understood: {bad}"))
            return
        if not isinstance(message, Relay) and not is_plausible(message.ltime):
            self._events.append(Note(Level.WARN, "a Serf message with an impossible Lamport time was ignored"))
            return
        self._dispatch(message, payload, now)

    def _dispatch(self, message: SerfMessage, payload: bytes, now: float) -> None:
        match message:
            case JoinIntent() | LeaveIntent():
                self._presence.hear(message, payload, now)
            case UserEvent():
                self._receive_event(message, payload)
            case Query():
                self._inquiries.take_query(message, payload, now)
            case QueryResponse():
                self._inquiries.take_response(message)
            case Relay():
                self._inquiries.relay(message)

    def _receive_event(self, event: UserEvent, payload: bytes | None) -> None:
        if not self._ring.take(event):
            return
        self._events.append(UserEventReceived(event.ltime, event.name, event.payload, event.coalesce))
        if payload is not None:
            self._outflow.event(payload)

    # --- the state of others ------------------------------------------------------------------------------------------

    def _merge(self, user_state: bytes, join: bool, now: float) -> None:
        """Those who left first: otherwise the times of the others' intents would be taken for theirs."""
        if not user_state:
            return  # a member of memberlist alone
        try:
            state = decode_state(user_state)
        except BadPacket as bad:
            self._events.append(Note(Level.WARN, f"the state of a push/pull was not understood: {bad}"))
            return
        self._witness(state)
        left = ((name, state.status_ltimes.get(name, 0)) for name in state.left_members)
        for name, ltime in filter(_plausible, left):
            self._presence.merge_left(name, ltime, now)
        for name, ltime in filter(_plausible, state.status_ltimes.items()):  # the left ones' are no news by now
            self._presence.hear(JoinIntent(ltime=ltime, node=name), None, now)
        if join and self._joins_without_history and is_plausible(state.event_ltime):
            self._ring.skip_before(state.event_ltime)
        for past in state.events:
            if is_plausible(past.ltime):
                for each in past.events:
                    self._receive_event(UserEvent(ltime=past.ltime, name=each.name, payload=each.payload), None)

    def _witness(self, state: SerfState) -> None:
        """Nothing was sent yet with the times that they stand at, only before."""
        told = (state.ltime, self._presence.clock), (state.event_ltime, self._event_clock)
        for ltime, clock in (*told, (state.query_ltime, self._inquiries.clock)):
            if ltime > 0 and is_plausible(ltime):
                clock.witness(ltime - 1)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _must_stay(self, to: str) -> None:
        if self.stage is not Stage.STAYING:
            raise Leaving(f"Serf can't {to} after Leave or Shutdown")

    def _recover(self, clocks: Clocks) -> None:
        for ltime, clock in (
            (clocks.members, self._presence.clock),
            (clocks.events, self._event_clock),
            (clocks.queries, self._inquiries.clock),
        ):
            clock.witness(ltime)
        self._ring.skip_before(clocks.events + 1)
        self._inquiries.ring.skip_before(clocks.queries + 1)

    def _conflict(self, conflict: events.NameConflict, now: float) -> None:
        name, ours, other = conflict.existing.name, conflict.existing.address, conflict.other.address
        if (name, other) != self._last_conflict:  # it is heard again and again
            text = f"name conflict: {name} is at {ours.host}:{ours.port} and at {other.host}:{other.port}"
            self._events.append(Note(Level.WARN, text))
            self._last_conflict = name, other
        if name == self.name and self.stage is Stage.STAYING:
            self._inquiries.settle_name(now)


def _plausible(told: tuple[str, int]) -> bool:
    return is_plausible(told[1])
