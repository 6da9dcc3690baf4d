"""Queries that others ask us: seen before or not, for us or not, answered or not yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from dkv.gossip.serf.events import QueryKey
from dkv.gossip.serf.expressions import STATES_MAX, Expression
from dkv.gossip.serf.lamport import LamportClock
from dkv.gossip.serf.syntax import BadExpression
from dkv.gossip.wire.filters import Filter, NodeFilter, TagFilter
from dkv.gossip.wire.limits import QUERY_RESPONSE_BYTES_MAX, TooLarge
from dkv.gossip.wire.particulars import Address
from dkv.gossip.wire.serf_messages import Query, QueryFlag, QueryResponse, encode

SLOTS: Final = 512
"""Serf's QueryBuffer."""

QUERIES_PER_TIME_MAX: Final = 256
"""Different queries of one Lamport time that we take: as many members would have to ask at once."""

PENDING_MAX: Final = 1024
"""Queries that wait for an answer of ours. Nobody has to answer; they go at their deadlines, or the oldest first."""

TIMEOUT_MAX_S: Final = 600.0
"""However long the asker would wait."""

_NS: Final = 1e9


class ResponseRefused(Exception):
    """An answer that cannot be given, in the agent's words (which speak of keys whatever was asked)."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"failed to respond to key query: {reason}")


class QueryRing:
    """The queries of the last 512 Lamport times, by their ids. It moves the ``clock`` for queries."""

    def __init__(self, clock: LamportClock) -> None:
        self._clock = clock
        self._slots: dict[int, tuple[int, set[int]]] = {}
        self._ltime_min = 0

    def skip_before(self, ltime: int) -> None:
        """Queries before ``ltime`` were asked before our restart."""
        self._ltime_min = max(self._ltime_min, ltime)

    def take(self, key: QueryKey) -> bool:
        """Whether it is new. The clock witnesses it in any case."""
        self._clock.witness(key.ltime)
        if key.ltime < max(self._ltime_min, self._clock.time - SLOTS):
            return False
        ltime, seen = self._slots.get(key.ltime % SLOTS, (key.ltime, set[int]()))
        if ltime != key.ltime:  # too old by now: within the window no two times share a slot
            seen = set()
        if key.id in seen or len(seen) >= QUERIES_PER_TIME_MAX:
            return False
        seen.add(key.id)
        self._slots[key.ltime % SLOTS] = key.ltime, seen
        return True


def is_for(filters: Sequence[Filter], name: str, tags: Mapping[str, str]) -> bool:
    """Do all filters let a member through? One that we cannot understand, or afford, does not."""
    budget = STATES_MAX
    for each in filters:
        match each:
            case NodeFilter():
                if name not in each.names:
                    return False
            case TagFilter():
                try:
                    expression = Expression(each.expression, states_max=budget)
                except BadExpression:
                    return False
                budget -= expression.states
                if not expression.found_in(tags.get(each.tag, "")):
                    return False
            case _:
                return False
    return True


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A query for us that we may still answer. ``deadline``: by our own clock."""

    key: QueryKey
    address: Address
    source_node: str
    relay_factor: int
    deadline: float


class PendingQueries:
    """Those that users may answer."""

    def __init__(self) -> None:
        self._by_key: dict[QueryKey, Pending] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def add(self, pending: Pending) -> None:
        """The oldest makes room."""
        self._by_key[pending.key] = pending
        if len(self._by_key) > PENDING_MAX:
            del self._by_key[next(iter(self._by_key))]

    def expire(self, now: float) -> None:
        """Whoever asked does not listen any more."""
        self._by_key = {key: pending for key, pending in self._by_key.items() if now <= pending.deadline}

    def settle(self, key: QueryKey, name: str, payload: bytes, now: float) -> tuple[Pending, QueryResponse]:
        """The answer of the member ``name``, to be sent. Raises ``ResponseRefused``; a later answer still may do."""
        pending = self._by_key.get(key)
        if pending is None:
            raise ResponseRefused("response already sent")
        if now > pending.deadline:
            raise ResponseRefused("response is past the deadline")
        try:
            answer = response(pending, name, payload)
        except TooLarge as error:
            raise ResponseRefused(str(error)) from None
        del self._by_key[key]
        return pending, answer


def pending(query: Query, now: float) -> Pending:
    """What it takes to answer ``query``, which came now."""
    return Pending(
        key=QueryKey(query.ltime, query.id),
        address=query.address,
        source_node=query.source_node,
        relay_factor=query.relay_factor,
        deadline=now + min(query.timeout_ns / _NS, TIMEOUT_MAX_S),
    )


def wants_ack(query: Query) -> bool:
    return bool(query.flags & QueryFlag.ACK)


def is_gossiped_on(query: Query) -> bool:
    return not query.flags & QueryFlag.NO_BROADCAST


def response(query: Pending, name: str, payload: bytes | None, flags: int = 0) -> QueryResponse:
    """Our answer. Raises ``TooLarge`` with the agent's words."""
    answer = QueryResponse(ltime=query.key.ltime, id=query.key.id, from_node=name, flags=flags, payload=payload)
    if len(encode(answer)) > QUERY_RESPONSE_BYTES_MAX:
        raise TooLarge(f"response exceeds limit of {QUERY_RESPONSE_BYTES_MAX} bytes")
    return answer
