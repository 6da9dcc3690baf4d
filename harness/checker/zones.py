"""Registers whose values are written once, decided in n log n however many operations overlap (Gibbons, Korach 1997).

Everything about one value stands together in any order: its write and those who saw it; with a cas, which takes its
value directly from another, the chain of values that grew out of one write. So an order of the whole is an order of
clusters, and a cluster must precede another exactly if something in it ended before something in the other began: its
first return lies before the other's last invocation. If two must precede each other there is no order; and if no two
must, there is one: of the shortest circle A → B → C → A, B not before A says that A's last invocation is not after
B's first return, and so round the circle, until each return lies before itself. (Longer circles have short cuts: of
A → B and C → D follows A → D or C → B.) Within a cluster the chain gives the order. What is of unknown outcome happened
if anybody saw its value, and may be left out if nobody did.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from harness.checker.models import Action, Kind, Model

BEGINNING = -1
"""The initial value's write returned before anything began."""


@dataclass(slots=True)
class _Cluster:
    """``first_return`` of any operation in it, ``last_invocation`` of any; ``ranked``: they, with their places."""

    first_return: int
    last_invocation: int
    ranked: list[tuple[Action, int]] = field(default_factory=list)

    def add(self, action: Action, rank: int) -> None:
        self.ranked.append((action, rank))
        self.first_return = min(self.first_return, action.operation.returned)
        self.last_invocation = max(self.last_invocation, action.operation.invoked)


def applies(model: Model, actions: Sequence[Action]) -> bool:
    """Whether zones decide this key: only reads, writes and cas, each value written at most once and never the initial
    one."""
    if any(action.kind not in (Kind.SEES, Kind.SETS, Kind.SWAPS) for action in actions):
        return False
    given = [action.gives for action in actions if action.kind is not Kind.SEES]
    return len(set(given)) == len(given) and model.initial not in given


def linearizable(model: Model, actions: Sequence[Action]) -> bool:
    """``applies`` must hold."""
    makers = {action.gives: action for action in actions if action.kind is not Kind.SEES}
    happened = _happened(model.initial, makers, actions)
    if happened is None:
        return False
    swaps = [action for action in happened if action.kind is Kind.SWAPS]
    following = {action.need: action for action in swaps}
    if len(following) < len(swaps):
        return False  # two took the same value, which was there once
    looks: dict[Any, list[Action]] = {}
    for action in actions:
        if action.kind is Kind.SEES:
            looks.setdefault(action.need, []).append(action)
    beginning = _Cluster(BEGINNING, BEGINNING - 1)
    clusters = [beginning]
    placed = _fill(beginning, model.initial, 0, following, looks)
    for action in happened:
        if action.kind is Kind.SETS:
            cluster = _Cluster(action.operation.returned, action.operation.invoked)
            cluster.add(action, 0)
            placed += _fill(cluster, action.gives, 1, following, looks)
            clusters.append(cluster)
    if placed < len(swaps):
        return False  # a circle of cas: each needs the other's value first
    return all(map(_in_order, clusters)) and _apart(clusters)


def _happened(initial: Any, makers: dict[Any, Action], actions: Sequence[Action]) -> list[Action] | None:
    """The changes that certainly took effect; None if somebody saw what nobody brought about."""
    happened = [action for action in actions if action.known]
    certain = set(happened)
    for action in happened:  # grows
        if action.kind is Kind.SETS or action.need == initial:
            continue
        maker = makers.get(action.need)
        if maker is None:
            return None
        if maker not in certain:
            certain.add(maker)
            happened.append(maker)
    return [action for action in happened if action.kind is not Kind.SEES]


def _fill(
    cluster: _Cluster, value: Any, rank: int, following: dict[Any, Action], looks: dict[Any, list[Action]]
) -> int:
    """Put in who saw the value, the cas that took it, who saw what it gave, …; the number of cas."""
    swaps = 0
    while True:
        for look in looks.get(value, ()):
            cluster.add(look, rank)
        swap = following.get(value)
        if swap is None:
            return swaps
        cluster.add(swap, rank + 1)
        swaps, value, rank = swaps + 1, swap.gives, rank + 2


def _in_order(cluster: _Cluster) -> bool:
    """Whether none ended before one of a lower rank began."""
    if len(cluster.ranked) < 2:
        return True
    begun = sorted(cluster.ranked, key=lambda pair: pair[0].operation.invoked)
    ended = sorted(cluster.ranked, key=lambda pair: pair[0].operation.returned)
    highest, done = -1, 0
    for action, rank in begun:
        while ended[done][0].operation.returned < action.operation.invoked:
            highest = max(highest, ended[done][1])
            done += 1
        if highest > rank:
            return False
    return True


def _apart(clusters: Sequence[_Cluster]) -> bool:
    """Whether no two clusters must precede each other."""
    zones = [(cluster.first_return, cluster.last_invocation) for cluster in clusters]
    forward = sorted(zone for zone in zones if zone[0] < zone[1])
    if any(earlier[1] > later[0] for earlier, later in pairwise(forward)):
        return False
    starts = [start for start, _ in forward]
    for first_return, last_invocation in zones:
        if first_return > last_invocation:
            place = bisect_left(starts, last_invocation) - 1
            if place >= 0 and forward[place][1] > first_return:
                return False
    return True
