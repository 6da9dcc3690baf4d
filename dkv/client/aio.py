"""The asyncio client, on aiohttp: the same surface as ``sync.Client``, awaited.

A thin shell: ``core.Operation`` decides, this file sends, waits and asks again. The only file of the client
that knows aiohttp.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, TypeVar

import aiohttp

from dkv.client import calls
from dkv.client.calls import CHANGE_TIMEOUT_S, Call, Command
from dkv.client.core import Done, Event, Failed, Failure, Raise, Retry, Send
from dkv.client.history import History
from dkv.client.protocol import REPLY_BYTES_MAX, Answer, Reply
from dkv.client.session import Row, Session, address_of
from dkv.errors import DkvError

T = TypeVar("T")

CONNECTIONS_MAX = 1024
"""To all nodes together; a task that waits for one longer than it may connect counts as ``NOT_SENT``."""


class AsyncClient:
    """As ``sync.Client``, for one event loop; any number of its tasks may share one."""

    def __init__(
        self,
        nodes: str | Iterable[str],
        timeout: float = 5.0,
        level: str = "linearizable",
        retry: Retry | None = None,
        history: History | None = None,
        *,
        session: bool = False,
        idempotent: bool = True,
        process: int = 0,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self._session = Session(
            nodes,
            timeout_s=timeout,
            level=level,
            retry=retry,
            read_your_writes=session,
            idempotent=idempotent,
            history=history,
            process=process,
            clock=clock,
            # The system's source: forked copies of a client must never draw the same ids.
            rng=rng or random.SystemRandom(),
        )
        self._clock = clock
        self._http: aiohttp.ClientSession | None = None

    async def get(self, key: str, level: str | None = None) -> str | None:
        """The key's value, None if it has none."""
        row = await self.get_row(key, level)
        return None if row is None else row.value

    async def get_row(self, key: str, level: str | None = None) -> Row | None:
        """The key's value and revision, None if it has none."""
        answer = await self._run(self._session.get(key, level))
        return Row(answer.val, answer.revision) if answer.found and answer.val is not None else None

    async def set(
        self,
        key: str,
        value: str,
        *,
        cas: int | None = None,
        ttl: float | None = None,
        idempotent: bool | None = None,
    ) -> int:
        """Write; returns the new revision. ``cas``: only at this revision, 0: only if absent, else
        ``CasMismatch``.

        ``ttl``: seconds after which the key is gone.
        """
        return (await self._run(self._session.put(key, value, cas, ttl, idempotent))).revision

    async def delete(self, key: str, *, cas: int | None = None, idempotent: bool | None = None) -> bool:
        """Delete; returns whether the key was there."""
        return (await self._run(self._session.delete(key, cas, idempotent))).found

    async def batch(
        self, commands: Sequence[Command], level: str | None = None, *, idempotent: bool | None = None
    ) -> list[Answer | DkvError]:
        """Commands (``{"cmd": "set", "key": …, "val": …}``) in one Raft entry; each one's answer, or its
        error.
        """
        return await self._run(self._session.batch(commands, level, idempotent))

    async def status(self, node: str | None = None) -> dict[str, Any]:
        """``/status`` of the node at this address, or of any."""
        return await self._run(calls.status(), node)

    async def nodes(self) -> Any:
        """``/nodes``: members and voters, as one node sees them."""
        return await self._run(calls.nodes())

    async def leader(self) -> dict[str, Any]:
        """``/leader``: who leads, as one node sees it."""
        return await self._run(calls.leader())

    async def hashkv(self, node: str) -> dict[str, Any]:
        """Applied index and digest of the node at this address: equal index must mean equal digest."""
        return await self._run(calls.hashkv(), node)

    async def leave(self, name: str, *, timeout: float = CHANGE_TIMEOUT_S) -> Any:
        """Let the node of this name leave in order; it must be alive."""
        address = address_of(await self.nodes(), name)
        return await self._run(calls.leave(), address, timeout)

    async def remove(self, name: str, *, timeout: float = CHANGE_TIMEOUT_S) -> Any:
        """Take the node of this name, dead or alive, out of the cluster."""
        return await self._run(calls.remove(name), None, timeout)

    async def transfer(self, name: str | None = None, *, timeout: float = CHANGE_TIMEOUT_S) -> Any:
        """Hand the leadership to the node of this name, or to the one that is furthest."""
        return await self._run(calls.transfer(name), None, timeout)

    @property
    def process(self) -> int:
        """Who acts, in the history. After an ``info`` Jepsen's rule is to go on as somebody new."""
        return self._session.process

    @process.setter
    def process(self, process: int) -> None:
        self._session.process = process

    async def close(self) -> None:
        """Close the connections. Idempotent."""
        if self._http is not None:
            await self._http.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, call: Call[T], only: str | None = None, timeout_s: float | None = None) -> T:
        with self._session.recording(call) as recording:
            done = await self._drive(call, only, timeout_s)
            if recording is not None:
                recording.ok(done)
            return done.value

    async def _drive(self, call: Call[T], only: str | None, timeout_s: float | None) -> Done[T]:
        operation = self._session.operation(call, only, timeout_s)
        step = operation.start(self._clock())
        while True:
            if isinstance(step, Done):
                self._session.observe(step)
                return step
            if isinstance(step, Raise):
                raise step.error
            event: Event = None
            if isinstance(step, Send):
                event = await self._exchange(step)
            else:
                await asyncio.sleep(step.seconds)
            step = operation.advance(event, self._clock())

    async def _exchange(self, send: Send) -> Reply | Failed:
        timeout = aiohttp.ClientTimeout(
            total=send.timeout_s, connect=send.connect_timeout_s, sock_connect=send.connect_timeout_s
        )
        request = send.request
        try:
            async with self._connected().request(
                request.method,
                f"http://{send.node}{request.path}",
                data=request.body or None,
                headers=request.headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status, headers, await _read(response))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return Failed(Failure.NOT_SENT, _reason(error))
        except TimeoutError:
            return Failed(Failure.SILENT, "timed out")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Failed(Failure.LOST, _reason(error))

    def _connected(self) -> aiohttp.ClientSession:
        if self._http is None:
            connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX)
            self._http = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
            # aiohttp itself sends DELETE and PUT again when a kept-alive connection breaks: retrying is ours.
            self._http._retry_connection = False
        return self._http


async def _read(response: aiohttp.ClientResponse) -> bytes:
    chunks: list[bytes] = []
    size_bytes = 0
    async for chunk in response.content.iter_any():
        size_bytes += len(chunk)
        if size_bytes > REPLY_BYTES_MAX:
            raise ValueError(f"the reply has more than {REPLY_BYTES_MAX} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _reason(error: BaseException) -> str:
    cause = getattr(error, "os_error", error)
    return getattr(cause, "strerror", None) or str(cause) or type(error).__name__
