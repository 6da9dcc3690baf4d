"""What is measured once at a time, beside the matrix: a table of groups, each of some figures had together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.bench import burdens, calm, costs, failovers, first_writes, installs, offered, scaling
from harness.bench.workbench import Workbench
from harness.errors import UsageError


@dataclass(frozen=True, slots=True)
class Group:
    """``repetitions``: unless told otherwise. ``minutes``: about, for two systems. ``what``: for people."""

    measure: Callable[[Workbench, Sequence[str], int], Awaitable[None]]
    repetitions: int
    minutes: float
    what: str


GROUPS: Mapping[str, Group] = {
    "failover": Group(failovers.measure, 20, 4, "kill -9 of the leader to the next acknowledged write"),
    "first-write": Group(first_writes.measure, 5, 4, "start of 3 and of 5 nodes to the first acknowledged write"),
    "costs": Group(costs.measure, 5, 2, "processor time, disk and wire for each set"),
    "keys": Group(burdens.measure, 1, 6, "memory and disk for each key, restart; 1e5 and 1e6 keys"),
    "install": Group(installs.measure, 3, 4, "p99 of sets while a snapshot of 1e6 keys is installed (dkv)"),
    "openloop": Group(offered.measure, 5, 4, "latency of sets against the rate that is offered, in an open loop"),
    "growth-nodes": Group(scaling.by_nodes, 5, 4, "sets a second with 3, 5 and 7 nodes, in turn"),
    "growth-keys": Group(scaling.by_keys, 5, 7, "sets a second with 1e3, 1e5 and 1e6 keys, in turn"),
    "calm": Group(calm.measure, 1, 11, "elections without a reason in ten minutes under full load (dkv)"),
}


def chosen(words: str) -> tuple[str, ...]:
    """Names of groups, with commas; "all" or "none". UsageError for others."""
    names = [word.strip() for word in words.split(",") if word.strip() and word.strip() != "none"]
    if names == ["all"]:
        return tuple(GROUPS)
    if strangers := [name for name in names if name not in GROUPS]:
        raise UsageError(f"there is no group of figures called {strangers[0]!r}: there are {', '.join(GROUPS)}")
    return tuple(dict.fromkeys(names))


async def measure(bench: Workbench, systems: Sequence[str], groups: Sequence[str], repetitions: int | None) -> None:
    """One group after the other, whatever becomes of each."""
    for number, name in enumerate(groups):
        left_s = 60.0 * sum(GROUPS[later].minutes for later in groups[number:])
        bench.watch.begin(f"figures: {GROUPS[name].what}", left_s)
        async with bench.part(f"figures {name}"):
            await GROUPS[name].measure(bench, systems, repetitions or GROUPS[name].repetitions)
