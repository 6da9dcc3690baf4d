"""Pings on behalf of others: their target's ack goes back to them; a nack if there is none, so that they know at least
that we are well, and that they can hear us.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dkv.gossip.memberlist.outbox import Outbox
from dkv.gossip.memberlist.profiles import Profile
from dkv.gossip.memberlist.timers import Timer, Timers
from dkv.gossip.wire.messages import Ack, IndirectPing, Nack, Ping
from dkv.gossip.wire.particulars import Address

RELAYS_MAX = 1024
"""At a time (each lasts one probe timeout): memberlist's HandoffQueueDepth. Anybody can ask for one."""


@dataclass(frozen=True, slots=True)
class _Relay:
    sequence: int
    asker: Address
    nack: bool


class Relays:
    """Pings that others asked for and that are not answered yet, by the sequence number that we gave them."""

    def __init__(self, profile: Profile, timers: Timers, outbox: Outbox, our_ping: Callable[[str], Ping]) -> None:
        self._profile, self._timers, self._outbox, self._our_ping = profile, timers, outbox, our_ping
        self._relays: dict[int, _Relay] = {}

    def __len__(self) -> int:
        return len(self._relays)

    def begin(self, request: IndirectPing, target: Address, source: Address, now: float) -> None:
        """Ping ``target``. ``source``: whom to answer if the request does not say."""
        if len(self._relays) >= RELAYS_MAX:
            return
        ping = self._our_ping(request.node)
        self._relays[ping.sequence] = _Relay(request.sequence, request.source or source, request.nack)
        self._timers.set(Timer.RELAY, now + self._profile.probe_timeout_s, ping.sequence)
        self._outbox.send(ping, address=target)

    def acked(self, sequence: int) -> None:
        """A target answered, if it is one of ours."""
        relay = self._relays.pop(sequence, None)
        if relay is not None:
            self._timers.cancel(Timer.RELAY, sequence)
            self._outbox.send(Ack(sequence=relay.sequence), address=relay.asker)

    def is_over(self, sequence: int) -> None:
        """A target did not answer in time."""
        relay = self._relays.pop(sequence)
        if relay.nack:
            self._outbox.send(Nack(sequence=relay.sequence), address=relay.asker)
