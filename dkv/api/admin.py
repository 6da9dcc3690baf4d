"""The operations API (CONTRACT §2): is it alive, does it serve, who leads, who belongs.

Queries are not checked here: probes and scrapers add parameters of their own.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from dkv.api.admission import Admission
from dkv.api.envelope import Envelope
from dkv.api.exchange import Exchange
from dkv.api.limits import Limits
from dkv.api.parameters import parse_key
from dkv.api.response import Response
from dkv.api.routes import Resource
from dkv.api.services import Operations
from dkv.errors import BadRequest, LeaderHint, NoLeader, NotReady
from dkv.joining import JoinRequest
from dkv.metrics import Metrics

GREETING: Final = {
    "dkv": "a replicated key-value store",
    "try": """curl -sL --post307 -X POST localhost:PORT/ -d '{"cmd": "set", "key": "a", "val": "b"}'""",
    "endpoints": {
        "POST /": "one command, or an array of them: {cmd: set|get|delete, key, val, level, cas, ttl, id}",
        "GET|PUT|DELETE /v1/kv/{key}": "?level=linearizable|weak|none|strong ?raw ?cas=REVISION ?ttl=SECONDS",
        "GET /livez": "this process is alive",
        "GET /readyz": "this node serves (?verbose: each check)",
        "GET /status": "this node: role, term, indices, peers",
        "GET /nodes": "the members, as this node sees them",
        "GET /leader": "who leads; POST {target: NAME|null} hands over",
        "POST /join": "a new node asks to be let in",
        "POST /leave": "this node leaves the cluster",
        "DELETE /nodes/{name}": "remove a member",
        "GET /hashkv": "index and digest of this node's state",
        "GET /metrics": "for Prometheus",
    },
}


class TransferRequest(msgspec.Struct, forbid_unknown_fields=True):
    """``POST /leader``: ``target`` is a node's name; none: whoever is furthest."""

    target: str | None = None


_transfer: Final = msgspec.json.Decoder(TransferRequest)
_join: Final = msgspec.json.Decoder(JoinRequest)


class AdminRoutes:
    """The handlers, over one ``Operations``."""

    def __init__(
        self,
        operations: Operations,
        envelope: Envelope,
        admission: Admission,
        limits: Limits,
        metrics: Metrics,
    ) -> None:
        self._operations = operations
        self._envelope = envelope
        self._admission = admission
        self._limits = limits
        self._metrics = metrics

    def resources(self) -> list[Resource]:
        """All but ``GET /``, whose path has a POST as well."""
        return [
            Resource("/livez", {"GET": self.livez}, always=True),
            Resource("/readyz", {"GET": self.readyz}, always=True),
            Resource("/status", {"GET": self.status}, always=True),
            Resource("/nodes", {"GET": self.nodes}, always=True),
            Resource("/nodes/{name}", {"DELETE": self.remove}),
            Resource("/leader", {"GET": self.leader, "POST": self.transfer}, always=True),
            Resource("/join", {"POST": self.join}),
            Resource("/leave", {"POST": self.leave}),
            Resource("/hashkv", {"GET": self.hashkv}, always=True),
            Resource("/metrics", {"GET": self.metrics}, always=True),
        ]

    async def greeting(self, exchange: Exchange) -> Response:
        """``GET /``."""
        return self._envelope.json(exchange, GREETING)

    async def livez(self, exchange: Exchange) -> Response:
        """200 as long as the loop turns. Never looks at quorum: killing healthy members cures no lost quorum."""
        return self._envelope.json(exchange, {"status": "ok"})

    async def readyz(self, exchange: Exchange) -> Response:
        """200 if every check says ok, else 503 with all of them."""
        checks = await self._operations.readiness(exchange.deadline(self._limits.request_timeout_s))
        if self._admission.draining:
            checks = {**checks, "running": "this node is shutting down"}
        failed = {name: reason for name, reason in checks.items() if reason != "ok"}
        if failed:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
            error = NotReady(f"This node does not serve now. {reasons}.")
            error.details["checks"] = checks
            raise error
        verbose = "verbose" in exchange.query
        return self._envelope.json(exchange, {"status": "ok", **({"checks": checks} if verbose else {})})

    async def status(self, exchange: Exchange) -> Response:
        """``GET /status``."""
        return self._envelope.json(exchange, self._operations.status())

    async def nodes(self, exchange: Exchange) -> Response:
        """``GET /nodes``."""
        return self._envelope.json(exchange, self._operations.nodes())

    async def hashkv(self, exchange: Exchange) -> Response:
        """``GET /hashkv``."""
        return self._envelope.json(exchange, self._operations.hashkv())

    async def leader(self, exchange: Exchange) -> Response:
        """200 with its name and address, or 503: the status tells the truth."""
        leader = self._operations.leader()
        if leader is None:
            raise NoLeader("This node knows of no leader: an election is running, or there is no quorum.")
        return self._envelope.json(exchange, _shown(leader))

    async def transfer(self, exchange: Exchange) -> Response:
        """``POST /leader``: answers with the new leader."""
        body = await exchange.body()
        request = _decoded(_transfer, body, '{"target": "n2"}') if body else TransferRequest()
        deadline = exchange.deadline(self._limits.admin_timeout_s)
        exchange.mutates = True
        return self._envelope.json(exchange, _shown(await self._operations.transfer(request.target, deadline)))

    async def join(self, exchange: Exchange) -> Response:
        """``POST /join``: from a node, not from a person."""
        example = '{"identity", "name", "rest", "raft", "version"}'
        request = _decoded(_join, await exchange.body(), example)
        deadline = exchange.deadline(self._limits.admin_timeout_s)
        exchange.mutates = True
        return self._envelope.json(exchange, await self._operations.join(request, deadline))

    async def leave(self, exchange: Exchange) -> Response:
        """``POST /leave``: answers once the cluster has let this node go."""
        deadline = exchange.deadline(self._limits.admin_timeout_s)
        exchange.mutates = True
        await self._operations.leave(deadline)
        return self._envelope.json(exchange, {"left": True})

    async def remove(self, exchange: Exchange) -> Response:
        """``DELETE /nodes/{name}``."""
        name = parse_key(exchange.argument)
        if not name:
            raise BadRequest("DELETE /nodes/NAME needs the name of a node; GET /nodes lists them.")
        deadline = exchange.deadline(self._limits.admin_timeout_s)
        exchange.mutates = True
        await self._operations.remove(name, deadline)
        return self._envelope.json(exchange, {"node": name, "removed": True})

    async def metrics(self, exchange: Exchange) -> Response:
        """``GET /metrics``."""
        body, content_type = self._metrics.expose(exchange.header("Accept") or "")
        return self._envelope.reply(exchange, body, content_type=content_type)


def _shown(leader: LeaderHint) -> dict[str, str]:
    return {"id": leader.id, "rest": leader.rest}


def _decoded(decoder: msgspec.json.Decoder[Any], body: bytes, example: str) -> Any:
    try:
        return decoder.decode(body)
    except ValueError as error:  # msgspec's errors, and UnicodeDecodeError
        raise BadRequest(f"The body is not understood: {error}. Expected: {example}") from None
