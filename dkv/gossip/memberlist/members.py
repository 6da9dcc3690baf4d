"""The table of members: what is known of each, since when the gone ones are gone, and the order in which to probe.

An entry is what a push/pull says of a member, so that the table can be sent as it is. Entries are immutable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from dkv.gossip.memberlist.events import Member
from dkv.gossip.memberlist.rules import GONE
from dkv.gossip.wire.limits import NODES_MAX, STREAM_BYTES_MAX, USER_STATE_BYTES_MAX
from dkv.gossip.wire.push_pull import NodeState

if TYPE_CHECKING:
    import random

TABLE_BYTES_MAX = STREAM_BYTES_MAX - USER_STATE_BYTES_MAX - 1024
"""So that a push/pull always has room for it, with Serf's state and a header."""

ENTRY_BYTES = 96
"""Of a member in a push/pull, besides its name and meta: field names, numbers, an IPv6 address."""

_ALL_TRIED_MAX = 32
"""Up to so many members a pick tries all; above, three times as many draws as there are members (memberlist's)."""


def described(node: NodeState) -> Member:
    """What events say of an entry."""
    return Member(
        name=node.node,
        address=node.address,
        meta=node.meta,
        incarnation=node.incarnation,
        versions=node.versions,
    )


class Members:
    """All that is known of everybody, ourselves included."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._nodes: dict[str, NodeState] = {}
        self._gone_since: dict[str, float] = {}
        self._order: list[str] = []
        self._next = 0
        self._size_bytes = 0

    def __len__(self) -> int:
        """Of all states: the n of memberlist's formulas."""
        return len(self._nodes)

    def __iter__(self) -> Iterator[NodeState]:
        return iter(self._nodes.values())

    def __contains__(self, name: object) -> bool:
        return name in self._nodes

    def __getitem__(self, name: str) -> NodeState:
        return self._nodes[name]

    def get(self, name: str) -> NodeState | None:
        """None for a stranger."""
        return self._nodes.get(name)

    def has_room(self, node: NodeState) -> bool:
        """Whether the table may hold this entry (instead of that member's old one)."""
        old = self._nodes.get(node.node)
        count = len(self._nodes) + (old is None)
        size_bytes = self._size_bytes + _size_bytes(node) - (_size_bytes(old) if old else 0)
        return count <= NODES_MAX and size_bytes <= TABLE_BYTES_MAX

    def put(self, node: NodeState, now: float) -> None:
        """A new member, at a random place among those to probe; or a new entry of one."""
        old = self._nodes.get(node.node)
        if old is None:
            self._insert(node.node)
        else:
            self._size_bytes -= _size_bytes(old)
        self._size_bytes += _size_bytes(node)
        self._nodes[node.node] = node
        if node.state not in GONE:
            self._gone_since.pop(node.node, None)
        elif old is None or old.state is not node.state:
            self._gone_since[node.node] = now

    def gone_for_s(self, name: str, now: float) -> float:
        """Seconds since that member died or left; 0 for the living."""
        return now - self._gone_since.get(name, now)

    def pick(self, count: int, fits: Callable[[NodeState], bool]) -> list[NodeState]:
        """Up to ``count`` different members at random."""
        size = len(self._order)
        picked: dict[str, NodeState] = {}
        for name in self._draws(size):
            node = self._nodes[name]
            if name not in picked and fits(node):
                picked[name] = node
                if len(picked) == count:
                    break
        return list(picked.values())

    def next_to_probe(self, ourselves: str, forget_after_s: float, now: float) -> NodeState | None:
        """Round robin over the living in a random order, a new one in each round, in which the long gone are forgotten.

        None if there is nobody else.
        """
        for _ in range(len(self._order) + 1):
            if self._next >= len(self._order):
                self._begin_round(forget_after_s, now)
            node = self._nodes[self._order[self._next]]
            self._next += 1
            if node.node != ourselves and node.state not in GONE:
                return node
        return None

    def _begin_round(self, forget_after_s: float, now: float) -> None:
        for name in [name for name, since in self._gone_since.items() if now - since > forget_after_s]:
            del self._gone_since[name]
            self._size_bytes -= _size_bytes(self._nodes.pop(name))
        self._order = list(self._nodes)
        self._rng.shuffle(self._order)
        self._next = 0

    def _insert(self, name: str) -> None:
        """Not at the end: there, new members would all wait for a whole round, and the bound on detection be worse."""
        self._order.append(name)
        place = int(self._rng.random() * len(self._order))
        self._order[place], self._order[-1] = self._order[-1], self._order[place]

    def _draws(self, size: int) -> Iterator[str]:
        if size <= _ALL_TRIED_MAX:
            yield from self._rng.sample(self._order, size)
            return
        for _ in range(3 * size):
            yield self._order[int(self._rng.random() * size)]


def _size_bytes(node: NodeState) -> int:
    return ENTRY_BYTES + 4 * len(node.node) + len(node.meta)
