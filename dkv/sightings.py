"""The nodes of dkv among gossip's members: what a node's tags say of it, written and read.

Anybody may gossip. A member is a node of dkv only if its tags are whole, and it counts as one of a cluster only once it
says so itself, which it does after it was let in. Everybody else (a plain ``serf agent``) is seen and left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from dkv.directory import checked
from dkv.errors import BadRequest
from dkv.gossip.agent.views import MemberView
from dkv.gossip.wire.internal_queries import Status
from dkv.joining import MemberInfo

ROLE: Final = "dkv"
"""The tag ``role``: tells nodes from plain agents."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A node as gossip has it. ``cluster``: its id, empty as long as the node belongs to none. ``since``: see
    ``MemberView``."""

    member: MemberInfo
    cluster: str
    status: Status
    since: float

    @property
    def is_alive(self) -> bool:
        return self.status is Status.ALIVE


class Gossip(Protocol):
    """What the node's own organs ask of ``dkv.gossip.agent.Agent``."""

    def members(self) -> Sequence[MemberView]: ...
    def force_leave(self, name: str) -> None: ...


def tags_of(member: MemberInfo, version: str, cluster: str = "") -> dict[str, str]:
    """What a node says of itself. ``version``: of dkv."""
    tags = {"role": ROLE, "id": member.identity, "rest": member.rest, "raft": member.raft, "version": version}
    return {**tags, "cluster": cluster} if cluster else tags


def sighting(view: MemberView) -> Sighting | None:
    """None: no node of dkv, or none that says who and where it is."""
    if view.tags.get("role") != ROLE:
        return None
    identity, rest, raft = (view.tags.get(tag, "") for tag in ("id", "rest", "raft"))
    try:
        member = checked(MemberInfo(identity, view.name, rest, raft))
    except BadRequest:
        return None
    return Sighting(member, view.tags.get("cluster", ""), view.status, view.since)


def sightings(views: Iterable[MemberView]) -> list[Sighting]:
    """Of all nodes."""
    return [seen for view in views if (seen := sighting(view)) is not None]
