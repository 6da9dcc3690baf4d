"""Keys before a block: requests sent over a few connections, each as soon as the one before it was acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator

from harness.bench.dialects import Request
from harness.bench.http_link import connect
from harness.errors import HarnessError

CONNECTIONS = 8
"""Enough to fill the servers' batches, too few to overload anybody."""
BATCH_BYTES_MAX = 256 << 10
"""Of values in one request: below every system's limit for a request (etcd's is the lowest, 1.5 MiB; with base64)."""
ATTEMPTS = 20
PAUSE_S = 0.2
"""Before a request that was refused (busy, no leader) is sent again; a set may be done twice."""


async def fill(address: str, requests: Iterable[Request]) -> None:
    """Returns when each was acknowledged. Raises HarnessError if one is refused for good."""
    left = iter(requests)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(_work(address, left))
    except* HarnessError as errors:
        raise errors.exceptions[0] from None


async def _work(address: str, left: Iterator[Request]) -> None:
    answered: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue(1)
    link = await connect(address, lambda status, body: answered.put_nowait((status, body)), keep_bodies=True)
    for request in left:
        await _until_acknowledged(request.encoded(address), link.send, answered)
    link.close()


async def _until_acknowledged(
    request: bytes, send: Callable[[bytes], None], answered: asyncio.Queue[tuple[int, bytes]]
) -> None:
    status, body = 0, b""
    for _ in range(ATTEMPTS):
        send(request)
        status, body = await answered.get()
        if status == 200:
            return
        if status == 0:
            break
        await asyncio.sleep(PAUSE_S)
    raise HarnessError(f"a request that loads keys was answered {status or 'by a lost connection'}: {body[:200]!r}")
