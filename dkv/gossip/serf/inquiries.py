"""Everything about queries: those that others ask are gossiped on, acked and answered, ours collect their answers.

An answer goes straight to the asker, over UDP and once, and through some others besides if the asker wants that. The
members' own questions to each other (``_serf_*``) are answered here and shown to nobody.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from dkv.gossip.memberlist.profiles import Profile
from dkv.gossip.serf import internal
from dkv.gossip.serf.asking import OpenQueries, Question, TooManyQueries, default_timeout_s, query_of
from dkv.gossip.serf.conflict import Vote
from dkv.gossip.serf.events import (
    Level,
    Note,
    QueryAnswered,
    QueryFinished,
    QueryKey,
    QueryReceived,
    Rekey,
    SendUserMessage,
    SerfEvent,
)
from dkv.gossip.serf.lamport import LamportClock
from dkv.gossip.serf.outflow import Outflow
from dkv.gossip.serf.queries import (
    TIMEOUT_MAX_S,
    Pending,
    PendingQueries,
    QueryRing,
    is_for,
    is_gossiped_on,
    pending,
    response,
    wants_ack,
)
from dkv.gossip.serf.roster import Roster
from dkv.gossip.wire.encryption import Keyring
from dkv.gossip.wire.internal_queries import InternalQuery, Member, Status
from dkv.gossip.wire.limits import QUERY_RESPONSE_BYTES_MAX
from dkv.gossip.wire.particulars import Address
from dkv.gossip.wire.serf_messages import RESPONSE_ACK, Query, QueryResponse, Relay, SerfType, encode

if TYPE_CHECKING:
    import random

RELAYS_MAX: Final = 8
"""Members through which one answer of ours goes besides, whatever the asker wants: a byte could say 255, and one forged
query would make a packet for each of them."""

_RELAYING_PROTOCOL: Final = 5


class Inquiries:
    """Of the member ``name`` at ``address``; ``keyring``: None without encryption."""

    def __init__(
        self,
        name: str,
        address: Address,
        *,
        rng: random.Random,
        profile: Profile,
        roster: Roster,
        outflow: Outflow,
        keyring: Keyring | None,
        emit: Callable[[SerfEvent], None],
    ) -> None:
        self.clock = LamportClock()
        self.ring = QueryRing(self.clock)
        self.keyring = keyring
        self._name, self._address, self._rng, self._profile = name, address, rng, profile
        self._roster, self._outflow, self._emit = roster, outflow, emit
        self._open, self._pending = OpenQueries(), PendingQueries()
        self._vote: Vote | None = None

    # --- asking -------------------------------------------------------------------------------------------------------

    def ask(self, question: Question, now: float) -> QueryKey:
        """Ask everybody, ourselves too. Raises ``TooLarge``, ``TooManyQueries``."""
        key = QueryKey(self.clock.time, self._rng.getrandbits(31))
        present = len(self._roster.with_status(Status.ALIVE, Status.LEAVING))
        timeout_s = min(question.timeout_s or default_timeout_s(self._profile, present), TIMEOUT_MAX_S)
        query = query_of(question, key, self._address, self._name, timeout_s)
        self._open.open(key, now + timeout_s)
        self.take_query(query, encode(query), now)
        return key

    def take_response(self, answer: QueryResponse) -> None:
        """An ack or an answer to a query of ours, perhaps by way of others."""
        event = self._open.take(answer)
        if event is None:
            return
        if self._vote is not None and event.key == self._vote.key:
            if isinstance(event, QueryAnswered):
                self._vote.count(event.payload)
            return
        self._emit(event)

    def settle_name(self, now: float) -> None:
        """Another member has our name: who stays? The claim comes again and again, so that a vote can wait."""
        if self._vote is not None:
            return
        question = Question(name=InternalQuery.CONFLICT, payload=self._name.encode())
        try:
            self._vote = Vote(self.ask(question, now), self._address)
        except TooManyQueries as error:
            self._emit(Note(Level.ERR, f"no vote on our name: {error}"))

    # --- answering ----------------------------------------------------------------------------------------------------

    def take_query(self, query: Query, encoded: bytes, now: float) -> None:
        """Somebody's query: on to the others if it is new, and an answer if it is for us."""
        if not self.ring.take(QueryKey(query.ltime, query.id)):
            return
        if is_gossiped_on(query):
            self._outflow.query(encoded)
        ourselves = self._roster.get(self._name)
        if not is_for(query.filters, self._name, ourselves.member.tags if ourselves else {}):
            return
        asked = pending(query, now)
        if wants_ack(query):
            self._send(asked, response(asked, self._name, None, RESPONSE_ACK))
        if query.name.startswith(internal.PREFIX):
            self._answer_internally(query, asked)
            return
        self._pending.add(asked)
        self._emit(QueryReceived(asked.key, query.name, query.payload, query.source_node, asked.deadline))

    def respond(self, key: QueryKey, payload: bytes, now: float) -> None:
        """Our answer to a query. Raises ``ResponseRefused``."""
        asked, answer = self._pending.settle(key, self._name, payload, now)
        self._send(asked, answer)

    def relay(self, message: Relay) -> None:
        """Pass somebody's answer on to the asker: nothing else is worth a relay, or asked for one by agents."""
        if message.message[0] == SerfType.QUERY_RESPONSE and message.address.port:
            self._emit(SendUserMessage(message.address, message.message))

    # --- time ---------------------------------------------------------------------------------------------------------

    def next_timer(self) -> float:
        deadline = self._open.next_deadline()
        return math.inf if deadline is None else deadline

    def fire_timer(self, now: float) -> None:
        """Queries whose time is over."""
        self._pending.expire(now)
        for key in self._open.close_due(now):
            if self._vote is not None and key == self._vote.key:
                self._emit(self._vote.close())
                self._vote = None
            else:
                self._emit(QueryFinished(key))

    # --- inside -------------------------------------------------------------------------------------------------------

    def _answer_internally(self, query: Query, asked: Pending) -> None:
        reply = internal.reply(query.name, query.payload, us=self._name, member_of=self._member, ring=self.keyring)
        if reply.keyring is not None:
            self.keyring = reply.keyring
            self._emit(Rekey(reply.keyring))
        if reply.payload is None:
            return
        answer = QueryResponse(ltime=query.ltime, id=query.id, from_node=self._name, payload=reply.payload)
        if len(encode(answer)) > QUERY_RESPONSE_BYTES_MAX:
            self._emit(Note(Level.WARN, f"no answer to {query.name}: it would exceed {QUERY_RESPONSE_BYTES_MAX} bytes"))
            return
        self._send(asked, answer)

    def _member(self, name: str) -> Member | None:
        entry = self._roster.get(name)
        return entry.member if entry else None

    def _send(self, asked: Pending, answer: QueryResponse) -> None:
        if asked.address == self._address:  # our own query
            self.take_response(answer)
            return
        payload = encode(answer)
        if asked.address.port:
            self._emit(SendUserMessage(asked.address, payload))
        wrapped = encode(Relay(address=asked.address, node=asked.source_node, message=payload))
        if asked.relay_factor and asked.address.port and len(wrapped) <= QUERY_RESPONSE_BYTES_MAX:
            for member in self._relays(asked.relay_factor):
                self._emit(SendUserMessage(member.address, wrapped))

    def _relays(self, factor: int) -> list[Member]:
        """Some others at random; a cluster that has not so many needs none."""
        if len(self._roster) < factor + 1:
            return []
        others = [
            member
            for member in self._roster.with_status(Status.ALIVE)
            if member.node != self._name and member.versions.protocol_max >= _RELAYING_PROTOCOL
        ]
        return self._rng.sample(others, min(factor, len(others), RELAYS_MAX))
