"""The names that those who measure and those who show share: of systems and of figures, and how each is shown.

A system or a figure that is not here is shown under its own name all the same. Colours are Okabe and Ito's, which the
colour-blind can tell apart; each system has the same colour and the same mark in every plot.
"""

from __future__ import annotations

from dataclasses import dataclass

OURS = "dkv"
NOT_AT_HAND = {
    "seed": "a program in Go that no package has",
    "rqlite": "no package has it",
    "etcd-grpc": "no packaged native client that would not be what limits it",
}
"""Systems that were asked about and that the bench has no contender for, and why."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a system appears: on white, and on GitHub's dark page. ``mark`` is matplotlib's letter for a shape."""

    label: str
    light: str
    dark: str
    mark: str


SYSTEMS: dict[str, Look] = {
    "dkv": Look("dkv", "#c2410c", "#ff8a5c", "o"),
    "etcd": Look("etcd (JSON)", "#0072b2", "#58b0ea", "s"),
    "etcd-grpc": Look("etcd (gRPC)", "#3f97c9", "#9ad4f7", "D"),
    "zookeeper": Look("ZooKeeper", "#00805f", "#35c79a", "^"),
    "rqlite": Look("rqlite", "#a8528c", "#e39bc8", "v"),
    "seed": Look("Go seed", "#8a6d00", "#e6c229", "P"),
    "pysyncobj": Look("PySyncObj's example", "#4d4d4d", "#c9c9c9", "X"),
    "bare": Look("bare aiohttp, fixed reply", "#7a7f87", "#9aa1ab", "d"),
}
STRANGERS: tuple[Look, ...] = (
    Look("", "#6b4fbb", "#b39df5", "h"),
    Look("", "#946200", "#f0b44d", "<"),
    Look("", "#00707f", "#4cc9d9", ">"),
    Look("", "#9d174d", "#f472b6", "*"),
)
"""For systems that have no look of their own."""


def look(system: str) -> Look:
    """Of any system: a stranger's depends on its name alone, so that it is the same in every plot."""
    known = SYSTEMS.get(system)
    if known:
        return known
    stranger = STRANGERS[sum(system.encode()) % len(STRANGERS)]
    return Look(system, stranger.light, stranger.dark, stranger.mark)


def order(system: str) -> tuple[int, str]:
    """A sorting key: ours first, then as in SYSTEMS, then the strangers by name."""
    return (list(SYSTEMS).index(system) if system in SYSTEMS else len(SYSTEMS), system)


@dataclass(frozen=True, slots=True)
class FigureName:
    """What a figure is called, and whether more of it is better."""

    label: str
    more_is_better: bool = False


FIGURES: dict[str, FigureName] = {
    "failover": FigureName("leader killed (kill -9) → next acknowledged write"),
    "false-elections": FigureName("elections without a reason in 10 minutes under full load"),
    "first-write": FigureName("start of the nodes → first acknowledged write"),
    "restart": FigureName("restart of a node → it serves again"),
    "memory-per-key": FigureName("memory per key per node (values of 100 B)"),
    "disk-per-key": FigureName("disk per key per node (values of 100 B)"),
    "disk-per-write": FigureName("disk per set, all nodes"),
    "wire-per-write": FigureName("between the nodes per set, all of them"),
    "cpu-per-operation": FigureName("processor per set, all nodes"),
    "install-time": FigureName("snapshot install at a new node"),
    "install-p99-ratio": FigureName("p99 of sets while a snapshot is installed, beside the usual"),
    "rate-by-nodes": FigureName("sets at the leader, 64 connections, as the cluster grows", more_is_better=True),
    "rate-by-keys": FigureName("sets at the leader, 64 connections, as the keys grow", more_is_better=True),
    "log-path-rate": FigureName("Raft and log in process, 64 outstanding", more_is_better=True),
    "log-path-sustained-rate": FigureName(
        "Raft and log in process over 60 s, checkpoints included", more_is_better=True
    ),
    "log-path-p99": FigureName("p99 of Raft and log in process over 60 s"),
}


def figure_name(name: str) -> FigureName:
    """Of any figure; one that is not known counts as better when it is less, unless it is a rate."""
    return FIGURES.get(name) or FigureName(name.replace("-", " "), more_is_better=name.endswith("rate"))
