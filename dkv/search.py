"""Whom a newcomer may ask to be let in, by what gossip shows; and if nobody, what is missing, for people."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from dkv.addresses import Address
from dkv.gossip.agent.views import MemberView
from dkv.gossip.wire.internal_queries import Status
from dkv.sightings import Sighting, sightings


class Found(NamedTuple):
    """``rest``: where to ask, REST addresses. ``problem``: why there are none."""

    rest: tuple[str, ...] = ()
    problem: str = ""


def search(views: Iterable[MemberView], me: str, targets: Collection[Address]) -> Found:
    """``me``: our own name. ``targets``: ``--join``."""
    others = [view for view in views if view.name != me and view.status is Status.ALIVE]
    if not others:
        return Found(problem=_nobody(targets))
    nodes = sightings(others)
    if not nodes:
        names = ", ".join(view.name for view in others)
        return Found(problem=f"gossip knows {names}, none of which is a node of dkv.")
    settled = [node for node in nodes if node.cluster]
    if not settled:
        names = ", ".join(node.member.name for node in nodes)
        return Found(
            problem=f"gossip knows {names}, but they belong to no cluster yet either: one node has to be started "
            "without --join, and founds it."
        )
    named = {view.name for view in others if tuple(view.address) in {tuple(target) for target in targets}}
    cluster = _one_cluster([node for node in settled if node.member.name in named]) or _one_cluster(settled)
    if cluster is None:
        return Found(problem=f"there are several clusters in this gossip ({_clusters(settled)}): name one in --join.")
    return Found(rest=tuple(node.member.rest for node in settled if node.cluster == cluster))


def _one_cluster(nodes: Iterable[Sighting]) -> str | None:
    clusters = {node.cluster for node in nodes}
    return clusters.pop() if len(clusters) == 1 else None


def _clusters(nodes: Sequence[Sighting]) -> str:
    members = {node.cluster: [each.member.name for each in nodes if each.cluster == node.cluster] for node in nodes}
    return "; ".join(f"{cluster}: {', '.join(names)}" for cluster, names in sorted(members.items()))


def _nobody(targets: Iterable[Address]) -> str:
    return (
        f"no member answers at {', '.join(map(str, targets))}. --join wants the gossip address of any member (its "
        "--gossip), not its REST or Raft address; a member with another --gossip-key or --gossip-label does not answer."
    )
