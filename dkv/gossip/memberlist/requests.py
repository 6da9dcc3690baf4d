"""Requests over TCP, which the shell makes for us: each is kept until it reports, or its deadline passes."""

from __future__ import annotations

from collections.abc import Callable

from dkv.gossip.memberlist.events import StreamRequest
from dkv.gossip.memberlist.timers import Timer, Timers
from dkv.gossip.wire.messages import Ack, Ping
from dkv.gossip.wire.particulars import Address
from dkv.gossip.wire.push_pull import PushPull
from dkv.gossip.wire.streams import StreamMessage

Finish = Callable[[StreamMessage | None, str, float], object]
"""``(answer, reason, now)``: the answer, or None and why there is none, for people."""


class Requests:
    """Requests over TCP under way."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._finishes: dict[int, Finish] = {}
        self._requests: list[StreamRequest] = []
        self._last = 0

    def open(self, address: Address, request: Ping | PushPull, deadline: float, finish: Finish) -> None:
        """Ask the shell for one; ``finish`` is called once, at the deadline at the latest."""
        self._last += 1
        self._finishes[self._last] = finish
        self._timers.set(Timer.STREAM, deadline, self._last)
        self._requests.append(
            StreamRequest(stream=self._last, address=address, request=request, deadline=deadline),
        )

    def ping(self, address: Address, ping: Ping, deadline: float, reached: Callable[[int], None]) -> None:
        """``reached`` is called with the ping's sequence number if it is answered."""

        def finish(answer: StreamMessage | None, reason: str, now: float) -> None:
            if isinstance(answer, Ack) and answer.sequence == ping.sequence:
                reached(ping.sequence)

        self.open(address, ping, deadline, finish)

    def finish(self, stream: int, answer: StreamMessage | None, reason: str, now: float) -> None:
        """Nothing if it is finished already: a report may cross its deadline."""
        finish = self._finishes.pop(stream, None)
        if finish is not None:
            self._timers.cancel(Timer.STREAM, stream)
            finish(answer, reason, now)

    def drain(self) -> list[StreamRequest]:
        """Everything since the last time."""
        requests, self._requests = self._requests, []
        return requests
