"""The fault port: tests tell a node what to suffer. It exists only with ``--fault-port`` and only on 127.0.0.1.

``GET /faults`` → all that is in force; ``PUT /faults/{links,clock,disk,points}`` replaces one part; ``DELETE /faults``
heals all. Each answers with what is in force then. It has a listener and a server of its own and asks nothing of the
node, so it answers while the node recovers, joins, stalls or has no leader; only a blocked event loop silences it.
"""

from __future__ import annotations

import logging
from typing import Any, Final

import msgspec
from aiohttp import web

from dkv.errors import BadRequest, DkvError, MethodNotAllowed, RouteNotFound, StartupError, TooLarge
from dkv.faults.state import Faults

HOST: Final = "127.0.0.1"

BODY_BYTES_MAX: Final = 256 * 1024
"""Rules for a thousand peers."""

SHUTDOWN_S: Final = 0.2
"""For a last answer to leave."""

_LOCAL: Final = frozenset({HOST, "localhost"})
_PREFIX: Final = "/faults/"
_log = logging.getLogger("dkv.api")
_encode: Final = msgspec.json.Encoder().encode


class FaultPort:
    """``await start(port)``, ``await stop()``."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=SHUTDOWN_S)

    async def start(self, port: int) -> int:
        """Listen; returns the port (a free one for 0). Raises ``StartupError``."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, port)
        try:
            await site.start()
        except OSError as error:
            raise StartupError(f"--fault-port: cannot listen on {HOST}:{port}: {error.strerror or error}.") from None
        bound: int = self._runner.addresses[0][1]
        _log.warning("fault port open on %s:%d: for tests only, whoever reaches it can break this node", HOST, bound)
        return bound

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            document = await self._answer(request)
        except DkvError as error:
            document = {
                "error": error.message,
                "code": error.code,
                "outcome": error.outcome,
                "retryable": error.retryable,
            }
            return web.Response(status=error.status, body=_encode(document), content_type="application/json")
        return web.Response(body=_encode(document), content_type="application/json")

    async def _answer(self, request: web.BaseRequest) -> dict[str, Any]:
        if (request.url.host or "") not in _LOCAL:
            raise BadRequest("The fault port is spoken to by its own address, 127.0.0.1, only.")
        if request.path == "/faults":
            if request.method == "DELETE":
                _log.warning("faults healed")
                self._faults.heal()
            elif request.method != "GET":
                raise MethodNotAllowed("/faults has GET and DELETE.")
            return self._faults.status()
        part = request.path.removeprefix(_PREFIX)
        if part not in self._faults.parts:
            known = ", ".join(f"{_PREFIX}{name}" for name in self._faults.parts)
            raise RouteNotFound(f"There is nothing at {request.path[:200]!r}; there are /faults, {known}.")
        if request.method != "PUT":
            raise MethodNotAllowed(f"{request.path} has PUT; GET /faults shows all that is in force.")
        self._faults.set(part, await _body(request))
        _log.warning("faults set: %s", part, extra={"faults": self._faults.status()[part]})
        return self._faults.status()


async def _body(request: web.BaseRequest) -> Any:
    content = await request.content.read(BODY_BYTES_MAX + 1)
    while len(content) <= BODY_BYTES_MAX and not request.content.at_eof():
        content += await request.content.read(BODY_BYTES_MAX + 1 - len(content))
    if len(content) > BODY_BYTES_MAX:
        raise TooLarge(f"A body of more than {BODY_BYTES_MAX} bytes. No fault was changed.")
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"The body is no JSON: {error}. No fault was changed.") from None
