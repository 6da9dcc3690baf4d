"""What ``Serf`` tells its user (what happened) and asks of the shell below (what to do). Values only."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from dkv.gossip.wire.encryption import Keyring
from dkv.gossip.wire.internal_queries import Member
from dkv.gossip.wire.particulars import Address


class MemberChange(StrEnum):
    """By their names in Serf's streams of events."""

    JOIN = "member-join"
    LEAVE = "member-leave"
    FAILED = "member-failed"
    UPDATE = "member-update"
    REAP = "member-reap"


class Level(StrEnum):
    """Of a line of log, by Serf's names."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARN = "WARN"
    ERR = "ERR"


class QueryKey(msgspec.Struct, frozen=True):
    """One query, among all that are under way."""

    ltime: int
    id: int


# --- what happened ----------------------------------------------------------------------------------------------------


class MemberEvent(msgspec.Struct, frozen=True):
    """A member's status or tags changed; ``member`` as it is now (of a reap: as it was)."""

    change: MemberChange
    member: Member


class UserEventReceived(msgspec.Struct, frozen=True):
    """Once for each user event, our own too. ``coalesce``: of those with one name only the newest matters."""

    ltime: int
    name: str
    payload: bytes
    coalesce: bool


class QueryReceived(msgspec.Struct, frozen=True):
    """Somebody asks us; answer with ``Serf.respond`` before ``deadline``, at most once. Internal ones do not show."""

    key: QueryKey
    name: str
    payload: bytes
    source_node: str
    deadline: float


class QueryAcked(msgspec.Struct, frozen=True):
    """``node`` got the query that we asked."""

    key: QueryKey
    node: str


class QueryAnswered(msgspec.Struct, frozen=True):
    """``node`` answered the query that we asked."""

    key: QueryKey
    node: str
    payload: bytes


class QueryFinished(msgspec.Struct, frozen=True):
    """The time of the query that we asked is over."""

    key: QueryKey


class NameConflictSettled(msgspec.Struct, frozen=True):
    """Another member uses our name; ``matching`` of ``responses`` members have our address under it.

    If it is ``lost``, Serf's agents end, and so should we: two members of one name cannot both be seen.
    """

    lost: bool
    matching: int
    responses: int


class Departed(msgspec.Struct, frozen=True):
    """Our leaving is over: everybody had the time to hear of it. The sockets may close."""


class Note(msgspec.Struct, frozen=True):
    """A line for the log."""

    level: Level
    text: str


class JoinSettled(msgspec.Struct, frozen=True):
    """What became of ``Kernel.join``: how many could be ``joined``, and why the others could not, for people."""

    join: int
    joined: int
    refusals: Mapping[Address, str]


# --- what to do -------------------------------------------------------------------------------------------------------


class SendUserMessage(msgspec.Struct, frozen=True):
    """Send ``payload`` as a user message of its own over UDP, once."""

    address: Address
    payload: bytes


class Reconnect(msgspec.Struct, frozen=True):
    """Try a push/pull with a failed member (``Swim.join``); nobody waits for the outcome."""

    address: Address


class Advertise(msgspec.Struct, frozen=True):
    """Our tags changed: say so with a new incarnation (``Swim.update``)."""

    meta: bytes


class Rekey(msgspec.Struct, frozen=True):
    """From now on this is the keyring of packets and streams; keep it on disk too."""

    keyring: Keyring


class LeaveSwim(msgspec.Struct, frozen=True):
    """The leave intent is out: now say that we are dead (``Swim.leave``)."""


SerfEvent = (
    MemberEvent
    | UserEventReceived
    | QueryReceived
    | QueryAcked
    | QueryAnswered
    | QueryFinished
    | NameConflictSettled
    | Departed
    | Note
    | SendUserMessage
    | Reconnect
    | Advertise
    | Rekey
    | LeaveSwim
)
