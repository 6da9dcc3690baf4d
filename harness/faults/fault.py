"""A fault as data, and what a kind of fault is.

A kind draws its parameters from a seed, knowing only how many nodes there are; whom it hits is a role ("leader",
"follower", "any", "all", or a name), and becomes names only when it is injected. Law: a plan holds no run-time fact, a
record holds nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from harness.systems.base import Ability, Link

if TYPE_CHECKING:
    import random

    from harness.faults.world import World


class Family(StrEnum):
    """What people choose by ``--faults``; a kind's own name may be given as well."""

    KILL = "kill"
    PAUSE = "pause"
    PARTITION = "partition"
    LINKS = "links"
    CLOCK = "clock"
    DISK = "disk"
    POWER = "power"
    POINTS = "points"
    MEMBERS = "members"


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One of a plan's. ``number``: its name in the records, kept when others are taken out of the plan.

    ``targets``: a role for each node that is hit, never the same node twice. Times from the run's start.
    """

    number: int
    kind: str
    start_s: float
    duration_s: float
    targets: tuple[str, ...] = ()
    parameters: dict[str, Any] = {}

    @property
    def end_s(self) -> float:
        """When it is healed."""
        return self.start_s + self.duration_s


@dataclass(frozen=True, slots=True)
class Draft:
    """What a kind draws: a fault without its place in time."""

    duration_s: float
    targets: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Terrain:
    """All that a draw may know of the cluster. ``spare``: voters that it can lose and still write."""

    nodes: int

    @property
    def spare(self) -> int:
        return (self.nodes - 1) // 2


@dataclass(frozen=True, slots=True)
class Injection:
    """Whom it hit and when: what probe and heal need, and the records tell. ``facts``: how a node stood before."""

    nodes: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    detail: str = ""
    facts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    at_s: float = 0.0


class Kind(ABC):
    """One kind of fault. ``needs``: what a system must be able to suffer."""

    name: ClassVar[str]
    family: ClassVar[Family]
    needs: ClassVar[frozenset[Ability]]
    nodes_min: ClassVar[int] = 1
    claims: ClassVar[bool] = True
    """Whether it has its nodes for itself: no other fault that claims is injected there before it is healed."""

    @abstractmethod
    def draw(self, rng: random.Random, terrain: Terrain) -> Draft: ...

    def lost(self, draft: Draft | Fault, terrain: Terrain) -> int:
        """How many voters no majority can count on while it lasts. More than ``spare``: a total outage."""
        return min(terrain.nodes, len(draft.targets)) if "all" not in draft.targets else terrain.nodes

    @abstractmethod
    async def inject(self, world: World, fault: Fault, nodes: tuple[str, ...], rng: random.Random) -> Injection:
        """``nodes``: whom its targets are just now. ``rng``: the fault's own, for what a plan cannot say."""

    @abstractmethod
    async def probe(self, world: World, fault: Fault, injection: Injection) -> bool | None:
        """At the end of its time, before it is healed: was it seen to work? None: it cannot be seen from outside."""

    @abstractmethod
    async def heal(self, world: World, fault: Fault, injection: Injection) -> None:
        """Take it back. Returns when no more is to be done, which may be before the nodes serve again."""


def milli(value: float) -> float:
    """Three decimals: what a plan's numbers are rounded to, so that they read well and never differ in a last bit."""
    return round(value, 3)
