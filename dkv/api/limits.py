"""Every bound of the HTTP edge, with its reason."""

from __future__ import annotations

from dataclasses import dataclass

BATCH_COMMANDS_MAX = 1024
"""Commands in one array: one entry of the log, applied in one turn without a pause."""

REVISION_MAX = 2**63 - 1
"""Raft indices are signed 64-bit numbers on disk and on the wire."""

TIMEOUT_S_MIN, TIMEOUT_S_MAX = 0.01, 60.0
"""What ``X-DKV-Timeout`` may ask for: less than 10 ms never succeeds, more than a minute only holds memory."""

REPLY_VALUE_BYTES_MAX = 32 * 1024 * 1024
"""Of all values in one reply: 1024 gets of 1 MiB each would be a gigabyte, and would stop the loop for seconds."""

REQUEST_ID_CHARS_MAX = 128
"""A longer ``X-Request-Id`` is replaced by ours."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an operator (or a test) may change. Seconds and bytes."""

    body_bytes_max: int = 8 * 1024 * 1024
    """A value of 1 MiB may be 6 MiB of JSON escapes (``\\u0001``), and a batch has several."""
    in_flight_max: int = 1024
    """Requests that wait here at once; more are told to come back (429) before they cost memory."""
    in_flight_body_bytes_max: int = 64 * 1024 * 1024
    """Of all bodies held at once, else ``in_flight_max`` large ones would be 8 GiB."""
    connections_max: int = 10_000
    """Open at once, most of them idle: about 20 KB each. Fewer where the process may have fewer descriptors."""
    body_timeout_s: float = 10.0
    """For a whole body to arrive: a slow sender must not keep a place."""
    write_timeout_s: float = 30.0
    """For a client to take its reply: one that never reads must not keep a connection."""
    keepalive_timeout_s: float = 75.0
    """For the next request (or a whole header) to arrive. Longer than clients keep idle connections (aiohttp: 15 s),
    so that it is they who close, and no request meets a closed connection."""
    request_timeout_s: float = 5.0
    """A request that names no ``X-DKV-Timeout``."""
    admin_timeout_s: float = 30.0
    """The same for join, leave, remove and transfer, which wait for a node to catch up."""
    drain_timeout_s: float = 5.0
    """For requests in flight when the node stops (CONTRACT §2)."""
    slow_request_s: float = 1.0
    """A slower one is logged."""
