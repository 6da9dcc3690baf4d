"""Roles → names, at the moment when a fault is injected.

Pure: (roles, view, taken, rng) → names. A role that nobody free holds just now (no leader is known, it is claimed by
another fault) falls to any free node, so that a plan does the same amount of harm in every run of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.history.records import NodeSample

if TYPE_CHECKING:
    import random


@dataclass(frozen=True, slots=True)
class View:
    """How the cluster was last seen. ``leader``: of the highest term that anybody tells of; "" if none."""

    nodes: tuple[str, ...] = ()
    samples: Mapping[str, NodeSample] = field(default_factory=dict)
    at_s: float = -1.0

    @property
    def leader(self) -> str:
        led = [(sample.term, name) for name, sample in self.samples.items() if sample.role == "leader"]
        return max(led)[1] if led else ""

    @property
    def term(self) -> int:
        return max((sample.term for sample in self.samples.values()), default=0)

    @property
    def commit(self) -> int:
        return max((sample.commit for sample in self.samples.values()), default=0)


def resolve(roles: Sequence[str], view: View, taken: Collection[str], rng: random.Random) -> tuple[str, ...]:
    """A node for each role that can be filled, each once, in the order of the roles; "all": every free node."""
    free = [name for name in view.nodes if name not in taken]
    if "all" in roles:
        return tuple(free)
    chosen: list[str] = []
    for role in roles:
        able = [name for name in free if name not in chosen]
        if not able:
            break
        chosen.append(_pick(role, able, view, rng))
    return tuple(chosen)


def _pick(role: str, able: Sequence[str], view: View, rng: random.Random) -> str:
    wanted = {
        "leader": [name for name in able if name == view.leader],
        "follower": [name for name in able if name != view.leader],
    }.get(role, [name for name in able if name == role])
    return rng.choice(wanted or list(able))
