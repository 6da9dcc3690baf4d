"""Where Serf's own command line is served: ``RpcSession`` over TCP. For operators, not for members.

Each connection writes only as fast as its client reads: what waits is in the session, which knows its bounds.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from dkv.clock import Clock
from dkv.errors import StartupError
from dkv.gossip.agent.lookup import NotFound, look_up
from dkv.gossip.agent.tally import Tally
from dkv.gossip.kernel import Kernel, KernelEvent
from dkv.gossip.rpc.log_tail import LogLine, LogTail
from dkv.gossip.rpc.session import JoinWish, RpcSession
from dkv.gossip.wire.particulars import Address

SESSIONS_MAX: Final = 64
"""Connections. A monitor keeps one for days, a command one for milliseconds."""

FIRST_WORD_S: Final = 10.0
"""A connection that has said nothing for so long is closed."""

FAREWELL_S: Final = 1.0
"""For what is still to be written when we stop: the answer to ``serf leave``."""

DEFAULT_PORT: Final = 7946
"""Serf's, for ``serf join HOST``."""

Stats = Callable[[], Mapping[str, Mapping[str, str]]]


class RpcPort:
    """``wake``: the kernel was asked for something."""

    def __init__(
        self,
        kernel: Kernel,
        *,
        clock: Clock,
        tally: Tally,
        log_tail: LogTail,
        stats: Stats,
        token: str,
        own_tags: Callable[[], frozenset[str]],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        wake: Callable[[], None],
    ) -> None:
        self._kernel, self._clock, self._tally = kernel, clock, tally
        self._log_tail, self._stats, self._token, self._own_tags = log_tail, stats, token, own_tags
        self._spawn, self._wake = spawn, wake
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self.address: Address | None = None

    def __len__(self) -> int:
        """Connections."""
        return len(self._connections)

    async def open(self, address: Address) -> None:
        """Raises ``StartupError``."""
        try:
            self._server = await asyncio.start_server(self._arrive, *address, limit=64 * 1024)
        except (OSError, OverflowError) as error:
            why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
            raise StartupError(f"cannot listen on {address.host}:{address.port} for the gossip RPC: {why}") from error
        self.address = Address(address.host, self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """After what there is to say."""
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.end()
        try:
            async with asyncio.timeout(FAREWELL_S):
                for connection in list(self._connections):
                    await connection.over.wait()
        except TimeoutError:
            for connection in list(self._connections):
                connection.abort()

    def deliver(self, event: KernelEvent, now: float) -> None:
        """Everybody hears of everything."""
        for connection in self._connections:
            connection.session.deliver(event, now)
            connection.news.set()

    def log(self, line: LogLine) -> None:
        """For those who watch."""
        for connection in self._connections:
            connection.session.log(line)
            connection.news.set()

    def _arrive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= SESSIONS_MAX:
            self._tally.refused["rpc busy"] += 1
            writer.transport.abort()
            return
        session = RpcSession(
            self._kernel, log_tail=self._log_tail, stats=self._stats, token=self._token, own_tags=self._own_tags()
        )
        connection = _Connection(session, reader, writer)
        self._connections.add(connection)
        self._spawn(self._serve(connection))

    async def _serve(self, connection: _Connection) -> None:
        try:
            await connection.serve(lambda data: self._take(connection, data))
        except* OSError:
            pass  # the client went away
        finally:
            self._connections.discard(connection)
            connection.abort()

    def _take(self, connection: _Connection, data: bytes) -> None:
        connection.session.receive(data, self._clock.now())
        for wish in connection.session.wishes():
            self._spawn(self._fulfil(connection, wish))
        self._wake()

    async def _fulfil(self, connection: _Connection, wish: JoinWish) -> None:
        addresses, failures = list[Address](), dict[str, str]()
        for place in wish.places:
            try:
                addresses.append(await look_up(place, DEFAULT_PORT))
            except NotFound as error:
                failures[place] = str(error)
        connection.session.looked_up(wish, addresses, failures, self._clock.now())
        connection.news.set()
        self._wake()


class _Connection:
    """One client. ``over``: it is closed."""

    def __init__(self, session: RpcSession, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.session, self.news, self.over = session, asyncio.Event(), asyncio.Event()
        self._reader, self._writer = reader, writer
        self._written = asyncio.Event()
        writer.transport.set_write_buffer_limits(0)

    def end(self) -> None:
        """After what there is to say."""
        self.session.closed = True
        self.news.set()

    def abort(self) -> None:
        """Now."""
        self._writer.transport.abort()
        self.over.set()

    async def serve(self, take: Callable[[bytes], None]) -> None:
        """``take`` gets what comes. Raises ``OSError`` (in a group)."""
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self._read(take))
            await self._write()
            reading.cancel()

    async def _read(self, take: Callable[[bytes], None]) -> None:
        timeout_s: float | None = FIRST_WORD_S
        while not self.session.closed:
            async with asyncio.timeout(timeout_s):
                data = await self._reader.read(64 * 1024)
            if not data:
                break
            timeout_s = None
            take(data)
            self._written.clear()
            self.news.set()
            await self._written.wait()  # no more requests than somebody reads answers
        self.end()

    async def _write(self) -> None:
        while True:
            await self.news.wait()
            self.news.clear()
            closed = self.session.closed
            while data := self.session.data_to_send():
                self._writer.write(data)
                await self._writer.drain()
            self._written.set()
            if closed:
                return
