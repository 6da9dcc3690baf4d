"""When which fault happens: drawn from a seed, in the manner of a swarm.

Each seed has its own pace, and epochs in which only a part of the allowed kinds happens, with weights of its own: a
hundred seeds are a hundred different bad days and not one average one, and yet a minute of each has every family.

Law: at no time do the faults together take more voters than the cluster can spare, except one total outage at a time,
which is short and has healthy time before and after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from harness.faults.catalog import KINDS
from harness.faults.fault import Draft, Family, Fault, Terrain, milli

if TYPE_CHECKING:
    import random

WARM_UP_S = 0.5
"""First operations find a healthy cluster."""
KEEP_SHARE = 0.65
"""Of a family's kinds, for one epoch."""
EPOCH_S = (5.0, 9.0)
"""How long one mix lasts: a few faults of a kind may meet each other."""
FAMILIES = {Family.KILL: 1.5, Family.PAUSE: 1.5, Family.PARTITION: 1.5, Family.POWER: 1.2, Family.CLOCK: 0.6}
"""How often one family comes beside others (1.0): what tears a cluster apart more often than what annoys it."""
GAP_S = (0.3, 1.6)
"""Mean time between the starts of two faults; drawn once a seed."""
RECOVER_S = 1.8
"""A node whose process ended needs a second of processor time to start, and the log of what it missed."""
TOTAL_S_MAX = 4.0
"""Longest planned outage of everything; starting all nodes comes on top."""
SHORTEST_S = 0.2
AT_ONCE_MAX = 4
"""Faults at the same time: more explain nothing."""
WAIT_S_MAX = 6.0
"""A fault that does not fit now waits so long for the others to end; else faults that always fit would crowd it out."""


@dataclass(frozen=True, slots=True)
class Mix:
    """What this seed drew: for each epoch the kinds that may happen, and their weights."""

    gap_s: float
    epoch_s: float
    epochs: tuple[dict[str, float], ...]

    def described(self) -> dict[str, Any]:
        return {"gap_s": self.gap_s, "epoch_s": self.epoch_s, "epochs": list(self.epochs)}

    def epoch(self, now_s: float) -> int:
        """The number of the one that is on."""
        return min(len(self.epochs) - 1, int((now_s - WARM_UP_S) / self.epoch_s))


def draw_mix(rng: random.Random, kinds: Sequence[str], end_s: float) -> Mix:
    """Every epoch has about half of the families; none comes again before all have been there."""
    gap_s, epoch_s = milli(rng.uniform(*GAP_S)), milli(rng.uniform(*EPOCH_S))
    families = sorted({KINDS[kind].family for kind in kinds})
    waiting: list[Family] = []
    epochs = []
    for _ in range(int(end_s / epoch_s) + 1 if families else 0):
        taken: list[Family] = []
        while len(taken) < (len(families) + 1) // 2:
            waiting = waiting or rng.sample(families, len(families))
            family = waiting.pop()
            if family not in taken:
                taken.append(family)
        epochs.append(_weights(rng, kinds, sorted(taken)))
    return Mix(gap_s, epoch_s, tuple(epochs))


def _weights(rng: random.Random, kinds: Sequence[str], families: Sequence[Family]) -> dict[str, float]:
    """Of each family a part of its kinds."""
    weights: dict[str, float] = {}
    for family in families:
        members = [kind for kind in kinds if KINDS[kind].family is family]
        drawn = [kind for kind in members if rng.random() < KEEP_SHARE] or [rng.choice(members)]
        mass = FAMILIES.get(family, 1.0) * (0.3 + rng.expovariate(1.0))
        parts = [0.2 + rng.random() for _ in drawn]
        weights |= {kind: milli(mass * part / sum(parts)) for kind, part in zip(drawn, parts, strict=True)}
    return weights


def schedule(rng: random.Random, mix: Mix, terrain: Terrain, end_s: float) -> tuple[Fault, ...]:
    """Faults between the warm-up and ``end_s``, in the order of their starts; all healed by ``end_s``."""
    faults: list[Fault] = []
    now = WARM_UP_S
    epoch, due = -1, list[str]()
    while mix.epochs and now < end_s - SHORTEST_S:
        if mix.epoch(now) > epoch:
            epoch = mix.epoch(now)
            due = _one_of_each(rng, mix.epochs[epoch]) + due
        is_due = len(due) > 0
        kind = due.pop() if is_due else _drawn(rng, mix.epochs[epoch])
        fault = _fitting(kind, KINDS[kind].draw(rng, terrain), terrain, faults, now, end_s)
        if fault is not None:
            faults.append(fault)
        elif is_due:
            due.insert(0, kind)  # its turn comes again
        now = milli(now + max(0.05, rng.expovariate(1.0 / mix.gap_s)))
    faults.sort(key=lambda fault: fault.start_s)
    return tuple(msgspec.structs.replace(fault, number=number) for number, fault in enumerate(faults, 1))


def _drawn(rng: random.Random, weights: dict[str, float]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


def _one_of_each(rng: random.Random, weights: dict[str, float]) -> list[str]:
    """With what an epoch begins: a kind of each family, so that none is left out by chance."""
    families = sorted({KINDS[kind].family for kind in weights})
    parts = [{kind: weight for kind, weight in weights.items() if KINDS[kind].family is family} for family in families]
    kinds = [_drawn(rng, part) for part in parts]
    rng.shuffle(kinds)
    return kinds


def _fitting(
    kind: str, draft: Draft, terrain: Terrain, faults: Sequence[Fault], now: float, end_s: float
) -> Fault | None:
    """The fault at the first moment from ``now`` on at which it fits; None if that is too far away."""
    limit_s = TOTAL_S_MAX if KINDS[kind].lost(draft, terrain) > terrain.spare else end_s
    ends = (milli(other.end_s + recover_s) for other in faults for recover_s in (0.0, RECOVER_S))
    for start_s in (now, *sorted(end for end in ends if now < end <= now + WAIT_S_MAX)):
        fault = _placed(draft, kind, len(faults) + 1, start_s, milli(min(draft.duration_s, limit_s, end_s - start_s)))
        if fault.duration_s >= SHORTEST_S and fits(fault, faults, terrain):
            return fault
    return None


def _placed(draft: Draft, kind: str, number: int, start_s: float, duration_s: float) -> Fault:
    return Fault(
        number=number,
        kind=kind,
        start_s=start_s,
        duration_s=duration_s,
        targets=tuple(draft.targets),
        parameters=dict(draft.parameters),
    )


def fits(fault: Fault, others: Sequence[Fault], terrain: Terrain) -> bool:
    """Whether a majority can exist as long as it must, with ``fault`` beside ``others``."""
    if sum(overlaps(fault, other, 0.0) for other in others) >= AT_ONCE_MAX:
        return False
    at_once = [other for other in others if overlaps(fault, other, RECOVER_S)]
    lost = KINDS[fault.kind].lost(fault, terrain)
    taken = [KINDS[other.kind].lost(other, terrain) for other in at_once]
    if lost > terrain.spare:  # a total outage has no company that takes anything, or holds nodes
        return not any(taken) and not any(KINDS[other.kind].claims for other in at_once)
    if any(other > terrain.spare for other in taken):
        return lost == 0 and not KINDS[fault.kind].claims
    return lost + sum(taken) <= terrain.spare


def overlaps(one: Fault, other: Fault, recover_s: float) -> bool:
    """Whether their times touch, each with the time that nodes need to come back."""
    return one.start_s < other.end_s + recover_s and other.start_s < one.end_s + recover_s
