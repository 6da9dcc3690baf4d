"""A node's links to its peers: one listening door, and one dialled link to each other node of the directory.

Each node dials every other one and uses that connection only to send. This file owns the tasks, one for each dialled
peer. All call-backs come from the event loop, never from within ``send`` or ``set_addresses``; for each node ``on_up``
and ``on_down`` alternate, beginning with ``on_up``; after ``close`` was called there are none.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from dkv.addresses import loopback_source
from dkv.clock import Clock
from dkv.faults.links import LinkFaults
from dkv.net.backoff import Backoff
from dkv.net.door import Door, bind
from dkv.net.frames import Frame
from dkv.net.handshake import Acceptor, Dialler
from dkv.net.links import OnFrame, close_all
from dkv.net.options import Options
from dkv.net.sender import LinkState, Sender

if TYPE_CHECKING:
    import random

NodeId = str


class OnDown(Protocol):
    """``reset``: the other side closed or reset the connection, a hint that its process died."""

    def __call__(self, node: NodeId, *, reset: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """One peer as this node's links see it. Bytes and frames are those of the present links."""

    state: LinkState
    address: str | None
    connected_since: float | None
    """On the node's clock."""
    rtt_s: float | None
    queued_bytes: int
    bytes_out: int
    frames_out: int
    frames_dropped: int
    """Since this address is in the directory: sent while there was no link, or when its queue was full."""
    inbound: bool
    bytes_in: int
    frames_in: int
    last_error: str | None


class Peers:
    """``start``, ``set_addresses``, ``send``; ``close`` at the end. ``tls``: contexts for (dialling, accepting)."""

    def __init__(
        self,
        me: NodeId,
        cluster: str,
        secret: bytes | None,
        *,
        on_frame: OnFrame,
        on_up: Callable[[NodeId], None],
        on_down: OnDown,
        on_inbound_lost: Callable[[NodeId], None],
        clock: Clock,
        rng: random.Random,
        bind_host: str = "127.0.0.1",
        bind_port: int = 0,
        tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None,
        options: Options | None = None,
        faults: LinkFaults | None = None,
    ) -> None:
        self.address = f"{bind_host}:{bind_port}"
        """``host:port`` to be dialled; with the true port once ``start`` returned."""
        self._me, self._cluster, self._secret = me, cluster, secret
        self._on_up, self._on_down = on_up, on_down
        self._clock, self._rng = clock, rng
        self._bind_host, self._bind_port = bind_host, bind_port
        self._source, self._faults = loopback_source(bind_host), faults
        self._dial_tls = tls[0] if tls is not None else None
        self._options = options if options is not None else Options()
        self._door = Door(
            partial(Acceptor, cluster, secret, me),
            on_frame=on_frame,
            on_inbound_up=self._inbound_up,
            on_inbound_lost=on_inbound_lost,
            clock=clock,
            options=self._options,
            tls=tls[1] if tls is not None else None,
            faults=faults,
        )
        self._senders: dict[NodeId, Sender] = {}
        self._tasks: dict[Sender, asyncio.Task[None]] = {}
        self._upkeep: asyncio.TimerHandle | None = None
        self._closing = False

    async def start(self, listener: socket.socket | None = None) -> None:
        """Listen, on ``listener`` (from ``door.bind``) if one is given. Raises ``StartupError``: address taken."""
        assert self._upkeep is None, "started twice"
        if listener is None:
            listener = bind(self._bind_host, self._bind_port)
        host = f"[{self._bind_host}]" if ":" in self._bind_host else self._bind_host
        self.address = f"{host}:{listener.getsockname()[1]}"
        await self._door.open(listener)
        self._schedule_pings()

    def set_addresses(self, addresses: Mapping[NodeId, str]) -> None:
        """The directory: identity → ``host:port``. Dials who is new or has moved, closes the links of who left."""
        assert self._upkeep is not None, "start() first"
        if self._closing:
            return
        for node in self._senders.keys() - addresses.keys():
            self._tasks[self._senders.pop(node)].cancel()
            self._door.turn_out(node, "it left the directory")
        for node, address in addresses.items():
            old = self._senders.get(node)
            if node != self._me and (old is None or old.address != address):
                if old is not None:
                    self._tasks[old].cancel()
                self._senders[node] = self._new_sender(node, address)

    def send(self, node: NodeId, frames: Sequence[Frame]) -> None:
        """One write of all ``frames`` to ``node``. Without a live link, or beyond its queue's limit, they are lost.

        What was lost on a live link brings that link down (``on_down``, then a new ``on_up``).
        """
        sender = self._senders.get(node)
        if sender is not None:
            sender.send(frames)

    def is_up(self, node: NodeId) -> bool:
        """Whether our sending link to ``node`` is up."""
        sender = self._senders.get(node)
        return sender is not None and sender.state is LinkState.UP

    def status(self) -> dict[NodeId, PeerStatus]:
        """Of every node of the directory, and of any other that is connected to us."""
        return {node: self._status_of(node) for node in sorted({*self._senders, *self._door.inbound})}

    @property
    def refused_connections(self) -> int:
        """How many inbound connections ended before they had proven to be of this cluster."""
        return self._door.refused_connections

    async def close(self) -> None:
        """Close every connection, after a moment for queued bytes to leave, and end every task."""
        self._closing = True
        if self._upkeep is not None:
            self._upkeep.cancel()
        if self._faults is not None:
            self._faults.close()
        for sender in self._tasks:
            sender.retire()
        links = [s.link for s in self._tasks if s.link is not None and s.state is LinkState.UP]
        await close_all(links, self._options.close_deadline_s)
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._door.close()

    def _new_sender(self, node: NodeId, address: str) -> Sender:
        sender = Sender(
            node,
            address,
            partial(Dialler, self._cluster, self._secret, self._me, expected=node),
            on_up=partial(self._link_up, node),
            on_down=partial(self._link_down, node),
            backoff=Backoff(self._options.backoff_min_s, self._options.backoff_max_s, self._rng),
            clock=self._clock,
            options=self._options,
            tls=self._dial_tls,
            source=self._source,
            faults=self._faults,
        )
        after = [task for other, task in self._tasks.items() if other.node == node]
        task = asyncio.get_running_loop().create_task(sender.run(after), name=f"peer {node}")
        self._tasks[sender] = task
        task.add_done_callback(partial(self._ended, sender))
        return sender

    def _ended(self, sender: Sender, task: asyncio.Task[None]) -> None:
        del self._tasks[sender]
        if not task.cancelled() and (error := task.exception()) is not None:
            context = {"message": f"the task of peer {sender.node} failed", "exception": error, "task": task}
            task.get_loop().call_exception_handler(context)

    def _schedule_pings(self) -> None:
        loop = asyncio.get_running_loop()
        self._upkeep = loop.call_later(self._options.ping_interval_s, self._ping_all)

    def _ping_all(self) -> None:
        for sender in self._senders.values():
            sender.ping()
        self._schedule_pings()

    def _inbound_up(self, node: NodeId) -> None:
        sender = self._senders.get(node)
        if sender is not None:
            sender.dial_soon()

    def _link_up(self, node: NodeId) -> None:
        if not self._closing:
            self._on_up(node)

    def _link_down(self, node: NodeId, reset: bool) -> None:
        if not self._closing:
            self._on_down(node, reset=reset)

    def _status_of(self, node: NodeId) -> PeerStatus:
        sender, inbound = self._senders.get(node), self._door.inbound.get(node)
        link = sender.link if sender is not None else None
        return PeerStatus(
            state=sender.state if sender is not None else LinkState.UNDIALLED,
            address=sender.address if sender is not None else None,
            connected_since=sender.connected_since if sender is not None else None,
            rtt_s=link.rtt_s if link is not None else None,
            queued_bytes=link.queued_bytes if link is not None else 0,
            bytes_out=link.sent_bytes if link is not None else 0,
            frames_out=link.sent_frames if link is not None else 0,
            frames_dropped=sender.dropped_frames if sender is not None else 0,
            inbound=inbound is not None,
            bytes_in=inbound.received_bytes if inbound is not None else 0,
            frames_in=inbound.received_frames if inbound is not None else 0,
            last_error=sender.last_error if sender is not None else None,
        )
