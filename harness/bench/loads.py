"""What a generator of load counted in one block, whichever it was."""

from __future__ import annotations

from dataclasses import dataclass

from harness.bench.latencies import Latencies


@dataclass(frozen=True)
class Counted:
    """``completed``, ``failed``: operations. ``cpu_s``: the generator's own. ``latencies``: of requests.

    ``late``: what an open loop says if it fell behind its own intention, "" otherwise.
    """

    duration_s: float
    completed: int
    failed: int
    cpu_s: float
    latencies: Latencies
    late: str = ""
