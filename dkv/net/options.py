"""The peer links' numbers, each beside its reason."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """Defaults are for a local network; tests shrink them."""

    send_queue_bytes_max: int = 32 * 1024 * 1024
    """Per peer, beyond what the kernel takes: several of the largest appends; only a peer at a standstill fills it."""

    handshake_deadline_s: float = 3.0
    """From connection to proof: a thousand times what it takes, yet a stranger's slot is soon free again."""

    connect_deadline_s: float = 3.0
    """Above one lost SYN (1 s); below it a healed partition would wait for the kernel's third try (7 s)."""

    pending_max: int = 64
    """Inbound connections that have proven nothing yet; one more closes the oldest, so nobody can lock peers out."""

    inbound_max: int = 256
    """Peers with an inbound link: more than any cluster has, below the usual limit of 1,024 descriptors."""

    backoff_min_s: float = 0.02
    backoff_max_s: float = 1.0
    """Ceiling of the first wait between dials, and of any: a restarted node is found within a second."""

    ping_interval_s: float = 0.5
    silent_pings_max: int = 6
    """A link whose receiver acknowledges nothing for so many intervals (3 s) is closed and redialled: after a partition
    a new connection is far quicker than the kernel's backed-off retransmissions. Counted in intervals that this
    process lived through, so a node that was itself paused does not blame its peers."""

    close_deadline_s: float = 1.0
    """How long ``close`` waits for queued bytes to leave."""
