"""Who may come in: counts what is in flight, so that too much is refused early and cheaply. Pure.

Law: each ``enter`` that returned is paired with one ``leave``; what is refused here was certainly not applied.
"""

from __future__ import annotations

from dkv.api.limits import Limits
from dkv.errors import Busy, ShuttingDown


class Admission:
    """Requests and body bytes in flight, against their limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.in_flight = 0
        self.body_bytes = 0
        self.draining = False

    def enter(self) -> None:
        """Take a place. Raises ``ShuttingDown`` or ``Busy``, and then takes none."""
        if self.draining:
            raise ShuttingDown(
                "This node is shutting down and takes no new requests. Nothing was done; ask another node.",
                retry_after_s=1.0,
            )
        if self.in_flight >= self._limits.in_flight_max:
            raise Busy(
                f"This node already has {self.in_flight} requests in flight. Nothing was done; "
                "ask again in a moment, or ask another node.",
                retry_after_s=1.0,
            )
        self.in_flight += 1

    def reserve(self, size_bytes: int) -> None:
        """Room for a body, beyond what small ones take anyway. Raises ``Busy``."""
        if self.body_bytes + size_bytes > self._limits.in_flight_body_bytes_max:
            raise Busy(
                f"The request bodies that this node holds come to {self.body_bytes} bytes already. "
                "Nothing was done; ask again in a moment.",
                retry_after_s=1.0,
            )
        self.body_bytes += size_bytes

    def leave(self, reserved_bytes: int) -> None:
        """Give the place back, and what was reserved."""
        self.in_flight -= 1
        self.body_bytes -= reserved_bytes
        assert self.in_flight >= 0, "a request left that had never entered: an error path leaves twice"
        assert self.body_bytes >= 0, "more body bytes were released than reserved"
