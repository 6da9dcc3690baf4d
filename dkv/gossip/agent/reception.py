"""One message read from a connection, with bounds on memory and on what the event loop has to wait for."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from dkv.gossip.agent.tally import Tally
from dkv.gossip.wire.limits import BadPacket
from dkv.gossip.wire.packets import Envelope
from dkv.gossip.wire.streams import StreamMessage, StreamReader

CHUNK_BYTES: Final = 64 * 1024

INLINE_BYTES_MAX: Final = 8 * 1024
"""What is larger is decoded in a thread: compressed, this much takes the loop 20 ms already."""

LARGE_BYTES: Final = 64 * 1024
LARGE_MAX: Final = 4
"""So many messages that are larger than that are read at one time, the others wait in their sockets: two megabytes each
are too many for every connection that a stranger may open."""


class Reception:
    """Shared by all connections of a member."""

    def __init__(self, tally: Tally) -> None:
        self._tally, self._closed = tally, False
        self._large = asyncio.Semaphore(LARGE_MAX)
        # One: decoding holds the interpreter's lock, and nobody gains by two.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gossip-decoding")

    async def read(self, reader: asyncio.StreamReader, envelope: Envelope, *, dialling: bool) -> StreamMessage:
        """Raises ``BadPacket``; ``OSError`` if the connection ends; no time limit."""
        message = StreamReader(envelope, dialling=dialling)
        size_bytes, done = 0, None
        while done is None and size_bytes <= LARGE_BYTES:
            data = await self._chunk(reader, size_bytes)
            size_bytes += len(data)
            done = await self._feed(message, data, size_bytes)
        if done is not None:
            return done
        async with self._large:
            while done is None:
                data = await self._chunk(reader, size_bytes)
                size_bytes += len(data)
                done = await self._feed(message, data, size_bytes)
        return done

    def close(self) -> None:
        """What is being decoded is of no interest any more."""
        self._closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _chunk(self, reader: asyncio.StreamReader, so_far_bytes: int) -> bytes:
        data = await reader.read(CHUNK_BYTES)
        if data:
            self._tally.stream_bytes_received += len(data)
            return data
        if so_far_bytes:
            raise BadPacket("a message that ends too early")
        raise ConnectionResetError("it was closed without a word")

    async def _feed(self, message: StreamReader, data: bytes, size_bytes: int) -> StreamMessage | None:
        if size_bytes <= INLINE_BYTES_MAX:
            return message.feed(data)
        if self._closed:
            raise ConnectionAbortedError("this member stops")
        return await asyncio.get_running_loop().run_in_executor(self._thread, message.feed, data)
