"""Every kind of fault by name, and what people may write after ``--faults``."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from harness.errors import UsageError
from harness.faults import (
    clocks,
    disks,
    figure_eight,
    membership,
    overtaken,
    partitions,
    power,
    process,
    shaping,
    split_change,
    thin_majority,
)
from harness.faults.fault import Family, Kind
from harness.systems.base import Ability

_KINDS: tuple[type[Kind], ...] = (
    process.Kill,
    process.Stop,
    process.RestartAll,
    process.KillAll,
    process.SlowElection,
    process.LeaderHunt,
    process.Pause,
    process.PauseFollowers,
    process.PauseBlink,
    partitions.Halves,
    partitions.MinorityLeader,
    partitions.Ring,
    partitions.Bridge,
    partitions.IsolateLeader,
    partitions.IsolateFollower,
    partitions.OneWay,
    figure_eight.FigureEight,
    overtaken.Overtaken,
    thin_majority.ThinMajority,
    shaping.Delay,
    shaping.Jitter,
    shaping.Loss,
    shaping.Duplicate,
    shaping.Reorder,
    shaping.Bandwidth,
    clocks.ClockJump,
    clocks.ClockRate,
    clocks.HastyLeader,
    clocks.WallJump,
    clocks.WallRate,
    disks.DiskFull,
    disks.IoError,
    disks.SlowFsync,
    power.PowerLoss,
    power.TornWrite,
    power.SlowDiskPowerLoss,
    power.KillAtFsync,
    power.KillAtPoint,
    power.LostAnswers,
    power.KillAtInstall,
    membership.Add,
    membership.Remove,
    membership.Leave,
    membership.Replace,
    membership.Transfer,
    split_change.SplitChange,
)
KINDS: dict[str, Kind] = {kind.name: kind() for kind in _KINDS}
ALL = "all"


def chosen(words: Iterable[str]) -> tuple[str, ...]:
    """Families and kinds, as people write them → kinds, in the catalog's order. UsageError for another word."""
    kinds: set[str] = set()
    for word in words:
        found = {name for name, kind in KINDS.items() if word in (ALL, name, kind.family)}
        if not found:
            raise UsageError(
                f"no fault is called {word!r}: families are {', '.join(Family)}, kinds {', '.join(KINDS)}, or {ALL}"
            )
        kinds |= found
    return tuple(name for name in KINDS if name in kinds)


def possible(kinds: Iterable[str], abilities: Collection[Ability], nodes: int) -> tuple[str, ...]:
    """Those of ``kinds`` that a system of so many nodes can suffer."""
    return tuple(name for name in kinds if KINDS[name].needs <= set(abilities) and KINDS[name].nodes_min <= nodes)
