"""Queries that we ask: each collects one ack and one answer of each member until its time is over."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import msgspec

from dkv.gossip.memberlist.profiles import Profile
from dkv.gossip.serf.events import QueryAcked, QueryAnswered, QueryKey
from dkv.gossip.wire.filters import Filter
from dkv.gossip.wire.limits import QUERY_BYTES_MAX, TooLarge
from dkv.gossip.wire.particulars import Address
from dkv.gossip.wire.serf_messages import RESPONSE_ACK, Query, QueryFlag, QueryResponse, encode

QUERY_TIMEOUT_MULT: Final = 16
"""Serf's: a query reaches everybody in a few rounds of gossip, and their answers come back directly."""

OPEN_MAX: Final = 1024
"""Queries of ours under way: whoever asks faster than they end has to wait."""

ANSWERERS_MAX: Final = 16 * 1024
"""Different names whose answers to one query are taken: anybody can send some."""

_NS: Final = 1_000_000_000


class TooManyQueries(Exception):
    """``OPEN_MAX`` are under way."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask. ``timeout_s`` 0: the default. ``relay_factor``: through how many others answers come besides."""

    name: str
    payload: bytes = b""
    filters: tuple[Filter, ...] = ()
    wants_acks: bool = False
    relay_factor: int = 0
    timeout_s: float = 0.0


def default_timeout_s(profile: Profile, members: int) -> float:
    """Serf's: longer the more members there are, by the rounds that gossip takes."""
    return profile.gossip_interval_s * QUERY_TIMEOUT_MULT * math.ceil(math.log10(members + 1))


def query_of(question: Question, key: QueryKey, address: Address, name: str, timeout_s: float) -> Query:
    """The message, from the member ``name`` at ``address``. Raises ``TooLarge`` with the agent's words."""
    query = Query(
        ltime=key.ltime,
        id=key.id,
        address=address,
        source_node=name,
        name=question.name,
        payload=question.payload,
        filters=question.filters,
        flags=QueryFlag.ACK if question.wants_acks else 0,
        relay_factor=question.relay_factor,
        timeout_ns=round(timeout_s * _NS),
    )
    if len(encode(query)) > QUERY_BYTES_MAX:
        raise TooLarge(f"query exceeds limit of {QUERY_BYTES_MAX} bytes")
    return query


class _Open:
    __slots__ = ("acked", "answered", "deadline")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.acked: set[str] = set()
        self.answered: set[str] = set()


class OpenQueries:
    """Those under way."""

    def __init__(self) -> None:
        self._by_key: dict[QueryKey, _Open] = {}

    def open(self, key: QueryKey, deadline: float) -> None:
        """Raises ``TooManyQueries``."""
        if len(self._by_key) >= OPEN_MAX:
            raise TooManyQueries(f"{OPEN_MAX} queries are under way")
        self._by_key[key] = _Open(deadline)

    def take(self, response: QueryResponse) -> QueryAcked | QueryAnswered | None:
        """None: to no query of ours, too late, or a double (which relays make on purpose)."""
        key = QueryKey(response.ltime, response.id)
        query = self._by_key.get(key)
        if query is None:
            return None
        is_ack = bool(response.flags & RESPONSE_ACK)
        heard = query.acked if is_ack else query.answered
        if response.from_node in heard or len(heard) >= ANSWERERS_MAX:
            return None
        heard.add(response.from_node)
        if is_ack:
            return QueryAcked(key, response.from_node)
        return QueryAnswered(key, response.from_node, response.payload or b"")

    def next_deadline(self) -> float | None:
        return min((query.deadline for query in self._by_key.values()), default=None)

    def close_due(self, now: float) -> Iterator[QueryKey]:
        """Those whose time is over: nothing is taken for them any more."""
        for key in [key for key, query in self._by_key.items() if query.deadline <= now]:
            del self._by_key[key]
            yield key
