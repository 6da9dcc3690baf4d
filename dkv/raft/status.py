"""How one member of a group stands, in values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dkv.raft.contracts import GroupId, NodeId


class Role(StrEnum):
    """What a member is, in words."""

    FOLLOWER = "follower"
    CANDIDATE = "candidate"
    LEADER = "leader"
    LEARNER = "learner"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class PeerProgress:
    """The leader's view of a peer. ``last_contact_s``: seconds since its last reply."""

    match_index: int
    last_contact_s: float


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """Everything that a person, a metric or the membership may want to know.

    ``can_serve_reads``: a leader whose term's first entry is committed. ``leader_contact_s``: seconds since the leader
    was heard, 0 at the leader itself.
    """

    group: GroupId
    me: NodeId
    role: Role
    term: int
    leader: NodeId | None
    vote: NodeId | None
    first_index: int
    last_index: int
    commit_index: int
    applied_index: int
    log_bytes: int
    checkpoint_index: int
    voters: tuple[NodeId, ...]
    learners: tuple[NodeId, ...]
    peers: dict[NodeId, PeerProgress]
    can_serve_reads: bool
    leader_contact_s: float
