"""What a member's sockets have done, counted; the kernel counts what it understands, this what goes in and out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from dkv.gossip.agent.figures import GossipFigures
from dkv.gossip.kernel import Kernel
from dkv.gossip.wire.internal_queries import Status

_STATUSES: Final = (Status.ALIVE, Status.LEAVING, Status.LEFT, Status.FAILED)
_QUEUES: Final = ("intent_queue", "event_queue", "query_queue")


@dataclass(slots=True)
class Tally:
    """Since the start. ``refused``: reason, one of few words, → how many."""

    packets_sent: int = 0
    packets_received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    streams_opened: int = 0
    streams_accepted: int = 0
    stream_bytes_sent: int = 0
    stream_bytes_received: int = 0
    send_failures: int = 0
    refused: Counter[str] = field(default_factory=Counter)


def figures_of(kernel: Kernel, tally: Tally, rpc_sessions: int) -> GossipFigures:
    """What the kernel and the sockets have counted."""
    swim, stats = kernel.swim, kernel.serf.stats()
    statuses = [member.status for member in kernel.serf.members()]
    return GossipFigures(
        members={status.name.lower(): statuses.count(status) for status in _STATUSES},
        health_score=swim.awareness.score,
        suspected=swim.suspected,
        broadcasts_queued=swim.broadcasts_queued + sum(stats[queue] for queue in _QUEUES),
        rpc_sessions=rpc_sessions,
        packets_sent=tally.packets_sent,
        packets_received=tally.packets_received,
        bytes_sent=tally.bytes_sent,
        bytes_received=tally.bytes_received,
        streams_opened=tally.streams_opened,
        streams_accepted=tally.streams_accepted,
        stream_bytes_sent=tally.stream_bytes_sent,
        stream_bytes_received=tally.stream_bytes_received,
        send_failures=tally.send_failures,
        refused=dict(swim.counters.refused + tally.refused),
        suspicions=swim.suspicions,
        refutations=swim.refutations,
        probe_failures=swim.probe_failures,
    )
