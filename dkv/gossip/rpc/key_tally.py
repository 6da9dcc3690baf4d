"""How all members fared with a change of keys, or with a list of them: one query's answers, added up for operators."""

from __future__ import annotations

from collections import Counter

from dkv.gossip.rpc.responses import KeyReport
from dkv.gossip.wire.internal_queries import decode_key_response
from dkv.gossip.wire.limits import BadPacket


class KeyTally:
    """``nodes``: how many members ought to answer. ``lists``: keys are asked for, not changed."""

    def __init__(self, nodes: int, *, lists: bool) -> None:
        self._nodes, self._lists = nodes, lists
        self._responses = self._errors = 0
        self._messages: dict[str, str] = {}
        self._keys = Counter[str]()

    @property
    def complete(self) -> bool:
        """Everybody answered; more cannot come."""
        return self._responses >= self._nodes

    def count(self, node: str, payload: bytes) -> None:
        """One member's answer."""
        self._responses += 1
        try:
            response = decode_key_response(payload)
        except BadPacket as error:
            self._errors += 1
            self._messages[node] = f"Invalid key query response: {error}"
            return
        self._errors += not response.result
        if response.message or not response.result:
            self._messages[node] = response.message
        self._keys.update(response.keys)

    def report(self) -> KeyReport:
        return KeyReport(
            nodes=self._nodes,
            responses=self._responses,
            errors=self._errors,
            messages=self._messages,
            keys=dict(self._keys) if self._lists else None,
        )

    def error(self) -> str:
        """What the operator's command fails with, in the agent's words; empty if it did not."""
        if self._errors:
            return f"{self._errors}/{self._nodes} nodes reported failure"
        if self._responses != self._nodes:
            return f"{self._responses}/{self._nodes} nodes reported success"
        return ""
