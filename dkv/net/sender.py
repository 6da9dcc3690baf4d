"""One peer's sending link, kept up: dial, shake hands, wait until it is lost, back off, dial again.

``run`` is the whole life, one task that ``Peers`` owns; when it ends, cancelled or not, its connection is closed.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
from collections.abc import Callable, Sequence
from enum import StrEnum

from dkv.clock import Clock
from dkv.faults.links import LinkFaults, name_in
from dkv.net.backoff import Backoff
from dkv.net.frames import Frame
from dkv.net.handshake import NONCE_BYTES, Dialler
from dkv.net.links import Outbound
from dkv.net.options import Options
from dkv.net.shaped import ShapedOutbound

log = logging.getLogger(__name__)


class LinkState(StrEnum):
    """Of a sending link."""

    UP = "up"
    DIALLING = "dialling"
    WAITING = "waiting"
    """Between two dials."""
    UNDIALLED = "undialled"
    """The peer is connected to us, but the directory does not name it."""


class Sender:
    """``on_up()`` and ``on_down(reset)`` alternate; both come from the loop, never from within a call."""

    def __init__(
        self,
        node: str,
        address: str,
        new_handshake: Callable[[bytes], Dialler],
        *,
        on_up: Callable[[], None],
        on_down: Callable[[bool], None],
        backoff: Backoff,
        clock: Clock,
        options: Options,
        tls: ssl.SSLContext | None,
        source: tuple[str, int] | None = None,
        faults: LinkFaults | None = None,
    ) -> None:
        """``source``: the address to dial from; None leaves it to the kernel."""
        self.node, self.address = node, address
        self.state = LinkState.DIALLING
        self.link: Outbound | None = None
        """The connection, proven (``state`` is UP) or not yet; None between two."""
        self.connected_since: float | None = None
        self.dropped_frames = 0
        self.last_error: str | None = None
        self._new_handshake = new_handshake
        self._on_up, self._on_down = on_up, on_down
        self._backoff, self._clock, self._options, self._tls = backoff, clock, options, tls
        self._source, self._faults = source, faults
        self._wake = asyncio.Event()
        self._retired = False

    def send(self, frames: Sequence[Frame]) -> None:
        """One write on the live link; without one the frames are dropped and counted."""
        if self.state is not LinkState.UP or self.link is None or not self.link.send(frames):
            self.dropped_frames += len(frames)

    def ping(self) -> None:
        """See ``Outbound.ping``."""
        if self.state is LinkState.UP and self.link is not None:
            self.link.ping()

    def dial_soon(self) -> None:
        """There is reason to believe that the peer is reachable: do not wait any longer."""
        self._wake.set()

    def retire(self) -> None:
        """The present connection is the last one: the node stops."""
        self._retired = True

    async def run(self, after: Sequence[asyncio.Task[None]]) -> None:
        """Until cancelled or retired. ``after``: cancelled senders to the same node, whose links go down first."""
        if after:
            await asyncio.wait(after)
        try:
            while not self._retired:
                await self._dial()
                self.state = LinkState.WAITING
                await self._wait(self._backoff.delay_s())
        finally:
            if self.link is not None:
                self.link.abort("given up by this node")
                await self.link.closed

    async def _dial(self) -> None:
        """One connection, from the first attempt to its end."""
        self.state = LinkState.DIALLING
        self._wake.clear()
        try:
            await self._connect()
        except TimeoutError:
            self._note(f"no connection within {self._options.connect_deadline_s:g} s")
        except (OSError, ValueError) as error:
            # asyncio raises some of them without a text.
            self._note(str(error) or type(error).__name__)
        if self.link is not None:
            # Shielded: cancelling this task must not cancel the future that others await as well.
            await asyncio.shield(self.link.closed)

    async def _connect(self) -> None:
        host, port = split_address(self.address)
        try:
            async with asyncio.timeout(self._options.connect_deadline_s):
                if self._faults is not None:
                    await self._faults.passage(name_in(self.node))
                await asyncio.get_running_loop().create_connection(
                    self._new_link, host, port, ssl=self._tls, local_addr=self._source
                )
        except BaseException:  # whatever ended the dial, cancellation above all
            if self.link is not None:
                self.link.forsake("given up by this node")
            raise

    async def _wait(self, delay_s: float) -> None:
        try:
            async with asyncio.timeout(delay_s):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _new_link(self) -> Outbound:
        handshake = self._new_handshake(secrets.token_bytes(NONCE_BYTES))
        if self._faults is not None:
            return ShapedOutbound(self, handshake, self._options, self._clock, self._faults, self.node)
        return Outbound(self, handshake, self._options, self._clock)

    def link_made(self, link: Outbound) -> None:
        self.link = link

    def link_up(self, link: Outbound) -> None:
        self.state = LinkState.UP
        self.connected_since = self._clock.now()
        self.last_error = None
        log.info("link to %s at %s is up", self.node, self.address)
        self._on_up()

    def link_lost(self, link: Outbound) -> None:
        self._note(link.ended or "closed")
        self.link = None
        if self.connected_since is None:
            return
        # A link that dies at once was no success: two processes that fight for one identity must not spin.
        if self._clock.now() - self.connected_since >= self._options.backoff_max_s:
            self._backoff.reset()
        self.state, self.connected_since = LinkState.WAITING, None
        self._on_down(link.reset)

    def _note(self, error: str) -> None:
        if error != self.last_error:
            log.info("no link to %s at %s: %s", self.node, self.address, error)
        self.last_error = error


def split_address(address: str) -> tuple[str, int]:
    """``host:port`` or ``[v6]:port`` → (host, port). Raises ``ValueError`` with a sentence."""
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise ValueError(f"not an address of the form host:port: {address!r}")
    return host.strip("[]"), int(port)
