"""What the Serf layer gossips: three queues, served in Serf's order, since news of members is worth most."""

from __future__ import annotations

from typing import Final

from dkv.gossip.memberlist.broadcasts import Broadcasts
from dkv.gossip.memberlist.profiles import Profile
from dkv.gossip.wire.encryption import SEALED_OVERHEAD_BYTES
from dkv.gossip.wire.limits import PACKET_BYTES_MAX

QUEUED_MAX: Final = 4096
"""Of each queue: Serf's MaxQueueDepth."""

_FRAME_BYTES: Final = 2 + 2 + 1 + SEALED_OVERHEAD_BYTES
"""Around the only message of a packet: compound, its part, the type of a user message, encryption."""

GOSSIPED_BYTES_MAX: Final = PACKET_BYTES_MAX - _FRAME_BYTES
"""What is larger fits no packet, and would stay for ever: it travels by push/pull alone."""

_LEAVE: Final = "leave"


class Outflow:
    """Encoded Serf messages, each sent a limited number of times."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self.intents, self.queries, self.events = (Broadcasts(QUEUED_MAX) for _ in range(3))

    def intent(self, payload: bytes) -> None:
        _queue(self.intents, payload)

    def query(self, payload: bytes) -> None:
        _queue(self.queries, payload)

    def event(self, payload: bytes) -> None:
        _queue(self.events, payload)

    def farewell(self, payload: bytes) -> None:
        """Our own leave intent, which somebody waits for."""
        self.intents.queue(payload, _LEAVE)

    @property
    def farewell_is_told(self) -> bool:
        return _LEAVE not in self.intents

    def take(self, overhead_bytes: int, limit_bytes: int, members: int) -> list[bytes]:
        """Payloads for one packet; each costs its size and the overhead. ``members``: how many there are."""
        transmits_max = self._profile.retransmit_limit(members)
        taken: list[bytes] = []
        for queue in (self.intents, self.queries, self.events):
            more = queue.take(overhead_bytes, limit_bytes, transmits_max)
            limit_bytes -= sum(len(payload) + overhead_bytes for payload in more)
            taken += more
        return taken


def _queue(broadcasts: Broadcasts, payload: bytes) -> None:
    if len(payload) <= GOSSIPED_BYTES_MAX:
        broadcasts.queue(payload)
