"""The node's listening side: strangers are kept at the door, members get in, one connection each.

Three bounds protect it: how many connections may stand there unproven (one more turns out the oldest, because an honest
handshake takes milliseconds), how long each may take, and how many members may be inside. Of two connections of one
identity the newer wins: the older one's process is dead, or it dialled again because it gave that one up.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import ssl
from collections.abc import Callable

from dkv.clock import Clock
from dkv.errors import StartupError
from dkv.faults.links import LinkFaults
from dkv.net.handshake import NONCE_BYTES, Acceptor
from dkv.net.links import Inbound, OnFrame, close_all
from dkv.net.options import Options
from dkv.net.shaped import ShapedInbound

LISTEN_BACKLOG = 128
REFUSALS_LOGGED_INTERVAL_S = 1.0
"""At most one line a second about strangers: they must not fill the disk with logs either."""

log = logging.getLogger(__name__)


def bind(host: str, port: int) -> socket.socket:
    """Take the address (port 0: any free one) without listening yet. Raises ``StartupError``.

    For a node that must tell others its address before it knows which cluster it will serve.
    """
    if not 0 <= port < 65536:
        raise StartupError(f"cannot use {host}:{port} for the peers' connections: no such port")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise StartupError(f"cannot use {host}:{port} for the peers' connections: {error}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise StartupError(f"cannot listen on {host}:{port} for the peers: {error.strerror}") from error
    return sock


class Door:
    """Accepts, examines and keeps inbound links. ``inbound``: identity → its one proven link."""

    def __init__(
        self,
        new_handshake: Callable[[bytes], Acceptor],
        *,
        on_frame: OnFrame,
        on_inbound_up: Callable[[str], None],
        on_inbound_lost: Callable[[str], None],
        clock: Clock,
        options: Options,
        tls: ssl.SSLContext | None,
        faults: LinkFaults | None = None,
    ) -> None:
        self.inbound: dict[str, Inbound] = {}
        self.refused_connections = 0
        self._new_handshake = new_handshake
        self._on_frame, self._on_inbound_up, self._on_inbound_lost = on_frame, on_inbound_up, on_inbound_lost
        self._clock, self._options, self._tls, self._faults = clock, options, tls, faults
        self._server: asyncio.Server | None = None
        self._links: set[Inbound] = set()
        self._unproven: dict[Inbound, None] = {}
        self._closing = False
        self._logged_at = float("-inf")

    async def open(self, listener: socket.socket) -> None:
        """Listen. ``listener`` is bound and belongs to the door from now on."""
        self._server = await asyncio.get_running_loop().create_server(
            self._new_link,
            sock=listener,
            backlog=LISTEN_BACKLOG,
            ssl=self._tls,
            ssl_handshake_timeout=self._options.handshake_deadline_s if self._tls else None,
        )

    def turn_out(self, node: str, why: str) -> None:
        """Close the inbound link of ``node``, if there is one."""
        link = self.inbound.pop(node, None)
        if link is not None:
            link.abort(why)

    async def close(self) -> None:
        """Stop listening and close every connection; no call-back comes from now on."""
        self._closing = True
        if self._server is None:
            return
        self._server.close()
        await close_all(tuple(self._links), 0.0)
        await self._server.wait_closed()

    def _new_link(self) -> Inbound:
        handshake = self._new_handshake(secrets.token_bytes(NONCE_BYTES))
        if self._faults is not None:
            return ShapedInbound(self, handshake, self._options, self._on_frame, self._faults)
        return Inbound(self, handshake, self._options, self._on_frame)

    def link_made(self, link: Inbound) -> None:
        self._links.add(link)
        if self._closing:
            link.abort("this node stops")
            return
        if len(self._unproven) >= self._options.pending_max:
            oldest = next(iter(self._unproven))
            del self._unproven[oldest]
            oldest.abort("newer connections needed its place before it had proven anything")
        self._unproven[link] = None

    def link_up(self, link: Inbound) -> None:
        assert link.peer is not None, "up without a proof"
        del self._unproven[link]
        if link.peer not in self.inbound and len(self.inbound) >= self._options.inbound_max:
            link.abort(f"{self._options.inbound_max} peers are connected, the limit")
            self._log_refusal(link)
            return
        self.turn_out(link.peer, "replaced by a newer connection of the same node")
        self.inbound[link.peer] = link
        if not self._closing:
            self._on_inbound_up(link.peer)

    def link_lost(self, link: Inbound) -> None:
        self._links.discard(link)
        self._unproven.pop(link, None)
        if self._closing:
            return
        if link.peer is None:
            self._log_refusal(link)
        elif self.inbound.get(link.peer) is link:
            del self.inbound[link.peer]
            log.info("inbound link of %s lost: %s", link.peer, link.ended)
            if link.reset:
                self._on_inbound_lost(link.peer)

    def _log_refusal(self, link: Inbound) -> None:
        self.refused_connections += 1
        now = self._clock.now()
        if now - self._logged_at >= REFUSALS_LOGGED_INTERVAL_S:
            self._logged_at = now
            total = self.refused_connections
            log.warning("connection from %s not accepted: %s (%d so far)", link.remote, link.ended, total)
