"""The queries that one RPC connection asks, about keys or anything else, and how their answers get back to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dkv.gossip.rpc import responses as rpc_responses
from dkv.gossip.rpc.key_tally import KeyTally
from dkv.gossip.rpc.requests import Ask, ChangeKeys, ListKeys
from dkv.gossip.rpc.subscriptions import Refused
from dkv.gossip.serf.asking import Question, TooManyQueries
from dkv.gossip.serf.events import QueryAcked, QueryAnswered, QueryFinished, QueryKey
from dkv.gossip.serf.internal import PREFIX
from dkv.gossip.serf.serf import Serf
from dkv.gossip.wire.encryption import KeyringError, key_from_text
from dkv.gossip.wire.filters import Filter, NodeFilter, TagFilter
from dkv.gossip.wire.internal_queries import InternalQuery, KeyRequest, Status, encode_key_request
from dkv.gossip.wire.limits import TooLarge

_NS: Final = 1e9

_KEY_QUERIES: Final = {
    "install": InternalQuery.INSTALL_KEY,
    "use": InternalQuery.USE_KEY,
    "remove": InternalQuery.REMOVE_KEY,
}


class RpcInquiries:
    """``answer(sequence, error, body)`` sends an answer, ``record(data)`` a record that may be lost."""

    def __init__(self, serf: Serf, answer: Callable[[int, str, bytes], None], record: Callable[[bytes], None]) -> None:
        self._serf, self._answer, self._record = serf, answer, record
        self._asked: dict[QueryKey, int] = {}
        self._tallies: dict[QueryKey, tuple[int, KeyTally]] = {}

    def ask(self, sequence: int, command: Ask, now: float) -> None:
        """Raises ``Refused``, ``TooLarge``, ``TooManyQueries``."""
        is_ping = command.name == InternalQuery.PING and not command.payload
        if command.name.startswith(PREFIX) and not is_ping:
            raise Refused(f"Queries cannot contain the '{PREFIX}' prefix")
        filters: list[Filter] = [NodeFilter(command.nodes)] if command.nodes else []
        filters += [TagFilter(tag, pattern) for tag, pattern in command.tags.items()]
        question = Question(
            name=command.name,
            payload=command.payload,
            filters=tuple(filters),
            wants_acks=command.wants_acks,
            relay_factor=command.relay_factor,
            timeout_s=command.timeout_ns / _NS,
        )
        self._asked[self._serf.ask(question, now)] = sequence
        self._answer(sequence, "", b"")

    def ask_about_keys(self, sequence: int, command: ListKeys | ChangeKeys, now: float) -> None:
        """The answer comes when all members have answered, or the time is over."""
        present = [member for member in self._serf.members() if member.status in (Status.ALIVE, Status.LEAVING)]
        tally = KeyTally(len(present), lists=isinstance(command, ListKeys))
        try:
            asked = self._serf.ask(_about_keys(command), now)
        except (KeyringError, TooLarge, TooManyQueries) as error:
            self._answer(sequence, str(error), rpc_responses.keys_body(tally.report()))
            return
        self._tallies[asked] = sequence, tally

    def deliver(self, event: QueryAcked | QueryAnswered | QueryFinished) -> None:
        """News of a query, perhaps another connection's."""
        match event:
            case QueryFinished():
                self._finish(event.key)
            case QueryAnswered() if event.key in self._tallies:
                _, tally = self._tallies[event.key]
                tally.count(event.node, event.payload)
                if tally.complete:
                    self._finish(event.key)
            case QueryAcked() if event.key in self._asked:
                self._tell(event.key, rpc_responses.answer_record("ack", event.node))
            case QueryAnswered() if event.key in self._asked:
                self._tell(event.key, rpc_responses.answer_record("response", event.node, event.payload))

    def _tell(self, key: QueryKey, record: bytes) -> None:
        self._record(rpc_responses.header(self._asked[key]) + record)

    def _finish(self, key: QueryKey) -> None:
        if key in self._tallies:
            sequence, tally = self._tallies.pop(key)
            self._answer(sequence, tally.error(), rpc_responses.keys_body(tally.report()))
        elif key in self._asked:
            self._answer(self._asked.pop(key), "", rpc_responses.answer_record("done"))


def _about_keys(command: ListKeys | ChangeKeys) -> Question:
    """Raises ``KeyringError``."""
    if isinstance(command, ListKeys):
        return Question(name=InternalQuery.LIST_KEYS, payload=encode_key_request(KeyRequest()))
    request = KeyRequest(key_from_text(command.key))
    return Question(name=_KEY_QUERIES[command.verb], payload=encode_key_request(request))
