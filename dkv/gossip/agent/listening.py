"""Requests over TCP that others make: one message in, at most one out, and the connection is closed.

Strangers may open as many as they like: beyond a limit the oldest goes, since an honest exchange takes milliseconds.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any, Final

from dkv.gossip.agent.faulty_links import FaultyLinks
from dkv.gossip.agent.reception import CHUNK_BYTES, Reception
from dkv.gossip.agent.tally import Tally
from dkv.gossip.wire.limits import BadPacket, TooLarge
from dkv.gossip.wire.messages import ErrorReply
from dkv.gossip.wire.packets import Envelope
from dkv.gossip.wire.particulars import Address
from dkv.gossip.wire.streams import StreamMessage, encode_stream

STREAMS_MAX: Final = 64
"""At one time; a cluster of thousands has a handful."""

Answer = Callable[[StreamMessage, Address], StreamMessage | None]
"""A request and whence it came → the answer; None: close without one."""


class Listening:
    """``refused(kind, source, why)`` hears of those that came in vain."""

    def __init__(
        self,
        reception: Reception,
        tally: Tally,
        answer: Answer,
        get_envelope: Callable[[], Envelope],
        new_nonce: Callable[[], bytes],
        refused: Callable[[str, Address, str], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        timeout_s: float,
        links: FaultyLinks | None,
    ) -> None:
        self._reception, self._tally, self._answer = reception, tally, answer
        self._get_envelope, self._new_nonce, self._refused = get_envelope, new_nonce, refused
        self._spawn, self._timeout_s, self._links = spawn, timeout_s, links
        self._server: asyncio.Server | None = None
        self._writers: dict[asyncio.StreamWriter, None] = {}

    async def open(self, sock: socket.socket) -> None:
        """``sock`` is bound, and ours from now on."""
        self._server = await asyncio.start_server(self._arrive, sock=sock, limit=CHUNK_BYTES, backlog=STREAMS_MAX)

    def close(self) -> None:
        """At once."""
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    def _arrive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._writers) >= STREAMS_MAX:
            oldest = next(iter(self._writers))
            del self._writers[oldest]
            oldest.transport.abort()
            self._tally.refused["busy"] += 1
        self._writers[writer] = None
        self._tally.streams_accepted += 1
        self._spawn(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        source = Address(*(writer.get_extra_info("peername") or ("?", 0))[:2])
        writer.transport.set_write_buffer_limits(0)  # ``drain`` returns when all is out
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._exchange(reader, writer, source)
            writer.close()
        except TimeoutError:
            self._refused("timeout", source, "no whole request, or no time to take the answer")
        except TooLarge as error:
            self._refused("answer", source, str(error))
        except OSError:
            self._tally.refused["connection"] += 1
        finally:
            self._writers.pop(writer, None)
            if not writer.is_closing():
                writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, source: Address) -> None:
        envelope = self._get_envelope()
        name = None
        try:
            request = await self._reception.read(reader, envelope, dialling=False)
        except BadPacket as bad:
            self._refused(bad.kind, source, str(bad))
            answer: StreamMessage | None = ErrorReply(error=str(bad))  # for the operator over there
        else:
            if self._links is not None:
                name = self._links.sender_of(request, source)
                await self._links.pass_in(name, 0)
            answer = self._answer(request, source)
        if answer is None:
            return
        envelope = self._get_envelope()
        nonce = self._new_nonce() if envelope.keyring is not None else b""
        data = encode_stream(answer, envelope, dialling=False, nonce=nonce)
        if self._links is not None:
            await self._links.pass_out(name, len(data))
        self._tally.stream_bytes_sent += len(data)
        writer.write(data)
        await writer.drain()
