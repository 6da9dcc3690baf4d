"""A contender that is spoken to by JSON over HTTP: wrk makes its closed loops, our own generator its open ones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from harness.bench import filling, openloop, wrk
from harness.bench.contenders import STATUS_S, Contender, Unmeasurable
from harness.bench.dialects import NONE, Request
from harness.bench.loads import Counted
from harness.bench.measurements import Cell, Loop
from harness.bench.traffic import Traffic, Values, key
from harness.exchange import Reply, Unanswered, exchange
from harness.startup import PROBE_KEY

TRIED_AMONG = 100
"""Of an order: what comes later may depend on what goes before it."""
VERB_BYTES = 12
"""By which dkv's bodies tell a set from a get; the others' differ by their path."""


class HttpContender(Contender):
    """See ``Contender``."""

    def acknowledges(self, address: str, timeout_s: float = STATUS_S) -> bool:
        """A set through any node, once."""
        reply = ask(address, self.dialect.set(PROBE_KEY, "serving", anywhere=True), timeout_s)
        return reply is not None and reply.status == 200

    def holds(self, address: str, key: str) -> bool:
        """A key that is absent is a 404."""
        reply = ask(address, self.dialect.get(key, NONE))
        return reply is not None and reply.status == 200

    def generator(self, cell: Cell) -> str:
        """wrk, or ours."""
        return wrk.version() if cell.loop is Loop.CLOSED else openloop.NAME

    async def load(self, cell: Cell, traffic: Traffic, addresses: Sequence[str], duration_s: float) -> Counted:
        """Each kind of request is tried once before: a load of refusals would be fast, and mean nothing."""
        for address in addresses:
            await asyncio.to_thread(self._try, address, traffic)
        if cell.loop is Loop.OPEN:
            return await openloop.load(addresses, cell.connections, traffic, duration_s, cell.offered_per_s)
        return await wrk.load(addresses, cell.connections, traffic, duration_s)

    def _try(self, address: str, traffic: Traffic) -> None:
        first = [traffic.requests[index] for index in traffic.order[:TRIED_AMONG]]
        for request in {(request.path, request.body[:VERB_BYTES]): request for request in reversed(first)}.values():
            reply = ask(address, request)
            if reply is None or reply.status != 200:
                said = "nothing" if reply is None else f"{reply.status} {reply.body}"
                raise Unmeasurable(
                    f"{self.name} at {address} answered {said} to POST {request.path} {request.body[:100]!r}: a load "
                    "of such answers would mean nothing"
                )

    async def fill(self, keys: int, values: Values) -> None:
        """In batches, where it has them."""
        leader = await self.wait_settled()
        most = max(1, min(self.batch_max, filling.BATCH_BYTES_MAX // (values.size_bytes + 1)))
        names = [key(number) for number in range(keys)]
        chunks = (names[start : start + most] for start in range(0, keys, most))
        if self.batch_max == 1:
            requests = (self.dialect.set(name, values.of(name)) for name in names)
        else:
            requests = (self.dialect.batch([(name, values.of(name)) for name in chunk]) for chunk in chunks)
        await filling.fill(self.address(leader.name), requests)


def ask(address: str, request: Request, timeout_s: float = STATUS_S) -> Reply | None:
    """One exchange; None if there was no answer in time."""
    try:
        return exchange(address, "POST", request.path, json.loads(request.body), timeout_s=timeout_s)
    except Unanswered:
        return None
