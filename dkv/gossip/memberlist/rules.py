"""What to make of a claim about a member: memberlist's accept and ignore rules, as decisions without effects.

A member alone may raise its incarnation, and everybody believes the higher one; among equals dead beats suspect beats
alive. Everything else here is about names that come back: from another address, after a leave, after a long death.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto

from dkv.gossip.wire.messages import Alive, Dead, Suspect
from dkv.gossip.wire.particulars import Versions
from dkv.gossip.wire.push_pull import NodeState, State

GONE = (State.DEAD, State.LEFT)


class Verdict(Enum):
    """What to do with a claim."""

    IGNORE = auto()
    ACCEPT = auto()
    REFUTE = auto()
    """It is about us and untrue: say so under a higher incarnation."""
    CONFIRM = auto()
    """It is about a member that is suspected already."""
    CONFLICT = auto()
    """A name of one member, from the address of another."""


def judge_alive(known: NodeState | None, claim: Alive, *, about_us: bool, leaving: bool, reclaimable: bool) -> Verdict:
    """``reclaimable``: the known member is dead for so long that its name may go to another address."""
    if (about_us and leaving) or _impossible(claim.versions):
        return Verdict.IGNORE
    if known is None:  # as if known dead, under incarnation 0
        return Verdict.ACCEPT if claim.incarnation > 0 else Verdict.IGNORE
    if claim.address != known.address:
        return Verdict.ACCEPT if known.state is State.LEFT or reclaimable else Verdict.CONFLICT
    if not about_us:
        return Verdict.ACCEPT if claim.incarnation > known.incarnation else Verdict.IGNORE
    if claim.incarnation < known.incarnation:
        return Verdict.IGNORE
    ours = (known.incarnation, known.meta, known.versions)
    return Verdict.IGNORE if (claim.incarnation, claim.meta, claim.versions) == ours else Verdict.REFUTE


def judge_suspect(known: NodeState | None, claim: Suspect, *, about_us: bool) -> Verdict:
    """The claim that a member does not answer."""
    if known is None or claim.incarnation < known.incarnation or known.state in GONE:
        return Verdict.IGNORE
    if known.state is State.SUSPECT:
        return Verdict.CONFIRM
    return Verdict.REFUTE if about_us else Verdict.ACCEPT


def judge_dead(known: NodeState | None, claim: Dead, *, about_us: bool, leaving: bool) -> Verdict:
    """The claim that a member is dead, or left (if it is its own)."""
    if known is None or claim.incarnation < known.incarnation or known.state in GONE:
        return Verdict.IGNORE
    return Verdict.REFUTE if about_us and not leaving else Verdict.ACCEPT


def incompatibility(ours: Iterable[NodeState], theirs: Iterable[NodeState]) -> str:
    """Why two groups of members cannot be one; empty if they can.

    Every member has to speak what all living ones understand. Those that told no versions stand in nobody's way here
    (agents end the exchange, for ever, as soon as there is one).
    """
    nodes = [node for node in (*ours, *theirs) if node.versions is not None]
    living = {node.versions for node in nodes if node.state is State.ALIVE}
    if not living:
        return ""
    least = Versions(*(max(versions[i] for versions in living if versions) for i in range(6)))
    most = Versions(*(min(versions[i] for versions in living if versions) for i in range(6)))
    for spoken, node in {node.versions: node for node in nodes}.items():
        assert spoken is not None
        if not least.protocol_min <= spoken.protocol <= most.protocol_max:
            return f"{node.node} speaks memberlist protocol {spoken.protocol}, which some living members do not"
        if not least.delegate_min <= spoken.delegate <= most.delegate_max:
            return f"{node.node} speaks Serf protocol {spoken.delegate}, which some living members do not"
    return ""


def _impossible(versions: Versions | None) -> bool:
    """A protocol range that is none."""
    return versions is not None and not 0 < versions.protocol_min <= versions.protocol_max
