"""Which nodes a person means by ``leader``, ``minority`` or ``n1,n2``.

Pure: (selector, members, leader, rng) → names. Names must be members. Roles are drawn from ``candidates``, the members
that the verb can act upon (all of them unless told otherwise), so that ``kill any`` never picks a dead node; the sizes
of ``minority`` and ``majority`` are counted over all members, because that is what a quorum is counted over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from harness.errors import Refused, UsageError

if TYPE_CHECKING:
    import random

_Choice = Callable[[Sequence[str], Sequence[str], str | None, "random.Random"], list[str]]
"""(members, candidates, leader, rng) → names."""


def select(
    selector: str,
    members: Sequence[str],
    leader: str | None,
    rng: random.Random,
    candidates: Sequence[str] | None = None,
) -> list[str]:
    """Names in the order of ``members``, each once. ``selector``: comma-separated names and roles.

    Raises UsageError for a name that is no member, Refused where a role has nobody in it just now.
    """
    able = members if candidates is None else candidates
    chosen: set[str] = set()
    for term in filter(None, (part.strip() for part in selector.split(","))):
        chosen.update(_pick(term, members, able, leader, rng))
    if not chosen:
        raise Refused(f"{selector!r} selects no node (members: {_listed(members)})")
    return [name for name in members if name in chosen]


def _pick(term: str, members: Sequence[str], able: Sequence[str], leader: str | None, rng: random.Random) -> list[str]:
    if term in members:  # a node may be called "any"; its name wins
        return [term]
    if term not in _ROLES:
        raise UsageError(
            f"no node and no role is called {term!r}: nodes are {_listed(members)}, roles {_listed(ROLES)}"
        )
    return _ROLES[term](members, able, leader, rng)


def _leader(_: Sequence[str], able: Sequence[str], leader: str | None, __: random.Random) -> list[str]:
    if leader is None:
        raise Refused("no leader is known just now; `status` tells more, a moment later there may be one")
    if leader not in able:
        raise Refused(f"the leader, {leader}, is in no state for that")
    return [leader]


def _follower(_: Sequence[str], able: Sequence[str], leader: str | None, rng: random.Random) -> list[str]:
    return _some([name for name in able if name != leader], 1, rng, "follower")


def _any(_: Sequence[str], able: Sequence[str], __: str | None, rng: random.Random) -> list[str]:
    return _some(able, 1, rng, "any")


def _minority(members: Sequence[str], able: Sequence[str], _: str | None, rng: random.Random) -> list[str]:
    return _some(able, (len(members) - 1) // 2, rng, "minority")


def _majority(members: Sequence[str], able: Sequence[str], _: str | None, rng: random.Random) -> list[str]:
    return _some(able, len(members) // 2 + 1, rng, "majority")


def _all(_: Sequence[str], able: Sequence[str], __: str | None, rng: random.Random) -> list[str]:
    return _some(able, len(able), rng, "all")


_ROLES: dict[str, _Choice] = {
    "leader": _leader,
    "follower": _follower,
    "any": _any,
    "minority": _minority,
    "majority": _majority,
    "all": _all,
}
ROLES = tuple(_ROLES)


def _some(able: Sequence[str], count: int, rng: random.Random, role: str) -> list[str]:
    if not able or count == 0:
        raise Refused(f"{role!r} selects no node that this could be done to")
    return rng.sample(list(able), min(count, len(able)))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
