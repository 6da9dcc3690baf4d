"""What a packet may be: every bound on what is received or sent, its reason, and the one exception beyond them.

Whoever reaches the port can send anything, so that all work and memory is bounded by these numbers and by the size of
what came in, never by what it claims.
"""

from __future__ import annotations

from typing import ClassVar


class BadPacket(Exception):
    """Bytes that no well-behaved member sends. The text is the reason, for a log line; it quotes no text received.

    ``kind``: the reason as one of few words, to count by.
    """

    kind: ClassVar[str] = "malformed"


class WrongLabel(BadPacket):
    """Of another cluster, by its label."""

    kind = "label"


class NotOurKey(BadPacket):
    """Encrypted and we are not, or not and we are, or by a key that we do not have; or damaged on its way."""

    kind = "encryption"


class TooMuch(BadPacket):
    """Beyond a limit of what is received."""

    kind = "size"


class TooLarge(ValueError):
    """What we would send is more than members read. Its size depends on what others told us: no bug of ours."""


# --- what is received -------------------------------------------------------------------------------------------------

DATAGRAM_BYTES_MAX = 65_535
"""The largest UDP payload; agents take any size too, although they send 1,405 bytes at most."""

UNWRAPPED_BYTES_MAX = 64 * 1024
"""Of all that one datagram decompresses to: as much as it could hold as it is. Members fill packets to 1,400 bytes
before they compress them, and LZW can turn as many into 400 KB."""

WRAPS_MAX = 4
"""Compounds and compressions inside one another. Agents send two (a compressed compound)."""

MESSAGES_MAX = 512
"""Of one datagram, over all its compounds, understood or not: twice what the one byte of a compound's count can say."""

NODES_MAX = 16 * 1024
"""Members in one push/pull. Reading one takes 30 to 60 microseconds, whoever sent it."""

STREAM_BYTES_MAX = 2 * 1024 * 1024
"""Of one message over TCP, decrypted and decompressed: ``NODES_MAX`` members of 100 bytes each. Newer agents stop at
20 MiB; in Python that would be half a minute."""

USER_STATE_BYTES_MAX = 1024 * 1024
"""Serf's part of a push/pull: 20 bytes a member, and 512 events of at most 512 bytes."""

COMPRESSED_BYTES_MAX = 256 * 1024
"""Of one message over TCP, before decompression, whose time goes by this size: half a second for this much. What is
said about members compresses four to one at least: ten thousand of them."""

STRUCT_BYTES_MAX = 64 * 1024
"""Of one struct over TCP (a member, a header, a ping), with all fields that we do not know."""

FIELDS_MAX = 32
"""Of one msgpack struct: the largest known one has 11; the rest is room for newer versions' extra fields."""

NAME_BYTES_MAX = 255
"""Of a node's name: agents take the host name (253 at most), newer ones refuse more than 128 bytes."""

META_ACCEPTED_BYTES_MAX = 1400
"""Agents accept any size; what is larger than a packet could never be gossiped on."""

TAGS_MAX = META_ACCEPTED_BYTES_MAX // 2
"""Of a member: more do not fit its meta."""

FILTERS_MAX = 64
"""Of a query, and names in one of them: an encoded query has 1,024 bytes at most."""

KEYS_TOLD_MAX = 64
"""Keys in a member's list of its keys: a response has 1,024 bytes at most, a key 25 or more."""

EVENTS_MAX = 4096
"""Lamport times in a push/pull's ring of events, and events of one time. Serf's EventBuffer is 512, and can be set."""

# --- what is sent -----------------------------------------------------------------------------------------------------

PACKET_BYTES_MAX = 1400
"""memberlist's UDPBufferSize: what fits an Ethernet frame under any usual tunnel."""

PARTS_MAX = 127
"""Of a compound: memberlist before 0.3.1 doubles the count in 8 bits, and misreads the whole packet above this."""

META_BYTES_MAX = 512
"""memberlist's MetaMaxSize, for our own tags."""

USER_EVENT_BYTES_MAX = 512
"""Name and payload of an event that we originate (Serf's UserEventSizeLimit)."""

QUERY_BYTES_MAX = QUERY_RESPONSE_BYTES_MAX = 1024
"""Encoded (Serf's QuerySizeLimit, QueryResponseSizeLimit)."""
