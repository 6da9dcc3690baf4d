"""One simulated process: the machine under test, a stand-in for Serf above it, and watchmen over both.

The stand-in gossips user events (each told on once) and now and then calls a failed member again, as Serf does; and
any seed that it does not believe alive, as a node should: who lost its only contact early is known to nobody, and
neither gossip nor Serf brings such islands together.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from dkv.gossip.memberlist.broadcasts import Broadcasts
from dkv.gossip.memberlist.events import (
    Event,
    Member,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberUpdated,
    StateReceived,
    UserMessage,
)
from dkv.gossip.memberlist.swim import Swim
from dkv.gossip.wire.particulars import Address
from dkv.gossip.wire.push_pull import State
from tests.sim.gossip.settings import Settings

PACKET_BYTES_MAX = 1405
"""With the checksum, which memberlist does not count either."""

RECONNECT_S = 30.0


class Host:
    """``observe(host, event)`` hears all that the machine tells."""

    def __init__(
        self,
        name: str,
        address: Address,
        settings: Settings,
        rng: random.Random,
        now: float,
        observe: Callable[[Host, Event], None],
        seed: Callable[[Host], Address | None],
    ) -> None:
        self.name, self.address, self.settings, self.rng = name, address, settings, rng
        self.running, self.gone, self.paused_until = True, False, 0.0
        self.socket: list[tuple[bytes, Address]] = []
        self.heard: set[bytes] = set()
        self.failed: dict[str, Address] = {}
        self.known: dict[str, tuple[Member, State]] = {}
        self.user = Broadcasts(4096)
        self.wake_at = float("inf")
        self.reconnect_at = now + RECONNECT_S * rng.random()
        self._observe, self._seed = observe, seed
        self.swim = Swim(
            name,
            address,
            rng=rng,
            now=now,
            new_nonce=lambda: rng.randbytes(12),
            profile=settings.profile,
            envelope=settings.envelope,
            compressed=settings.compressed,
            get_broadcasts=self._get_broadcasts,
            local_state=lambda join: b"\x02\x80",
        )
        self.take_events()

    def tell(self, payload: bytes) -> None:
        """A user event from here."""
        self.heard.add(payload)
        self.user.queue(payload)

    def take_events(self) -> None:
        """All of them, checked."""
        while (event := self.swim.next_event()) is not None:
            self._take(event)
            self._observe(self, event)

    def reconnect(self, now: float) -> None:
        """Serf's handling of failed members (the more there are, the more likely one is called), and a seed's."""
        self.reconnect_at = now + RECONNECT_S
        alive = max(1, len(self.known) - len(self.failed))
        if self.failed and self.rng.random() < len(self.failed) / alive:
            self.swim.join(self.failed[self.rng.choice(sorted(self.failed))], now)
        seed = self._seed(self)
        if seed is not None:
            self.swim.join(seed, now)

    def view(self) -> dict[str, tuple[int, State, bytes, Address]]:
        """What it believes of everybody that it does not think gone."""
        return {
            node.node: (node.incarnation, node.state, node.meta, node.address)
            for node in self.swim.members
            if node.state in (State.ALIVE, State.SUSPECT)
        }

    def _take(self, event: Event) -> None:
        match event:
            case UserMessage(payload=payload):
                if payload not in self.heard:
                    self.tell(payload)
            case MemberJoined(member=member):
                self._note(member, State.ALIVE, (None, State.DEAD, State.LEFT))
                self.failed.pop(member.name, None)
            case MemberUpdated(member=member):
                self._note(member, State.ALIVE, (State.ALIVE,))
            case MemberFailed(member=member):
                self._note(member, State.DEAD, (State.ALIVE,))
                self.failed[member.name] = member.address
            case MemberLeft(member=member):
                self._note(member, State.LEFT, (State.ALIVE,))
                self.failed.pop(member.name, None)
            case StateReceived(user_state=state):
                assert state == b"\x02\x80", f"{self.name} was given another's user state: {state!r}"

    def _note(self, member: Member, state: State, before: tuple[State | None, ...]) -> None:
        """Events of one member make sense in their order; its incarnation never falls while it is remembered."""
        known = self.known.get(member.name)
        old = known[1] if known else None
        assert old in before, f"{self.name} told of {member.name}: {state.name} after {old}"
        if known and member.address == known[0].address and member.name in self.swim.members:
            purged = old in (State.DEAD, State.LEFT)
            assert purged or member.incarnation >= known[0].incarnation, f"{member.name}'s incarnation fell"
        self.known[member.name] = (member, state)

    def _get_broadcasts(self, overhead_bytes: int, limit_bytes: int) -> list[bytes]:
        limit = self.settings.profile.retransmit_limit(len(self.swim.members)) if len(self.user) else 1
        return self.user.take(overhead_bytes, limit_bytes, limit)
