"""Who takes part: each system by its name, how it is made, and a clear sentence where this machine does not have it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.bench.contenders import Contender
from harness.bench.dkv_nodes import DkvNodes
from harness.bench.etcd_nodes import EtcdNodes
from harness.bench.names import OURS
from harness.bench.pysyncobj_nodes import PySyncObjNodes
from harness.bench.zookeeper_nodes import ZooKeeperNodes
from harness.errors import Refused, UsageError
from harness.systems import etcd


@dataclass(frozen=True, slots=True)
class Programs:
    """What a person may say about them; None: as found on this machine."""

    node_command: str | None = None
    etcd: str | None = None
    port_offset: int = 0


Make = Callable[[Path, int, Programs], Contender]

MAKERS: Mapping[str, Make] = {
    "dkv": lambda path, count, said: DkvNodes(path, count, said.node_command, said.port_offset),
    "etcd": lambda path, count, said: EtcdNodes(path, count, said.etcd, said.port_offset),
    "zookeeper": lambda path, count, said: ZooKeeperNodes(path, count, said.port_offset),
    "pysyncobj": lambda path, count, said: PySyncObjNodes(path, count, said.port_offset),
}
_FIND: Mapping[str, Callable[[Programs], object]] = {
    "etcd": lambda said: etcd.find(said.etcd),
    "zookeeper": lambda _: ZooKeeperNodes.find(),
}


def chosen(against: str) -> tuple[str, ...]:
    """dkv and its peers, in the order given. UsageError for a name that nobody has; "none": dkv alone."""
    words = [word.strip() for word in against.split(",") if word.strip() and word.strip() != "none"]
    if strangers := [word for word in words if word not in MAKERS]:
        raise UsageError(f"no system is called {strangers[0]!r}: there are {', '.join(MAKERS)}")
    return tuple(dict.fromkeys([OURS, *words]))


def present(systems: tuple[str, ...], said: Programs) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those that this machine has, and a sentence about each of the others."""
    here, missing = [], []
    for system in systems:
        try:
            if system in _FIND:
                _FIND[system](said)
            here.append(system)
        except Refused as refusal:
            missing.append(f"{system} is left out: {refusal}")
    return tuple(here), tuple(missing)
