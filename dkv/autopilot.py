"""What the leader does about its members by itself, and why: the autopilot, in Consul's sense. It decides, and no more.

A node that stands in the directory is *promoted* (gets a vote) once gossip has had it alive for a while without a
break. One that left is *removed* at once, one that failed after a long time, and a removal that would cost the quorum
is not done, which is told as well. Law: at most one change at a time; nothing but waiting for whoever is of another
cluster, or another incarnation; a voter that answers is never removed for what gossip thinks of it; never the leader.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from dkv.directory import name_in
from dkv.gossip.wire.internal_queries import Status
from dkv.raft.contracts import NodeId
from dkv.sightings import Sighting

STABILIZATION_S: Final = {"local": 0.3, "lan": 2.0, "wan": 10.0}
"""By gossip profile: about two probes, so that a node that comes and goes is seen to go (on one machine links tell)."""

REMOVE_FAILED_AFTER_S: Final = 86_400.0
"""A day: longer than repairs and reboots take. What removes the dead within seconds breaks clusters in a partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """``stabilization_s``: alive for so long without a break before a vote; None: what suits the gossip profile.
    ``remove_failed_after_s``: so long without a sign of life, under one leader, before the vote goes."""

    stabilization_s: float | None = None
    remove_failed_after_s: float = REMOVE_FAILED_AFTER_S

    def __post_init__(self) -> None:
        assert self.stabilization_s is None or self.stabilization_s >= 0, "stabilization_s is 0 or more"
        assert self.remove_failed_after_s > 0, "remove_failed_after_s is more than 0"


class Kind(StrEnum):
    """``KEEP``: a removal that is due, and would be too dangerous now."""

    PROMOTE = "promote"
    REMOVE = "remove"
    KEEP = "keep"


class Decision(NamedTuple):
    """About the member with that identity. ``reason`` goes on after "because"."""

    kind: Kind
    member: NodeId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """How it stands at the leader ``me``.

    ``members``: who is in the directory. ``linked``: to whom the link is up. ``live``: who answers, see
    ``refusal_to_remove``. ``sightings``: gossip's, of any cluster.
    """

    me: NodeId
    cluster: str
    members: Collection[NodeId]
    voters: Sequence[NodeId]
    linked: Collection[NodeId]
    live: Collection[NodeId]
    sightings: Sequence[Sighting]


class Look(NamedTuple):
    """``change``: the one to carry out now. ``news``: what was decided now and not at the look before."""

    change: Decision | None
    news: tuple[Decision, ...]


class Autopilot:
    """One leader's, for one term of office: whom it has missed since when, what it tried, what it told."""

    def __init__(self, stabilization_s: float, remove_failed_after_s: float) -> None:
        self._stabilization_s, self._remove_failed_after_s = stabilization_s, remove_failed_after_s
        self._missed: dict[NodeId, float] = {}
        self._attempts: dict[NodeId, int] = {}
        self._told: dict[NodeId, Kind] = {}

    def look(self, picture: Picture, now: float) -> Look:
        """What to do, if anything. Carry ``change`` out, and say if that ``failed``, before the next look."""
        seen = {each.member.identity: each for each in picture.sightings if each.cluster == picture.cluster}
        self._miss(picture, seen, now)
        due = {decision.member: decision for decision in self._due(picture, seen, now)}
        for past in (self._attempts, self._told):
            for member in past.keys() - due.keys():
                del past[member]
        changes = [decision for decision in due.values() if decision.kind is not Kind.KEEP]
        # Whoever could not be helped goes behind the others; min takes the first of equals.
        change = min(changes, key=lambda decision: self._attempts.get(decision.member, 0), default=None)
        made = [decision for decision in due.values() if decision is change or decision.kind is Kind.KEEP]
        news = tuple(decision for decision in made if self._told.get(decision.member) is not decision.kind)
        self._told.update((decision.member, decision.kind) for decision in made)
        return Look(change, news)

    def failed(self, change: Decision) -> None:
        """It was tried in vain; it will be again, after the others."""
        self._attempts[change.member] = self._attempts.get(change.member, 0) + 1

    def _miss(self, picture: Picture, seen: dict[NodeId, Sighting], now: float) -> None:
        """Any sign of life counts. Gossip need not know the missed ones: it forgets the dead after a day."""
        present = {node for node, each in seen.items() if each.status in (Status.ALIVE, Status.LEAVING)}
        missing = {*picture.members} - present - {*picture.linked} - {*picture.live} - {picture.me}
        self._missed = {node: self._missed.get(node, now) for node in missing}

    def _due(self, picture: Picture, seen: dict[NodeId, Sighting], now: float) -> Iterator[Decision]:
        """In the order of urgency, at most one for each member."""
        left = [node for node, each in seen.items() if each.status is Status.LEFT]
        for node in sorted({*left} & {*picture.members} - {picture.me}):
            yield _removal(node, "it left", picture)
        for node in sorted({*picture.members} - {*picture.voters} - {*left}):
            each = seen.get(node)
            stable = each is not None and each.is_alive and now - each.since >= self._stabilization_s
            if stable and node in picture.linked:
                why = f"gossip has had it alive for {self._stabilization_s:g} s without a break, and it can be reached"
                yield Decision(Kind.PROMOTE, node, why)
        for node in sorted(self._missed.keys() - {*left}):
            if now - self._missed[node] >= self._remove_failed_after_s:
                why = f"it has shown no sign of life for {self._remove_failed_after_s:g} s"
                yield _removal(node, why, picture)


def _removal(node: NodeId, why: str, picture: Picture) -> Decision:
    refusal = refusal_to_remove(node, picture.voters, picture.live) if node in picture.voters else None
    return Decision(Kind.REMOVE, node, why) if refusal is None else Decision(Kind.KEEP, node, f"{why}, but: {refusal}")


def refusal_to_remove(leaver: NodeId, voters: Sequence[NodeId], live: Collection[NodeId]) -> str | None:
    """Why ``leaver``'s vote must not be taken away, or None. ``live``: as the leader sees it, itself included."""
    staying = [voter for voter in voters if voter != leaver]
    if not staying:
        return (
            f"{name_in(leaver)} is the last voter: without it the data would have no keeper. Nothing was changed; "
            "add another node first, or just stop this one."
        )
    needed = len(staying) // 2 + 1
    alive = sorted(name_in(voter) for voter in staying if voter in live)
    if len(alive) >= needed:
        return None
    return (
        f"Without {name_in(leaver)} there would be {len(staying)} voters, of which {needed} must be alive, but only "
        f"{len(alive)} are ({', '.join(alive) or 'none'}). Nothing was changed; bring the others back first."
    )
