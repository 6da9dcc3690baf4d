"""Push/pull: two members tell each other all they know, and each takes what it hears as claims.

It makes a newcomer known, and repairs what gossip missed.
"""

from __future__ import annotations

from collections.abc import Callable

from dkv.gossip.memberlist.claims import Claims, announcement
from dkv.gossip.memberlist.events import Event, JoinFinished, StateReceived
from dkv.gossip.memberlist.members import Members
from dkv.gossip.memberlist.profiles import Profile
from dkv.gossip.memberlist.requests import Finish, Requests
from dkv.gossip.memberlist.rules import incompatibility
from dkv.gossip.memberlist.timers import Timer, Timers
from dkv.gossip.wire.messages import Dead, ErrorReply, Suspect
from dkv.gossip.wire.particulars import Address
from dkv.gossip.wire.push_pull import NodeState, PushPull, State
from dkv.gossip.wire.streams import StreamMessage


class Exchanges:
    """Gives our state to one member, and takes its state. ``local_state(join)``: of the layer above."""

    def __init__(
        self,
        profile: Profile,
        members: Members,
        claims: Claims,
        requests: Requests,
        timers: Timers,
        local_state: Callable[[bool], bytes],
        emit: Callable[[Event], None],
    ) -> None:
        self._profile, self._members, self._claims, self._requests = profile, members, claims, requests
        self._timers, self._local_state, self._emit = timers, local_state, emit

    def tick(self, now: float) -> None:
        """One with a random living member. It repairs what gossip missed."""
        self._timers.set(Timer.PUSH_PULL, now + self._profile.scaled_push_pull_s(len(self._members)))
        ourselves = self._claims.ourselves.node
        for peer in self._members.pick(1, lambda node: node.state is State.ALIVE and node.node != ourselves):
            self._open(peer.address, False, now, self._merge_answer)

    def join(self, address: Address, now: float) -> None:
        """With somebody of whom we know nothing but the address; ``JoinFinished`` tells how it went."""
        if address == self._claims.ourselves.address:
            self._emit(JoinFinished(address, "that is our own address"))
            return

        def finish(answer: StreamMessage | None, reason: str, now: float) -> None:
            self._emit(JoinFinished(address, self._merge_answer(answer, reason, now)))

        self._open(address, True, now, finish)

    def state(self, join: bool) -> PushPull:
        """All that we know, the gone included."""
        return PushPull(join=join, nodes=tuple(self._members), user_state=self._local_state(join))

    def merge(self, theirs: PushPull, now: float) -> str:
        """Take all that another one knows, or nothing of it; then the reason why not, for people."""
        refusal = incompatibility(self._members, theirs.nodes)
        if refusal:
            return refusal
        for node in theirs.nodes:
            if node.state is State.SUSPECT or self._members.get(node.node) != node:
                self._claim(node, now)
        if theirs.user_state:
            self._emit(StateReceived(theirs.user_state, theirs.join))
        return ""

    def _claim(self, node: NodeState, now: float) -> None:
        """An entry as the claim that it is. The dead are only suspected: they get a chance to object."""
        if node.state is State.ALIVE:
            self._claims.alive(announcement(node), now)
        elif node.state is State.LEFT:
            self._claims.dead(Dead(incarnation=node.incarnation, node=node.node, from_node=node.node), now)
        else:
            ourselves = self._claims.ourselves.node
            self._claims.suspect(Suspect(incarnation=node.incarnation, node=node.node, from_node=ourselves), now)

    def _open(self, address: Address, join: bool, now: float, finish: Finish) -> None:
        self._requests.open(address, self.state(join), now + self._profile.stream_timeout_s, finish)

    def _merge_answer(self, answer: StreamMessage | None, reason: str, now: float) -> str:
        if isinstance(answer, PushPull):
            return self.merge(answer, now)
        return answer.error if isinstance(answer, ErrorReply) else reason
