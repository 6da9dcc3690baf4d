"""What ``Swim`` tells the layer above, and what it asks of the shell below. Values only.

memberlist has one event for a member that is gone; here it is two, failed and left (it said so itself). Serf takes its
own intents besides, so that it may read both as "gone".
"""

from __future__ import annotations

import msgspec

from dkv.gossip.wire.messages import Ping
from dkv.gossip.wire.particulars import Address, Versions
from dkv.gossip.wire.push_pull import PushPull


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One member as it describes itself. ``meta``: its tags, encoded. ``versions``: None if it did not say."""

    name: str
    address: Address
    meta: bytes
    incarnation: int
    versions: Versions | None


class MemberJoined(msgspec.Struct, frozen=True):
    """A member that was unknown, failed or left is alive. We ourselves are the first one."""

    member: Member


class MemberUpdated(msgspec.Struct, frozen=True):
    """A living member has other meta than before."""

    member: Member


class MemberFailed(msgspec.Struct, frozen=True):
    """A member did not answer anybody, and did not refute it in time."""

    member: Member


class MemberLeft(msgspec.Struct, frozen=True):
    """A member said that it leaves."""

    member: Member


class Refuted(msgspec.Struct, frozen=True):
    """Somebody had something untrue about us; we said it better, under this new ``incarnation``."""

    incarnation: int


class NameConflict(msgspec.Struct, frozen=True):
    """Two members, perhaps we and another, use one name at two addresses. ``existing`` stays in the table."""

    existing: Member
    other: Member


class UserMessage(msgspec.Struct, frozen=True):
    """What came for the layer above. ``payload``: a Serf message, its type byte first."""

    payload: bytes


class StateReceived(msgspec.Struct, frozen=True):
    """The other side's state of a push/pull that was accepted. ``join``: the exchange made us, or it, a member."""

    user_state: bytes
    join: bool


class AckReceived(msgspec.Struct, frozen=True):
    """A member answered our ping directly, ``rtt_s`` after it was sent, with a ``payload`` (its coordinate)."""

    member: Member
    rtt_s: float
    payload: bytes


class JoinFinished(msgspec.Struct, frozen=True):
    """What became of ``Swim.join``. ``refusal``: why it did not work, for people; empty if it did."""

    address: Address
    refusal: str = ""


Event = (
    MemberJoined
    | MemberUpdated
    | MemberFailed
    | MemberLeft
    | Refuted
    | NameConflict
    | UserMessage
    | StateReceived
    | AckReceived
    | JoinFinished
)


class StreamRequest(msgspec.Struct, frozen=True, kw_only=True):
    """For the shell: dial ``address``, send ``request``, read the answer; report under ``stream``.

    ``deadline``: the time (``now``) at which it has failed, whatever is still under way.
    """

    stream: int
    address: Address
    request: Ping | PushPull
    deadline: float
