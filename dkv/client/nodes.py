"""Which node to ask: the leader first where only it can serve, otherwise round robin; troubled nodes last.

Pure, shared by all operations of one client. A node that failed is *shunned* for a while: it is still asked
when nobody else is left, so being wrong about a node costs time, never an operation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dkv.errors import LeaderHint

if TYPE_CHECKING:
    import random

SHUN_S = 1.0
"""Longer than an election usually takes: nobody follows an old hint to a leader that just fell silent."""

NODES_MAX = 64
"""Given and learnt addresses; far above any sensible number of voters, so that hints cannot grow the list for
ever.
"""


def parse_address(text: str) -> str:
    """``http://host:port``, ``host:port`` or ``[v6]:port`` → ``host:port``; ``ValueError`` with a hint if it
    is none.
    """
    try:
        url = urlsplit(text if "://" in text else f"//{text}", scheme="http")
        plain = url.path in ("", "/") and not url.query and url.username is None and not _has_space(text)
        if url.scheme == "http" and url.hostname and url.port and plain:
            return url.netloc
    except ValueError:  # a bracket that is not closed, a port beyond 65535
        pass
    raise ValueError(f"{text!r} is not the address of a node; write it as 127.0.0.1:30001")


def _has_space(text: str) -> bool:
    return any(character.isspace() for character in text)


class Nodes:
    """The addresses (``host:port``) of a cluster as one client knows them, and what it lived through with
    each.
    """

    def __init__(self, addresses: Iterable[str], rng: random.Random) -> None:
        self._known = list(dict.fromkeys(parse_address(address) for address in addresses))
        if not self._known:
            raise ValueError("a client needs the address of at least one node, such as 127.0.0.1:30001")
        self._turn = rng.randrange(len(self._known))
        self._shunned_until: dict[str, float] = {}
        self.leader: str | None = None

    def __len__(self) -> int:
        return len(self._known)

    @property
    def known(self) -> tuple[str, ...]:
        """All addresses, the given ones first."""
        return tuple(self._known)

    def choose(self, now: float, *, at_leader: bool) -> str:
        """The node to ask next; if all are shunned, the one whose time is up first."""
        if at_leader and self.leader is not None and not self.is_shunned(self.leader, now):
            return self.leader
        self._turn = (self._turn + 1) % len(self._known)
        ring = self._known[self._turn :] + self._known[: self._turn]
        return min(ring, key=lambda node: max(self._shunned_until.get(node, now), now))

    def is_shunned(self, node: str, now: float) -> bool:
        """Whether ``node`` had trouble a short while ago."""
        return self._shunned_until.get(node, now) > now

    def shun(self, node: str, now: float, seconds: float = SHUN_S) -> None:
        """``node`` failed, or asked to be left alone."""
        self._shunned_until[node] = now + seconds

    def answered(self, node: str, *, at_leader: bool) -> None:
        """``node`` served; if only the leader can serve such a request, it is the leader."""
        self._shunned_until.pop(node, None)
        if at_leader:
            self.leader = node

    def disowned(self, node: str) -> None:
        """``node`` does not lead (any more), whatever was heard."""
        if self.leader == node:
            self.leader = None

    def learn(self, hint: LeaderHint) -> str | None:
        """Remember who leads. Returns its address, or None for a hint that names no address."""
        try:
            leader = parse_address(hint.rest)
        except ValueError:
            return None
        if leader not in self._known:
            if len(self._known) >= NODES_MAX:
                return None
            self._known.append(leader)
        self.leader = leader
        return leader
