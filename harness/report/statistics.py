"""Figures of a run, out of its history, its faults and what its nodes told. Times in seconds of the run's clock.

Latencies are of ``ok`` operations only: how long a client waits until it gives up says nothing of the system.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.history.events import EventType
from harness.history.operations import Operation
from harness.history.records import NodeSample
from harness.report.bands import Band
from harness.report.operations import answered


@dataclass(frozen=True, slots=True)
class Latency:
    """Of ``count`` operations; seconds."""

    count: int
    p50_s: float
    p99_s: float
    max_s: float


@dataclass(frozen=True, slots=True)
class Slice:
    """What ended in a slice of time that begins at ``start_s``. ``latency`` is None if nothing was ok."""

    start_s: float
    ok: int
    fail: int
    info: int
    latency: Latency | None


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which nobody led, or nothing was ok."""

    began_s: float
    ended_s: float

    @property
    def length_s(self) -> float:
        return self.ended_s - self.began_s


@dataclass(frozen=True, slots=True)
class Recovery:
    """How long after a fault was set, and after it was taken back, a client first had an ok again.

    Counted are operations that *began* later than that: an answer already on its way proves nothing. None: never.
    """

    fault: int
    after_set_s: float | None
    after_heal_s: float | None


def percentile(ordered: Sequence[float], share: float) -> float:
    """By nearest rank, of at least one value in ascending order: one that was really measured."""
    assert ordered, "a percentile of nothing"
    assert 0 < share <= 1, f"{share} is no share"
    return ordered[math.ceil(share * len(ordered)) - 1]


def latency(operations: Iterable[Operation]) -> Latency | None:
    """Of those that are ok; None if none is."""
    took = sorted(
        operation.return_s - operation.invoke_s
        for operation in operations
        if operation.type is EventType.OK and operation.return_s is not None
    )
    return Latency(len(took), percentile(took, 0.50), percentile(took, 0.99), took[-1]) if took else None


def latency_by_f(operations: Iterable[Operation]) -> Mapping[str, Latency]:
    """``read`` → its latency, in order of the names; those that were never ok are absent."""
    of_f: dict[str, list[Operation]] = {}
    for operation in operations:
        of_f.setdefault(operation.f, []).append(operation)
    return {f: found for f in sorted(of_f) if (found := latency(of_f[f])) is not None}


def slices(operations: Iterable[Operation], length_s: float, end_s: float) -> tuple[Slice, ...]:
    """The run from 0 to ``end_s`` in slices of ``length_s``, empty ones too; an operation belongs to where it ended."""
    assert length_s > 0, f"slices of {length_s} s"
    ended: list[list[Operation]] = [[] for _ in range(max(1, math.ceil(end_s / length_s)))]
    for operation in operations:
        if operation.return_s is not None:
            ended[min(int(operation.return_s / length_s), len(ended) - 1)].append(operation)
    return tuple(_slice(index * length_s, those) for index, those in enumerate(ended))


def _slice(start_s: float, operations: Sequence[Operation]) -> Slice:
    count = Counter(operation.type for operation in operations)
    return Slice(start_s, count[EventType.OK], count[EventType.FAIL], count[EventType.INFO], latency(operations))


def availability(operations: Sequence[Operation]) -> float | None:
    """The share that was answered: ok, or a mismatch that was told. None without operations."""
    return sum(answered(operation) for operation in operations) / len(operations) if operations else None


def longest_silence(operations: Iterable[Operation], end_s: float) -> Gap:
    """The longest time in which no client had an answer; its ends are answers or the run's."""
    answers = sorted(op.return_s for op in operations if answered(op) and op.return_s is not None)
    edges = [0.0, *answers, max([end_s, *answers[-1:]])]
    return max((Gap(*pair) for pair in itertools.pairwise(edges)), key=lambda gap: gap.length_s)


def rounds(samples: Iterable[NodeSample]) -> list[list[NodeSample]]:
    """Samples that belong to one look at all nodes: a round ends where a node would come a second time."""
    found: list[list[NodeSample]] = []
    seen: set[str] = set()
    for sample in samples:
        if not found or sample.node in seen:
            found.append([])
            seen = set()
        found[-1].append(sample)
        seen.add(sample.node)
    return found


def removals(samples: Iterable[NodeSample]) -> Mapping[str, float]:
    """Node → the first look that did not find it any more, of those that the last look did not find."""
    gone: dict[str, float] = {}
    present: set[str] = set()
    for look in rounds(samples):
        names = {sample.node for sample in look}
        gone = {node: time_s for node, time_s in gone.items() if node not in names}
        gone |= dict.fromkeys(present - names, look[0].time_s)
        present = names
    return gone


def leader_of(samples: Iterable[NodeSample]) -> NodeSample | None:
    """Who claims the highest term that anybody claims, and runs."""
    claims = [sample for sample in samples if sample.role == "leader" and sample.process == "running"]
    return max(claims, key=lambda sample: sample.term, default=None)


def leaderless(samples: Sequence[NodeSample], end_s: float) -> tuple[Gap, ...]:
    """From the first look that found no leader to the next that found one; as fine as the looks are frequent."""
    gaps: list[Gap] = []
    since: float | None = None
    for look in rounds(samples):
        leads = leader_of(look) is not None
        if not leads and since is None:
            since = look[0].time_s
        elif leads and since is not None:
            gaps.append(Gap(since, look[0].time_s))
            since = None
    if since is not None:
        gaps.append(Gap(since, max(since, end_s)))
    return tuple(gaps)


def recoveries(faults: Iterable[Band], operations: Iterable[Operation]) -> tuple[Recovery, ...]:
    """One for each fault, in their order."""
    oks = sorted(
        (operation.invoke_s, operation.return_s)
        for operation in operations
        if operation.type is EventType.OK and operation.return_s is not None
    )
    earliest_end = [math.inf] * (len(oks) + 1)
    for index in range(len(oks) - 1, -1, -1):
        earliest_end[index] = min(oks[index][1], earliest_end[index + 1])
    return tuple(
        Recovery(
            band.fault,
            _first_after(band.set_s, oks, earliest_end),
            None if band.healed_s is None else _first_after(band.healed_s, oks, earliest_end),
        )
        for band in faults
    )


def _first_after(moment_s: float, oks: Sequence[tuple[float, float]], earliest_end: Sequence[float]) -> float | None:
    """``earliest_end[i]``: when the first of ``oks[i:]`` to end did."""
    index = bisect.bisect_left(oks, moment_s, key=lambda ok: ok[0])
    return earliest_end[index] - moment_s if index < len(oks) else None
