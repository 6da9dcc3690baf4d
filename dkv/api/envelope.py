"""Replies in their envelope: the headers that all of them carry, and the one border where errors become HTTP.

Law: every status but 2xx has a JSON body with ``error``, ``code``, ``outcome``, ``retryable``, ``request_id``, and
``leader`` where it is known; no 2xx has an error in it. What did not mutate anything is never ``unknown``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, Final

import msgspec

from dkv.api.exchange import Exchange
from dkv.api.response import JSON, Response
from dkv.errors import DkvError, LeaderHint, NoLeader, Outcome
from dkv.levels import Level
from dkv.views import View

RETRY_AFTER_S: Final = 1.0
"""For 429 and 503 whose error names no time of its own: an election takes about as long."""

_LATER: Final = frozenset({429, 503})
_CLOSING: Final = frozenset({"REQUEST_TIMEOUT", "SHUTTING_DOWN"})
_encode: Final = msgspec.json.Encoder().encode


class Envelope:
    """Makes every reply of one node."""

    def __init__(self, view: Callable[[], View]) -> None:
        self._view = view
        self._leader: LeaderHint | None = None
        self._term = -1
        self._origin = ""
        self._second = 0
        self._date = ""

    def reply(
        self,
        exchange: Exchange,
        body: bytes,
        *,
        status: int = 200,
        index: int | None = None,
        level: Level | None = None,
        content_type: str = JSON,
        extra: str = "",
        close: bool = False,
    ) -> Response:
        """``index``: of the state that the reply is about, else what this node has applied. ``extra``: header lines."""
        view = self._view()
        if view.leader is not self._leader or view.term != self._term:
            self._compose_origin(view)
        now = int(time.time())
        if now != self._second:
            self._second, self._date = now, formatdate(now, usegmt=True)
        effective = f"X-DKV-Effective-Level: {level.value}\r\n" if level is not None else ""
        head = (
            f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\nDate: {self._date}\r\n{self._origin}"
            f"X-DKV-Index: {view.applied_index if index is None else index}\r\n"
            f"X-Request-Id: {exchange.request_id}\r\n{effective}{extra}"
        )
        return Response(status, head, body, closes=close)

    def json(self, exchange: Exchange, document: Any, status: int = 200) -> Response:
        """Any document, for the routes that need not be fast."""
        return self.reply(exchange, _encode(document), status=status)

    def error(self, exchange: Exchange, error: DkvError, extra: str = "") -> Response:
        """An error's status, headers and body. ``extra``: header lines."""
        if error.status == 307 and not self._leads_elsewhere(error.leader):
            error = NoLeader("This node is not the leader, and does not know yet which one is. Nothing was done.")
        document: dict[str, Any] = {
            "error": error.message,
            "code": error.code,
            "outcome": error.outcome if exchange.mutates else Outcome.NOT_APPLIED,
            "retryable": error.retryable,
            "request_id": exchange.request_id,
        }
        if error.leader is not None:
            document["leader"] = {"id": error.leader.id, "rest": error.leader.rest}
        if error.status == 307:
            assert error.leader is not None
            extra += f"Location: http://{error.leader.rest}{exchange.target}\r\n"
        if error.retry_after_s is not None or error.status in _LATER:
            wait_s = RETRY_AFTER_S if error.retry_after_s is None else error.retry_after_s
            # The header knows whole seconds only (RFC 9110 10.2.3); an election is over long before one has passed.
            document["retry_after_s"] = wait_s
            extra += f"Retry-After: {max(1, math.ceil(wait_s))}\r\n"
        document.update(error.details)
        # What is left of a body that was refused must not be taken for the next request.
        close = error.code in _CLOSING or not exchange.is_read
        return self.reply(exchange, _encode(document), status=error.status, extra=extra, close=close)

    def _leads_elsewhere(self, leader: LeaderHint | None) -> bool:
        """A redirect to ourselves would be followed for ever."""
        return leader is not None and leader.id != self._view().node

    def _compose_origin(self, view: View) -> None:
        self._leader, self._term = view.leader, view.term
        leader = f"X-DKV-Leader: {view.leader.id}\r\n" if view.leader is not None else ""
        self._origin = f"X-DKV-Node: {view.node}\r\n{leader}X-DKV-Term: {view.term}\r\n"
