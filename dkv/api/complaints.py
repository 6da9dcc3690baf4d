"""The request log: only what somebody should look at (slow requests, 5xx), and only so much of it a second.

An election under load answers thousands of 503 in a second; a log line for each would prolong it. Metrics count all.
"""

from __future__ import annotations

import logging
from typing import Final

LINES_PER_SECOND: Final = 10

_logger = logging.getLogger("dkv.api")


class Complaints:
    """Writes at most ``LINES_PER_SECOND``; the next line after that says how many were left out."""

    def __init__(self) -> None:
        self._second = 0
        self._written = 0
        self._suppressed = 0

    def note(self, now: float, level: int, event: str, error: Exception | None = None, **fields: object) -> None:
        """``now``: seconds of the clock. ``error``: with its traceback. ``fields``: more fields of the line."""
        if int(now) != self._second:
            self._second, self._written = int(now), 0
        if self._written >= LINES_PER_SECOND:
            self._suppressed += 1
            return
        self._written += 1
        if self._suppressed:
            fields["suppressed"] = self._suppressed
            self._suppressed = 0
        _logger.log(level, event, exc_info=error, extra=fields)
