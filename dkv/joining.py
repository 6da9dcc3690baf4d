"""What a node that joins says, and what it is told: the bodies of ``POST /join``.

``rest`` and ``raft`` are ``host:port``; ``identity`` is ``name.incarnation`` (``n1.3f9a2c1b``).
"""

from __future__ import annotations

import msgspec


class MemberInfo(msgspec.Struct, frozen=True):
    """One member as the directory has it."""

    identity: str
    name: str
    rest: str
    raft: str


class JoinRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """May I come in? ``version`` is the joiner's version of dkv."""

    identity: str
    name: str
    rest: str
    raft: str
    version: str


class JoinAnswer(msgspec.Struct, frozen=True):
    """The cluster's id, its founder's identity, and the leader's where it is known."""

    cluster: str
    founder: str
    leader: str | None = None
