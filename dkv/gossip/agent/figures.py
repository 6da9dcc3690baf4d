"""A member's numbers, for metrics, ``/status`` and ``serf info``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class GossipFigures:
    """Those of the first group are as they are now, the others count from the start of the agent.

    ``members``: status (``alive``, ``leaving``, ``left``, ``failed``; all four are there) → how many. ``health_score``:
    Lifeguard's, 0 is healthy. ``suspected``: members under suspicion. ``broadcasts_queued``: news still to be told.
    ``refused``: reason (few, fixed words) → packets, parts of packets, streams and RPC connections that came in vain.
    ``packets_*`` and ``bytes_*`` are datagrams and their payloads; ``stream_*`` is what went over TCP, RPC not counted.
    """

    members: Mapping[str, int] = field(default_factory=dict)
    health_score: int = 0
    suspected: int = 0
    broadcasts_queued: int = 0
    rpc_sessions: int = 0

    packets_sent: int = 0
    packets_received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    streams_opened: int = 0
    streams_accepted: int = 0
    stream_bytes_sent: int = 0
    stream_bytes_received: int = 0
    send_failures: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    suspicions: int = 0
    refutations: int = 0
    probe_failures: int = 0
