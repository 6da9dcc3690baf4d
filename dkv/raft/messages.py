"""What Raft peers say to each other, and its bytes (MessagePack arrays, validated on receipt).

Names follow the Raft paper (Figure 2), its thesis (§4.2.3 pre-vote stickiness, §6.4 ReadIndex, §9.6 pre-vote) where
they have one. Nothing from the network is ever unpickled. Every message names its sender's term.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from dkv.raft.contracts import Entry

REGULAR, NO_OP, CONFIGURATION = 0, 1, 2
"""First byte of an entry's command (pysyncobj's ``_COMMAND_TYPE``): payload, leader's first entry, change of voters."""


Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""Terms, indexes, offsets: what SQLite and file offsets can hold. ``Guard.check_entries`` bounds those of entries."""


class _Message(msgspec.Struct, frozen=True, array_like=True, tag_field="kind", gc=False):
    term: Number


class AppendEntries(_Message, frozen=True, tag=1):
    """Entries that follow (``previous_index``, ``previous_term``), and how far the leader has committed.

    ``quiet``: there is only the news of a commit in it, so nobody waits for an answer, unless it is a refusal.
    """

    previous_index: Number
    previous_term: Number
    commit_index: Number
    entries: list[Entry]
    quiet: bool = False


class AppendReply(_Message, frozen=True, tag=2):
    """``success``: the log equals the leader's before ``next_index``. ``reset``: send from ``next_index`` on."""

    next_index: Number
    success: bool
    reset: bool


class RequestVote(_Message, frozen=True, tag=3):
    """``transfer``: the leader itself asked for this election, so stickiness does not apply (thesis §4.2.3)."""

    last_index: Number
    last_term: Number
    transfer: bool


class Vote(_Message, frozen=True, tag=4):
    """Granted; a refusal is not sent."""


class PreVote(_Message, frozen=True, tag=5):
    """Would you vote for me in ``next_term``? Changes nothing at the receiver (thesis §9.6)."""

    next_term: Number
    last_index: Number
    last_term: Number


class PreVoteReply(_Message, frozen=True, tag=6):
    """The answer, for ``next_term``."""

    next_term: Number
    granted: bool


class HigherTerm(_Message, frozen=True, tag=7):
    """Your term is over: mine (``term``) is higher."""


class TimeoutNow(_Message, frozen=True, tag=8):
    """Leadership transfer (thesis §3.10): start an election at once."""


class ReadProbe(_Message, frozen=True, tag=9):
    """ReadIndex (thesis §6.4): am I still the leader of ``term``?"""

    round: Number


class ReadProbeReply(_Message, frozen=True, tag=10):
    """As far as I know you are."""

    round: Number


class ReadIndexRequest(_Message, frozen=True, tag=11):
    """A follower's readers want an index; ``ticket`` comes back."""

    ticket: Number


class ReadIndexReply(_Message, frozen=True, tag=12):
    """``index``: everything acknowledged before the request arrived lies at or before it."""

    ticket: Number
    index: Number


class SnapshotNotice(_Message, frozen=True, tag=13):
    """What you need next is no longer in my log: pull a snapshot. Also says that the leader lives."""


class SnapshotPull(_Message, frozen=True, tag=14):
    """Send me bytes from ``offset`` of the checkpoint at ``index`` (0: of your newest)."""

    index: Number
    offset: Number


class SnapshotChunk(_Message, frozen=True, tag=15):
    """``data`` at ``offset`` of the checkpoint at ``index`` that is ``size_bytes`` long."""

    index: Number
    offset: Number
    size_bytes: Number
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

EARLY = (AppendEntries, SnapshotNotice, ReadProbe, ReadProbeReply, ReadIndexRequest, ReadIndexReply)
"""They vouch for nothing but their sender's term, so they may leave while the disk writes what else the turn decided
(thesis §10.2.1: a leader sends entries that are not on its own disk yet). What is counted against a promise, votes and
replies to appends, may not."""

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
