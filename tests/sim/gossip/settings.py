"""What kind of world: how many members, under which profile, on what sort of network."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dkv.gossip.memberlist.profiles import LAN, Profile
from dkv.gossip.wire.packets import PLAIN, Envelope


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``settled``: all know each other from the start; else all but the first join it, and so find the others.

    ``tcp``: streams get through (late, where packets are lost); without it, UDP is all that there is.
    ``stream_bytes``: streams as bytes, not as objects; large worlds cannot afford it.
    ``packets_first``: a member that wakes from a pause reads its socket before it looks at its timers.
    """

    members: int = 5
    seed: int = 0
    profile: Profile = LAN
    envelope: Envelope = PLAIN
    compressed: bool = False
    settled: bool = False
    loss: float = 0.0
    duplicate: float = 0.0
    delay_s: tuple[float, float] = (0.0002, 0.002)
    tcp: bool = True
    stream_bytes: bool = True
    packets_first: bool = True
    socket_packets_max: int = 256
    """What a paused process finds in its socket: Linux's 208 KiB hold about as many small datagrams."""


def without_lifeguard(profile: Profile) -> Profile:
    """SWIM's own suspicion: as long as it takes at least, for everybody, whatever one thinks of oneself."""
    return replace(profile, suspicion_max_timeout_mult=1, awareness_max_multiplier=1)
