"""The UDP socket on the event loop, read by hand: before a timer fires, all that waits has to come in.

A loop's own transport gives one datagram, or some, and then the timers their turn: a member that was late would suspect
others whose acks lie in its socket.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from dkv.gossip.agent.tally import Tally
from dkv.gossip.wire.limits import DATAGRAM_BYTES_MAX
from dkv.gossip.wire.particulars import Address

TURN_PACKETS_MAX: Final = 64
"""In one turn of the loop: some milliseconds; whoever floods us must not keep the others waiting."""

DRAINED_PACKETS_MAX: Final = 1024
"""Before a timer. A full receive buffer of the usual size holds a few hundred packets."""


class Datagrams:
    """``take`` gets each one, ``after`` is called at the end of a turn that had any."""

    def __init__(
        self, sock: socket.socket, tally: Tally, take: Callable[[bytes, Address], None], after: Callable[[], None]
    ) -> None:
        self._socket, self._tally, self._take, self._after = sock, tally, take, after
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> None:
        """Begin to read."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._turn)

    def close(self) -> None:
        """A second time nothing happens."""
        if self._loop is not None:
            self._loop.remove_reader(self._socket)
            self._loop = None
        self._socket.close()

    def drain(self, packets_max: int = DRAINED_PACKETS_MAX) -> None:
        """All that waits, up to a limit."""
        for _ in range(packets_max if self._loop is not None else 0):
            try:
                data, source = self._socket.recvfrom(DATAGRAM_BYTES_MAX)
            except OSError:  # nothing more; or news of an earlier packet that did not arrive, which is no news here
                return
            self._tally.packets_received += 1
            self._tally.bytes_received += len(data)
            self._take(data, Address(source[0], source[1]))

    def send(self, data: bytes, address: Address) -> None:
        """As far as the system will: what it does not take is lost, as packets are. Addresses are others' words."""
        try:
            self._socket.sendto(data, address)
        except OSError:
            self._tally.send_failures += 1
            return
        self._tally.packets_sent += 1
        self._tally.bytes_sent += len(data)

    def _turn(self) -> None:
        self.drain(TURN_PACKETS_MAX)
        self._after()
