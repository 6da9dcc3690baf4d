"""What is said of members, by themselves or others, and what follows from it: rules.py decides, this carries it out.

Whatever is believed is told on, so that everybody hears of it; every suspicion has a timer, at whose end its member is
dead unless it objected under a higher incarnation.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from dkv.gossip.memberlist.awareness import Awareness
from dkv.gossip.memberlist.broadcasts import Broadcasts
from dkv.gossip.memberlist.events import (
    Event,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberUpdated,
    NameConflict,
    Refuted,
)
from dkv.gossip.memberlist.members import Members, described
from dkv.gossip.memberlist.profiles import Profile
from dkv.gossip.memberlist.rules import GONE, Verdict, judge_alive, judge_dead, judge_suspect
from dkv.gossip.memberlist.suspicion import Suspicion
from dkv.gossip.memberlist.timers import Timer, Timers
from dkv.gossip.wire.messages import Alive, Dead, Suspect, encode
from dkv.gossip.wire.particulars import U32_MAX, Address
from dkv.gossip.wire.push_pull import NodeState, State


class Claims:
    """Applies claims to the table. ``ourselves``: the entry that we start with; it is announced at once."""

    def __init__(
        self,
        ourselves: NodeState,
        profile: Profile,
        members: Members,
        broadcasts: Broadcasts,
        timers: Timers,
        awareness: Awareness,
        emit: Callable[[Event], None],
        now: float,
    ) -> None:
        self._name = ourselves.node
        self._profile = profile
        self._members, self._broadcasts, self._timers, self._awareness = members, broadcasts, timers, awareness
        self._emit = emit
        self._suspicions: dict[str, Suspicion] = {}
        self.leaving = False
        self.suspicions = 0
        """Those that were believed, since the start."""
        self.refutations = 0
        """Untruths about us that we answered, since the start."""
        self.turned_away = 0
        """Claims ignored because the table has no room for them."""
        self._believe_alive(ourselves, now)

    @property
    def ourselves(self) -> NodeState:
        """Our own entry."""
        return self._members[self._name]

    @property
    def suspected(self) -> int:
        """How many members are suspected now."""
        return len(self._suspicions)

    def alive(self, claim: Alive, now: float) -> None:
        """A member says that, and what, it is."""
        address = self.completed(claim.address)
        if address is not claim.address:
            claim = msgspec.structs.replace(claim, address=address)
        known = self._members.get(claim.node)
        verdict = judge_alive(
            known,
            claim,
            about_us=claim.node == self._name,
            leaving=self.leaving,
            reclaimable=known is not None and self._is_reclaimable(known, now),
        )
        if verdict is Verdict.IGNORE:
            return
        if verdict is Verdict.REFUTE:
            self._refute(claim.incarnation, now)
            return
        node = NodeState(
            incarnation=claim.incarnation,
            node=claim.node,
            address=claim.address,
            state=State.ALIVE,
            meta=claim.meta,
            versions=claim.versions,
        )
        if verdict is Verdict.CONFLICT:
            assert known is not None, f"nobody to be in conflict with {claim.node}"
            self._emit(NameConflict(described(known), described(node)))
            return
        self._believe_alive(node, now)

    def suspect(self, claim: Suspect, now: float) -> None:
        """Somebody got no answer from a member."""
        known = self._members.get(claim.node)
        verdict = judge_suspect(known, claim, about_us=claim.node == self._name)
        if verdict is Verdict.REFUTE:
            self._refute(claim.incarnation, now)
        elif verdict is Verdict.CONFIRM:
            suspicion = self._suspicions[claim.node]
            if suspicion.confirm(claim.from_node):
                self._timers.set(Timer.SUSPICION, max(now, suspicion.due), claim.node)
                self._tell(claim.node, claim)
        elif verdict is Verdict.ACCEPT:
            assert known is not None, f"a suspicion of the stranger {claim.node}"
            self._tell(claim.node, claim)
            suspicion = Suspicion(self._profile, len(self._members), claim.from_node, now)
            self._suspicions[claim.node] = suspicion
            self.suspicions += 1
            self._timers.set(Timer.SUSPICION, suspicion.due, claim.node)
            self._replace(known, State.SUSPECT, claim.incarnation, now)

    def dead(self, claim: Dead, now: float) -> None:
        """Nobody got an answer from a member; or it says itself that it leaves."""
        known = self._members.get(claim.node)
        verdict = judge_dead(known, claim, about_us=claim.node == self._name, leaving=self.leaving)
        if verdict is Verdict.REFUTE:
            self._refute(claim.incarnation, now)
        elif verdict is Verdict.ACCEPT:
            assert known is not None, f"the death of the stranger {claim.node}"
            self._acquit(claim.node)
            self._tell(claim.node, claim)
            left = claim.from_node == claim.node
            gone = self._replace(known, State.LEFT if left else State.DEAD, claim.incarnation, now)
            self._emit(MemberLeft(described(gone)) if left else MemberFailed(described(gone)))

    def suspicion_is_over(self, name: str, now: float) -> None:
        """It did not object in time."""
        self.dead(Dead(incarnation=self._members[name].incarnation, node=name, from_node=self._name), now)

    def restate(self, meta: bytes, now: float) -> None:
        """We have other meta than before."""
        self._rise_above(self.ourselves.incarnation, meta, now)

    def leave(self, now: float) -> None:
        """We go: all are told, and nothing said of us matters any more."""
        self.leaving = True
        self.dead(Dead(incarnation=self.ourselves.incarnation, node=self._name, from_node=self._name), now)

    def completed(self, address: Address) -> Address:
        """A port of 0 means ours."""
        return address if address.port else Address(address.host, self.ourselves.address.port)

    def _refute(self, accused_incarnation: int, now: float) -> None:
        """It is gossiped as often as any news: it may come when we know nobody yet to tell it to."""
        self._awareness.change(+1)
        self.refutations += 1
        self._rise_above(max(self.ourselves.incarnation, accused_incarnation), self.ourselves.meta, now)
        self._emit(Refuted(self.ourselves.incarnation))

    def _rise_above(self, incarnation: int, meta: bytes, now: float) -> None:
        """The last incarnation only a forger comes to; then we can but wait until the others forget what he said."""
        incarnation = min(incarnation + 1, U32_MAX)
        self._believe_alive(msgspec.structs.replace(self.ourselves, meta=meta, incarnation=incarnation), now)

    def _believe_alive(self, node: NodeState, now: float) -> None:
        known = self._members.get(node.node)
        if node.node != self._name and not self._members.has_room(node):
            self.turned_away += 1
            return
        self._acquit(node.node)
        self._members.put(node, now)
        self._tell(node.node, announcement(node))
        if known is None or known.state in GONE:
            self._emit(MemberJoined(described(node)))
        elif known.meta != node.meta:
            self._emit(MemberUpdated(described(node)))

    def _replace(self, known: NodeState, state: State, incarnation: int, now: float) -> NodeState:
        node = msgspec.structs.replace(known, state=state, incarnation=incarnation)
        self._members.put(node, now)
        return node

    def _acquit(self, name: str) -> None:
        if self._suspicions.pop(name, None) is not None:
            self._timers.cancel(Timer.SUSPICION, name)

    def _tell(self, name: str, claim: Alive | Suspect | Dead) -> None:
        self._broadcasts.queue(encode(claim), name)

    def _is_reclaimable(self, known: NodeState, now: float) -> bool:
        after_s = self._profile.dead_node_reclaim_s
        return known.state is State.DEAD and 0 < after_s < self._members.gone_for_s(known.node, now)


def announcement(node: NodeState) -> Alive:
    """An entry as what its member says of itself."""
    return Alive(
        incarnation=node.incarnation,
        node=node.node,
        address=node.address,
        meta=node.meta,
        versions=node.versions,
    )
