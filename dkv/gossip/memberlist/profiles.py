"""memberlist's three profiles: every number by memberlist's name, in seconds.

All members of a cluster should use the same one: a member on ``wan`` suspects later than its peers on ``lan`` expect.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The timing of SWIM. memberlist's own name follows where ours is another.

    stream_timeout_s           TCPTimeout: one whole exchange over TCP
    probe_interval_s           one member is probed in each
    probe_timeout_s            without an ack for so long, others are asked to ping too
    indirect_checks            how many others
    suspicion_mult             suspicion lasts at least suspicion_mult * log10(n) * probe_interval_s, see suspicion.py
    suspicion_max_timeout_mult and at most so many times longer, while nobody confirms it
    awareness_max_multiplier   a member that doubts itself waits up to so many probe intervals for an ack
    gossip_interval_s          in each, broadcasts go to
    gossip_nodes               so many members
    retransmit_mult            each member sends a broadcast retransmit_mult * ceil(log10(n + 1)) times in total
    gossip_to_the_dead_s       GossipToTheDeadTime: so long the dead are told, so that they can object; then forgotten
    push_pull_interval_s       base for 32 members, see ``scaled_push_pull_s``
    dead_node_reclaim_s        DeadNodeReclaimTime: after it a dead member's name may have a new address; 0: never
    """

    stream_timeout_s: float
    probe_interval_s: float
    probe_timeout_s: float
    indirect_checks: int
    suspicion_mult: int
    suspicion_max_timeout_mult: int = 6
    awareness_max_multiplier: int = 8
    gossip_interval_s: float
    gossip_nodes: int
    retransmit_mult: int
    gossip_to_the_dead_s: float
    push_pull_interval_s: float
    dead_node_reclaim_s: float = 0.0

    def retransmit_limit(self, members: int) -> int:
        """How often one member sends one broadcast, to all its peers together."""
        return self.retransmit_mult * math.ceil(math.log10(members + 1))

    def scaled_push_pull_s(self, members: int) -> float:
        """The whole state costs n in each exchange: large clusters exchange it less often."""
        if members <= 32:
            return self.push_pull_interval_s
        return self.push_pull_interval_s * (math.ceil(math.log2(members) - 5) + 1)


LAN: Final = Profile(
    stream_timeout_s=10.0,
    probe_interval_s=1.0,
    probe_timeout_s=0.5,
    indirect_checks=3,
    suspicion_mult=4,
    gossip_interval_s=0.2,
    gossip_nodes=3,
    retransmit_mult=4,
    gossip_to_the_dead_s=30.0,
    push_pull_interval_s=30.0,
)
"""The default of agents."""

WAN: Final = Profile(
    stream_timeout_s=30.0,
    probe_interval_s=5.0,
    probe_timeout_s=3.0,
    indirect_checks=3,
    suspicion_mult=6,
    gossip_interval_s=0.5,
    gossip_nodes=4,
    retransmit_mult=4,
    gossip_to_the_dead_s=60.0,
    push_pull_interval_s=60.0,
)

LOCAL: Final = Profile(
    stream_timeout_s=1.0,
    probe_interval_s=1.0,
    probe_timeout_s=0.2,
    indirect_checks=1,
    suspicion_mult=3,
    gossip_interval_s=0.1,
    gossip_nodes=3,
    retransmit_mult=2,
    gossip_to_the_dead_s=15.0,
    push_pull_interval_s=15.0,
)

PROFILES: Final = {"lan": LAN, "wan": WAN, "local": LOCAL}
