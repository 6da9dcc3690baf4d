"""Requests over TCP that the kernel wants made: dial, write, read the one answer, all before its deadline."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final

from dkv.gossip.agent.faulty_links import FaultyLinks
from dkv.gossip.agent.reception import CHUNK_BYTES, Reception
from dkv.gossip.agent.tally import Tally
from dkv.gossip.memberlist.events import StreamRequest
from dkv.gossip.wire.limits import BadPacket, TooLarge
from dkv.gossip.wire.packets import Envelope
from dkv.gossip.wire.streams import StreamMessage, encode_stream

DIALS_MAX: Final = 64
"""At one time; the others wait, within their deadlines. An operator may name as many places to join."""


class NoAnswer(Exception):
    """The text is the reason, for people."""


class Dialling:
    """``host``: ours, as the others know it. ``get_envelope``: keys rotate. ``new_nonce``: 12 fresh random bytes."""

    def __init__(
        self,
        host: str,
        reception: Reception,
        tally: Tally,
        get_envelope: Callable[[], Envelope],
        new_nonce: Callable[[], bytes],
        links: FaultyLinks | None,
    ) -> None:
        self._host, self._reception, self._tally = host, reception, tally
        self._get_envelope, self._new_nonce, self._links = get_envelope, new_nonce, links
        self._room = asyncio.Semaphore(DIALS_MAX)

    async def ask(self, request: StreamRequest, timeout_s: float) -> StreamMessage:
        """Raises ``NoAnswer``."""
        try:
            async with asyncio.timeout(timeout_s), self._room:
                return await self._exchange(request)
        except TimeoutError:
            raise NoAnswer("no answer in time") from None
        except OSError as error:
            raise NoAnswer(os.strerror(error.errno) if error.errno else str(error)) from None
        except BadPacket as bad:
            self._tally.refused[bad.kind] += 1
            raise NoAnswer(f"its answer was not understood: {bad}") from None
        except TooLarge as error:
            raise NoAnswer(str(error)) from None

    async def _exchange(self, request: StreamRequest) -> StreamMessage:
        envelope = self._get_envelope()
        nonce = self._new_nonce() if envelope.keyring is not None else b""
        data = encode_stream(request.request, envelope, dialling=True, nonce=nonce)
        name = None if self._links is None else self._links.name_at(request.address)
        if self._links is not None:
            await self._links.pass_out(name, len(data))
        reader, writer = await asyncio.open_connection(*request.address, local_addr=(self._host, 0), limit=CHUNK_BYTES)
        try:
            self._tally.streams_opened += 1
            self._tally.stream_bytes_sent += len(data)
            writer.write(data)
            answer = await self._reception.read(reader, envelope, dialling=True)
            if self._links is not None:
                await self._links.pass_in(name, len(data))
            return answer
        finally:
            writer.transport.abort()
