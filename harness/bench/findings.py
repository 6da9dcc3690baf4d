"""The sentence below a plot's title: what it shows, in figures computed from the very same samples. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.bench import names, numerals, statistics
from harness.bench.intervals import Interval
from harness.bench.measurements import Sample
from harness.bench.names import OURS
from harness.bench.numerals import number
from harness.bench.statistics import spread

Systems = Mapping[str, Sequence[Sample]]


def rates(systems: Systems, where: str) -> str:
    """``At 64 connections dkv does 18,300/s, 2.60 × etcd (JSON), 1.10 × ZooKeeper``; "" without ours."""
    if OURS not in systems:
        return ""
    beside = []
    for peer in sorted(systems.keys() - {OURS}, key=names.order):
        values = statistics.ratios(statistics.pairs(systems[OURS], systems[peer], statistics.rate))
        if values:
            beside.append(f"{number(values.median)} × {names.look(peer).label}")
    ours = spread(map(statistics.rate, systems[OURS])).median
    return ", ".join([f"{where} {OURS} does {number(ours)}/s", *beside])


def kept(first: Systems, last: Systems, where: str) -> str:
    """``From 3 to 7 nodes dkv keeps 71% of its rate, etcd (JSON) 65%``; "" if nobody is in both."""
    began, ended = (
        {system: spread(map(statistics.rate, samples)).median for system, samples in those.items()}
        for those in (first, last)
    )
    return shares(began, ended, where)


def shares(began: Mapping[str, float], ended: Mapping[str, float], where: str) -> str:
    """The same of rates."""
    told = [
        (names.look(system).label, f"{statistics.ratio(ended[system], began[system]):.0%}")
        for system in sorted(began.keys() & ended.keys(), key=names.order)
    ]
    if not told:
        return ""
    (name, share), *others = told
    return f"{where} {name} keeps {share} of its rate" + "".join(f", {' '.join(each)}" for each in others)


def waits(by_rate: Mapping[int, Systems]) -> str:
    """``p99 at 2,000/s: dkv 9.11 ms, etcd (JSON) 21.3 ms``: at the highest rate of those that most systems have."""
    rate = max(by_rate, key=lambda place: (len(by_rate[place]), place))
    told = [
        f"{names.look(system).label} {number(spread(map(statistics.p99, samples)).median)} ms"
        for system, samples in sorted(by_rate[rate].items(), key=lambda item: names.order(item[0]))
    ]
    return f"p99 at {rate:,}/s: {', '.join(told)}"


def ahead(intervals: Sequence[Interval], label: str) -> str:
    """``dkv is ahead of etcd (JSON) in 18 of 22 cells, behind in 2, no difference seen in 2``."""
    won = sum(interval.is_above_one for interval in intervals)
    lost = sum(interval.is_below_one for interval in intervals)
    unclear = len(intervals) - won - lost
    told = [f"ahead of {label} in {won} of {numerals.count(len(intervals), 'cell')}", f"behind in {lost}"]
    told += [f"no difference seen in {unclear}"] if unclear else []
    return f"{OURS} is {', '.join(told)}"
