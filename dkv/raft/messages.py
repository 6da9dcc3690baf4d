"""What Raft peers say to each other, and its bytes (MessagePack arrays, validated on receipt).

Names follow the Raft paper (Figure 2), its thesis (§4.2.3 pre-vote stickiness, §6.4 ReadIndex, §9.6 pre-vote) where
they have one. Nothing from the network is ever unpickled. Every message names its sender's term.
"""

from __future__ import annotations

import msgspec

from dkv.raft.contracts import Entry

REGULAR, NO_OP, CONFIGURATION = 0, 1, 2
"""First byte of an entry's command (pysyncobj's ``_COMMAND_TYPE``): payload, leader's first entry, change of voters."""


class _Message(msgspec.Struct, frozen=True, array_like=True, tag_field="kind", gc=False):
    term: int


class AppendEntries(_Message, frozen=True, tag=1):
    """Entries that follow (``previous_index``, ``previous_term``), and how far the leader has committed."""

    previous_index: int
    previous_term: int
    commit_index: int
    entries: list[Entry]


class AppendReply(_Message, frozen=True, tag=2):
    """``success``: the log equals the leader's before ``next_index``. ``reset``: send from ``next_index`` on."""

    next_index: int
    success: bool
    reset: bool


class RequestVote(_Message, frozen=True, tag=3):
    """``transfer``: the leader itself asked for this election, so stickiness does not apply (thesis §4.2.3)."""

    last_index: int
    last_term: int
    transfer: bool


class Vote(_Message, frozen=True, tag=4):
    """Granted; a refusal is not sent."""


class PreVote(_Message, frozen=True, tag=5):
    """Would you vote for me in ``next_term``? Changes nothing at the receiver (thesis §9.6)."""

    next_term: int
    last_index: int
    last_term: int


class PreVoteReply(_Message, frozen=True, tag=6):
    """The answer, for ``next_term``."""

    next_term: int
    granted: bool


class HigherTerm(_Message, frozen=True, tag=7):
    """Your term is over: mine (``term``) is higher."""


class TimeoutNow(_Message, frozen=True, tag=8):
    """Leadership transfer (thesis §3.10): start an election at once."""


class ReadProbe(_Message, frozen=True, tag=9):
    """ReadIndex (thesis §6.4): am I still the leader of ``term``?"""

    round: int


class ReadProbeReply(_Message, frozen=True, tag=10):
    """As far as I know you are."""

    round: int


class ReadIndexRequest(_Message, frozen=True, tag=11):
    """A follower's readers want an index; ``ticket`` comes back."""

    ticket: int


class ReadIndexReply(_Message, frozen=True, tag=12):
    """``index``: everything acknowledged before the request arrived lies at or before it."""

    ticket: int
    index: int


class SnapshotNotice(_Message, frozen=True, tag=13):
    """What you need next is no longer in my log: pull a snapshot. Also says that the leader lives."""


class SnapshotPull(_Message, frozen=True, tag=14):
    """Send me bytes from ``offset`` of the checkpoint at ``index`` (0: of your newest)."""

    index: int
    offset: int


class SnapshotChunk(_Message, frozen=True, tag=15):
    """``data`` at ``offset`` of the checkpoint at ``index`` that is ``size_bytes`` long."""

    index: int
    offset: int
    size_bytes: int
    data: bytes


Message = (
    AppendEntries
    | AppendReply
    | RequestVote
    | Vote
    | PreVote
    | PreVoteReply
    | HigherTerm
    | TimeoutNow
    | ReadProbe
    | ReadProbeReply
    | ReadIndexRequest
    | ReadIndexReply
    | SnapshotNotice
    | SnapshotPull
    | SnapshotChunk
)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


class BadMessage(Exception):
    """Bytes that are no message of ours."""


def encode(message: Message) -> bytes:
    """Message → bytes."""
    return _encoder.encode(message)


def decode(data: bytes) -> Message:
    """Bytes → message. Raises ``BadMessage``; checks types and shapes, not yet what an entry may contain."""
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:  # RecursionError: deep nesting
        raise BadMessage(str(error)) from None
