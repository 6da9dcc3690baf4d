"""What happens around every request, whoever parsed it: its id, its place, its errors, its figures.

Law: every request that was read gets one reply in its envelope, whatever happens; a broken invariant ends the process.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import Callable
from enum import StrEnum
from itertools import count
from typing import Final

from dkv.api.admission import Admission
from dkv.api.complaints import Complaints
from dkv.api.envelope import Envelope
from dkv.api.exchange import FORWARDED_BY, Exchange
from dkv.api.limits import REQUEST_ID_CHARS_MAX, Limits
from dkv.api.response import Response
from dkv.clock import Clock
from dkv.errors import BadRequest, DkvError, FatalError, InternalError, NotLeader, Timeout

_REQUEST_ID: Final = re.compile(rf"[!-~]{{1,{REQUEST_ID_CHARS_MAX}}}", re.ASCII)
_logger = logging.getLogger("dkv.api")


class OnFollower(StrEnum):
    """What a follower does with a write: send the client to the leader, or ask the leader itself."""

    REDIRECT = "redirect"
    FORWARD = "forward"


class Handling:
    """One node's. ``on_fatal`` is told of a broken invariant and ends the process."""

    def __init__(
        self,
        envelope: Envelope,
        limits: Limits,
        clock: Clock,
        *,
        on_fatal: Callable[[BaseException], None],
        on_follower: OnFollower,
    ) -> None:
        self.admission = Admission(limits)
        self.drained = asyncio.Event()
        self._envelope = envelope
        self._slow_request_s = limits.slow_request_s
        self._clock = clock
        self._on_fatal = on_fatal
        self._on_follower = on_follower
        self._complaints = Complaints()
        self._request_ids = count(1)
        self._request_prefix = secrets.token_hex(4)

    def request_id(self, header: str | None) -> str:
        """The client's own, if it is one; else ours."""
        if header is not None and _REQUEST_ID.fullmatch(header) is not None:
            return header
        return f"{self._request_prefix}-{next(self._request_ids):x}"

    def leave(self, exchange: Exchange) -> None:
        """For each request that ``admission`` let in."""
        admission = self.admission
        admission.leave(exchange.reserved_bytes)
        if admission.draining and not admission.in_flight:
            self.drained.set()

    def forwards(self, exchange: Exchange, error: DkvError, node: str) -> bool:
        """Whether the leader is to be asked on the client's behalf; once at most: what another node forwarded is
        answered with a redirect instead. ``node`` is this one."""
        if not isinstance(error, NotLeader) or error.leader is None or error.leader.id == node:
            return False
        if exchange.header(FORWARDED_BY) is not None:
            return False
        if "forward" in exchange.parameters:
            return exchange.flag("forward")
        return self._on_follower is OnFollower.FORWARD and exchange.forwardable

    def explain(self, exchange: Exchange, error: Exception) -> Response:
        """The border where whatever was raised becomes a reply."""
        if isinstance(error, DkvError):
            return self._envelope.error(exchange, error)
        if isinstance(error, FatalError | AssertionError):
            _logger.critical("broken invariant", exc_info=error, extra={"request_id": exchange.request_id})
            self._on_fatal(error)
            return self._envelope.error(exchange, InternalError("This node found itself broken, and stops."))
        if isinstance(error, ConnectionError):  # the client went away in the middle of its body: nobody will read this
            return self._envelope.error(exchange, BadRequest("The connection was closed."))
        if isinstance(error, TimeoutError):
            return self._envelope.error(exchange, Timeout("The request took too long."))
        return self._bug(exchange, error)

    def finish(self, exchange: Exchange, response: Response) -> Response:
        """Counted, and complained of where somebody should look at it; the connection ends if the node does."""
        if self.admission.draining:
            response.closes = True
        now = self._clock.now()
        duration_s = now - exchange.started
        exchange.meter.observe(exchange.method, response.status, duration_s)
        if response.status >= 500 or duration_s > self._slow_request_s:
            self._complain(exchange, response, now)
        return response

    def _bug(self, exchange: Exchange, error: Exception) -> Response:
        now = self._clock.now()
        self._complaints.note(
            now, logging.ERROR, "internal error", error, request_id=exchange.request_id, route=exchange.meter.template
        )
        message = "This node met an error of its own; its log has the details under this request_id."
        return self._envelope.error(exchange, InternalError(message))

    def _complain(self, exchange: Exchange, response: Response, now: float) -> None:
        self._complaints.note(
            now,
            logging.WARNING,
            "request failed" if response.status >= 500 else "slow request",
            route=exchange.meter.template,
            method=exchange.method,
            status=response.status,
            duration_s=round(now - exchange.started, 4),
            request_id=exchange.request_id,
        )
