"""Moves bytes and time between the kernel and the world, and does nothing else.

A pump: events out, then packets, then streams, then the timer anew. Before a timer fires all datagrams that wait come
in: there are the answers for which it waited.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from dkv.clock import Clock
from dkv.gossip.agent.datagrams import Datagrams
from dkv.gossip.agent.dialling import Dialling, NoAnswer
from dkv.gossip.agent.faulty_links import FaultyLinks
from dkv.gossip.agent.listening import Listening
from dkv.gossip.agent.reception import Reception
from dkv.gossip.agent.sockets import Sockets
from dkv.gossip.agent.tally import Tally
from dkv.gossip.kernel import Kernel, KernelEvent
from dkv.gossip.memberlist.events import StreamRequest
from dkv.gossip.memberlist.profiles import Profile
from dkv.gossip.wire.packets import Envelope
from dkv.gossip.wire.particulars import Address
from dkv.gossip.wire.streams import StreamMessage

LOOK_AGAIN_S: Final = 1.0
"""At the latest. The kernel wants to be called every half second anyway; a clock whose rate changes meanwhile could
make us sleep much longer."""


class Driver:
    """``deliver(event, now)`` gets each event, ``settle(now)`` is called after them, before anything is sent."""

    def __init__(
        self,
        kernel: Kernel,
        sockets: Sockets,
        profile: Profile,
        *,
        clock: Clock,
        tally: Tally,
        new_nonce: Callable[[], bytes],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        deliver: Callable[[KernelEvent, float], None],
        settle: Callable[[float], None],
        refused: Callable[[str, Address, str], None],
        links: FaultyLinks | None,
    ) -> None:
        self._kernel, self._profile, self._clock, self._spawn = kernel, profile, clock, spawn
        self._deliver, self._settle, self._links = deliver, settle, links
        self._listener = sockets.tcp
        self._reception = Reception(tally)
        self._datagrams = Datagrams(sockets.udp, tally, self._arrive, self.pump)
        self._dialling = Dialling(sockets.address.host, self._reception, tally, self._envelope, new_nonce, links)
        self._listening = Listening(
            self._reception,
            tally,
            self._answer,
            self._envelope,
            new_nonce,
            refused,
            spawn,
            profile.stream_timeout_s,
            links,
        )
        self._timer: asyncio.TimerHandle | None = None
        self._wake: asyncio.Handle | None = None
        self._closed = False

    async def open(self) -> None:
        """Begin. Raises ``OSError``."""
        await self._listening.open(self._listener)
        self._datagrams.open()
        self.pump()

    def close(self) -> None:
        """At once, without a word; a second time nothing happens."""
        self._closed = True
        for handle in (self._timer, self._wake):
            if handle is not None:
                handle.cancel()
        self._datagrams.close()
        self._listening.close()
        self._listener.close()
        self._reception.close()
        if self._links is not None:
            self._links.close()

    def wake(self) -> None:
        """A pump soon: the kernel was asked for something."""
        if self._wake is None and not self._closed:
            self._wake = asyncio.get_running_loop().call_soon(self.pump)

    def pump(self) -> None:
        """All that the kernel has to say."""
        if self._closed:
            return
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        try:
            self._empty(self._clock.now())
        finally:  # whatever was wrong with one event: who stops to answer is dead
            self._set_timer()

    def _empty(self, now: float) -> None:
        while (event := self._kernel.next_event(now)) is not None:
            self._deliver(event, now)
        self._settle(now)
        if self._closed:
            return
        for data, address in self._kernel.packets_to_send(now):
            if self._links is None:
                self._datagrams.send(data, address)
            else:
                self._links.send(self._datagrams.send, data, address)
        for request in self._kernel.streams_to_open(now):
            self._spawn(self._ask(request))

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self._closed:
            pause_s = min(self._clock.until(self._kernel.next_timer()), LOOK_AGAIN_S)
            self._timer = asyncio.get_running_loop().call_later(pause_s, self._fire)

    def _fire(self) -> None:
        self._datagrams.drain()
        if not self._closed:
            self._kernel.fire_timer(self._clock.now())
        self.pump()

    # --- datagrams ----------------------------------------------------------------------------------------------------

    def _arrive(self, data: bytes, source: Address) -> None:
        if self._links is None:
            self._take(data, source)
        else:
            self._links.receive(self._take_and_wake, data, source)

    def _take(self, data: bytes, source: Address) -> None:
        self._kernel.receive_packet(data, source, self._clock.now())

    def _take_and_wake(self, data: bytes, source: Address) -> None:
        if not self._closed:
            self._take(data, source)
            self.wake()

    # --- streams ------------------------------------------------------------------------------------------------------

    def _envelope(self) -> Envelope:
        return self._kernel.swim.envelope

    def _answer(self, request: StreamMessage, source: Address) -> StreamMessage | None:
        answer = self._kernel.receive_stream(request, source, self._clock.now())
        self.wake()
        return answer

    async def _ask(self, request: StreamRequest) -> None:
        timeout_s = min(self._clock.until(request.deadline), self._profile.stream_timeout_s)
        try:
            answer = await self._dialling.ask(request, timeout_s)
        except NoAnswer as error:
            report: Callable[[float], None] = partial(self._kernel.stream_failed, request.stream, str(error))
        else:
            report = partial(self._kernel.stream_done, request.stream, answer)
        report(self._clock.now())
        self.wake()
