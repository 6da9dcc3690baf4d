"""What is to be sent as datagrams: each is filled up with gossip as far as it stays within one packet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dkv.gossip.memberlist.broadcasts import Broadcasts
from dkv.gossip.wire.limits import PARTS_MAX
from dkv.gossip.wire.messages import Message, User, encode
from dkv.gossip.wire.packets import PART_OVERHEAD_BYTES, Envelope, encode_packet
from dkv.gossip.wire.particulars import Address
from dkv.gossip.wire.push_pull import NodeState

GetBroadcasts = Callable[[int, int], list[bytes]]
"""``(overhead_bytes, limit_bytes)`` → payloads; each costs its size and the overhead (memberlist's GetBroadcasts)."""

_USER_TYPE_BYTES: Final = 1
_CHECKSUMS_SINCE: Final = 5
"""memberlist protocol: older members do not know type 12."""


class Outbox:
    """Packets until the shell takes them. ``envelope`` may change at any time (key rotation)."""

    def __init__(
        self,
        envelope: Envelope,
        broadcasts: Broadcasts,
        get_broadcasts: GetBroadcasts,
        new_nonce: Callable[[], bytes],
        transmits_max: Callable[[], int],
        compressed: bool,
    ) -> None:
        self.envelope = envelope
        self._broadcasts, self._get_broadcasts = broadcasts, get_broadcasts
        self._new_nonce, self._transmits_max, self._compressed = new_nonce, transmits_max, compressed
        self._packets: list[tuple[bytes, Address]] = []

    def send(self, *messages: Message, address: Address) -> None:
        """To anybody, member or not."""
        self._pack([encode(message) for message in messages], address)

    def send_alone(self, message: Message, address: Address) -> None:
        """Without gossip (memberlist's SendBestEffort): answers would spend a query's few transmits on its asker."""
        self._enclose([encode(message)], address, checksum=False)

    def send_to(self, node: NodeState, *messages: Message) -> None:
        """To a member, of whom we know what it understands."""
        self._pack([encode(message) for message in messages], node.address, checksum=_knows_checksums(node))

    def gossip_to(self, node: NodeState) -> bool:
        """What is to be told, if there is anything."""
        parts = self._gossip(self.envelope.room_bytes())
        if parts:
            self._enclose(parts, node.address, _knows_checksums(node))
        return bool(parts)

    def drain(self) -> list[tuple[bytes, Address]]:
        """Everything since the last time."""
        packets, self._packets = self._packets, []
        return packets

    def _pack(self, parts: list[bytes], address: Address, checksum: bool = False) -> None:
        room = self.envelope.room_bytes() - sum(len(part) + PART_OVERHEAD_BYTES for part in parts)
        parts += self._gossip(room)[: PARTS_MAX - len(parts)]
        self._enclose(parts, address, checksum)

    def _gossip(self, room_bytes: int) -> list[bytes]:
        """Encoded messages that fit: of members first, then of the layer above."""
        parts = self._broadcasts.take(PART_OVERHEAD_BYTES, room_bytes, self._transmits_max())
        room_bytes -= sum(len(part) + PART_OVERHEAD_BYTES for part in parts)
        overhead_bytes = PART_OVERHEAD_BYTES + _USER_TYPE_BYTES
        if room_bytes > overhead_bytes:
            payloads = self._get_broadcasts(overhead_bytes, room_bytes)
            parts += [encode(User(payload=payload)) for payload in payloads]
        return parts[:PARTS_MAX]

    def _enclose(self, parts: list[bytes], address: Address, checksum: bool) -> None:
        nonce = self._new_nonce() if self.envelope.keyring is not None else b""
        data = encode_packet(parts, self.envelope, nonce=nonce, checksum=checksum, compressed=self._compressed)
        self._packets.append((data, address))


def _knows_checksums(node: NodeState) -> bool:
    return node.versions is not None and node.versions.protocol_max >= _CHECKSUMS_SINCE
