"""Links between simulated nodes: one for each direction, ordered like TCP, or (``chaos``) like nothing at all.

A link can be up, stalled (bytes wait), or down. A new link carries nothing of the old one. In ``chaos`` messages are
also lost, doubled, overtaken, and old ones come again, even from an earlier link, life or term: the guard must bear
that too.
"""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dkv.raft.contracts import NodeId
from dkv.raft.messages import AppendReply, Message, ReadIndexReply, RequestVote, Vote, encode
from tests.sim.clock import VirtualClock

Link = tuple[NodeId, NodeId]
OLD_MESSAGES_MAX = 400
OLD_ANSWERS_MAX = 12
"""Answers do most harm when they come late, so some of each link's are kept for seconds, and come again together."""
OLD_ANSWERS_S = 0.06
"""So long does it take until all of them have arrived: about as long as a new link or life needs to find its place."""


@dataclass(slots=True)
class _State:
    epoch: int = 0
    up: bool = False
    last_arrival: float = 0.0


class Network:
    """``deliver(sender, receiver, data)`` is called on arrival; ``link_up``/``link_down`` tell the sender."""

    def __init__(
        self,
        clock: VirtualClock,
        rng: random.Random,
        *,
        chaos: bool,
        loss: float,
        deliver: Callable[[NodeId, NodeId, bytes], None],
        link_up: Callable[[NodeId, NodeId], None],
        link_down: Callable[[NodeId, NodeId, bool], None],
    ) -> None:
        self._clock, self._rng, self.chaos, self._loss = clock, rng, chaos, loss
        self._deliver, self._link_up, self._link_down = deliver, link_up, link_down
        self._links: dict[Link, _State] = defaultdict(_State)
        self._old: dict[Link, deque[bytes]] = defaultdict(lambda: deque(maxlen=OLD_MESSAGES_MAX))
        self._old_answers: dict[Link, list[bytes]] = defaultdict(list)
        self._waiting: dict[Link, list[tuple[int, bytes]]] = defaultdict(list)
        self.stalled: set[Link] = set()
        self.delay_s = 0.001

    def connect(self, a: NodeId, b: NodeId) -> None:
        """Dial from ``a`` to ``b``, if there is no link yet."""
        state = self._links[a, b]
        if not state.up and (a, b) not in self.stalled:
            state.up = True
            state.epoch += 1
            state.last_arrival = self._clock.time
            self._link_up(a, b)
            if self.chaos and self._rng.random() < 0.5:
                self._old_answers_come(a, b)

    def disconnect(self, a: NodeId, b: NodeId, *, reset: bool) -> None:
        """The link from ``a`` to ``b`` is gone with all that it carried."""
        state = self._links[a, b]
        if state.up:
            state.up = False
            state.epoch += 1
            self._waiting[a, b].clear()
            self._link_down(a, b, reset)

    def send(self, a: NodeId, b: NodeId, message: Message) -> None:
        state = self._links[a, b]
        if not state.up:
            return
        data = encode(message)
        if self.chaos and self._harmed(a, b, state.epoch, message, data):
            return
        arrival = max(state.last_arrival, self._clock.time + self.delay_s * (0.2 + self._rng.expovariate(1.2)))
        state.last_arrival = arrival
        self._arrive_later(a, b, state.epoch, data, arrival)

    def _harmed(self, a: NodeId, b: NodeId, epoch: int, message: Message, data: bytes) -> bool:
        """Chaos: old ones come again beside ``message``; True if it is lost, or comes by another way."""
        self._old[a, b].append(data)
        rng, now = self._rng, self._clock.time
        lost, again, astray = self._loss, self._loss + 0.07, self._loss + 0.12
        if isinstance(message, Vote | RequestVote):
            lost, again, astray = 0.06, 0.20, 0.30
        if isinstance(message, Vote | AppendReply | ReadIndexReply):
            self._keep_answer(a, b, data, rarely=isinstance(message, AppendReply))
        chance = rng.random()
        if chance < lost:
            return True
        if chance < again:
            older = data if isinstance(message, Vote) else rng.choice(self._old[a, b])
            self._arrive_later(a, b, epoch, older, now + self.delay_s * 20 * rng.random())
        if chance < astray:
            self._arrive_later(a, b, epoch, data, now + self.delay_s * 8 * rng.random())
        return chance < astray

    def _keep_answer(self, a: NodeId, b: NodeId, data: bytes, *, rarely: bool) -> None:
        """Perhaps keep this one; perhaps all come that are kept."""
        if self._rng.random() < 0.12:
            self._old_answers_come(a, b)
        if rarely and self._rng.random() < 0.7:
            return
        kept = self._old_answers[a, b]
        if len(kept) < OLD_ANSWERS_MAX:
            kept.append(data)
        else:
            kept[self._rng.randrange(OLD_ANSWERS_MAX)] = data

    def _old_answers_come(self, a: NodeId, b: NodeId) -> None:
        """All that are kept of this link.

        An acknowledgement of an earlier term is missed as such only while it is not true any more and its addressee
        leads again (see ``strand_leader``). An answer to a reader of an earlier life, only while the new life waits for
        one of the same number and lacks a write that was acknowledged meanwhile: for some ten milliseconds, from when
        it hears who leads until the leader has closed the gap in its log. Hence together, and when a link is new.
        """
        for data in self._old_answers[a, b]:
            arrival = self._clock.time + self._rng.random() * OLD_ANSWERS_S
            self._arrive_later(a, b, self._links[a, b].epoch, data, arrival)

    def stall(self, a: NodeId, b: NodeId) -> None:
        """Nothing arrives any more, and nobody notices."""
        self.stalled.add((a, b))

    def heal(self, links: Iterable[Link] | None = None) -> None:
        """These stalled links (None: all) deliver what waited, in order."""
        for link in sorted(self.stalled if links is None else self.stalled.intersection(links)):
            self.stalled.discard(link)
            waiting, self._waiting[link] = self._waiting[link], []
            for epoch, data in waiting:
                self._arrive(*link, epoch, data)

    def _arrive_later(self, a: NodeId, b: NodeId, epoch: int, data: bytes, time: float) -> None:
        self._clock.at(time, lambda: self._arrive(a, b, epoch, data))

    def _arrive(self, a: NodeId, b: NodeId, epoch: int, data: bytes) -> None:
        if epoch != self._links[a, b].epoch:
            return
        if (a, b) in self.stalled:
            self._waiting[a, b].append((epoch, data))
        else:
            self._deliver(a, b, data)
