"""Two members with our name: who stays? Everybody is asked whom they know under it, and the majority decides.

Serf's law: with the answers of ``n`` members we stay if ``n // 2 + 1`` of them have our address. With none at all we
lose, so that an answer of ours to such a question is a duty, and silence the same as a vote against.
"""

from __future__ import annotations

from dkv.gossip.serf.events import NameConflictSettled, QueryKey
from dkv.gossip.wire.internal_queries import decode_member
from dkv.gossip.wire.limits import BadPacket
from dkv.gossip.wire.particulars import Address


class Vote:
    """On whether the member at ``address`` keeps its name, by the answers to the query ``key``."""

    def __init__(self, key: QueryKey, address: Address) -> None:
        self.key, self._address = key, address
        self._responses = self._matching = 0

    def count(self, payload: bytes) -> None:
        """One member's answer; what cannot be read is none."""
        try:
            member = decode_member(payload)
        except BadPacket:
            return
        # An agent decodes nil into an empty member, which counts as a response that does not match.
        self._responses += 1
        self._matching += member is not None and member.address == self._address

    def close(self) -> NameConflictSettled:
        """When the query's time is over."""
        majority = self._responses // 2 + 1
        return NameConflictSettled(self._matching < majority, self._matching, self._responses)
