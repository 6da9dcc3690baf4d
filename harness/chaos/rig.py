"""What a run is done with: a system, its network, its seams, its members, and clients of one node."""

from __future__ import annotations

import random
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.faults.links import Links
from harness.faults.world import Seams, World
from harness.rundir import RunDir
from harness.startup import NODE_COMMAND
from harness.systems.base import Client, Gossip, Members, Network, System
from harness.systems.dkv import DkvClient, DkvSystem
from harness.systems.etcd import EtcdClient, EtcdSystem
from harness.systems.network_kernel import KernelNetwork

SYSTEMS = ("dkv", "etcd")
CONFIGURATION = "dkv.toml"


@dataclass(frozen=True)
class Rig:
    """``client_at``: (node, time-out) → a client that talks to this node alone.

    ``exact_terms``: whether a node's role and term are of one moment. etcd tells the term of the last entry that it
    applied: with it two leaders seem to share one.
    """

    system: System
    client_at: Callable[[str, float], Client]
    network: Network | None = None
    seams: Seams | None = None
    members: Members | None = None
    gossip: Gossip | None = None
    exact_terms: bool = True

    def world(self, clock: Callable[[], float]) -> World:
        """What faults act upon."""
        return World(self.system, Links(self.network), self.seams, self.members, clock=clock)


def build(
    system: str,
    path: Path,
    nodes: int,
    *,
    kernel: KernelNetwork | None,
    port_offset: int = 0,
    node_command: str | None = None,
    settings: Mapping[str, int] | None = None,
) -> Rig:
    """A real one under ``path``, not started. ``kernel``: the network to live in, if any. Raises HarnessError.

    ``settings``: of dkv's nodes (``[raft_options]``), with names as theirs.
    """
    run_dir = RunDir(path)
    if system == "dkv":
        command = _configured(path, node_command or shlex.join(NODE_COMMAND), settings or {})
        return _dkv(DkvSystem(run_dir, nodes, kernel=kernel, node_command=command, port_offset=port_offset))
    if system == "etcd":
        return _etcd(EtcdSystem(run_dir, nodes, kernel=kernel, program=node_command, port_offset=port_offset))
    raise UsageError(f"no system is called {system!r}: there are {', '.join(SYSTEMS)}")


def _configured(path: Path, command: str, settings: Mapping[str, int]) -> str:
    """The command, with a configuration file of these settings if there are any."""
    if not settings:
        return command
    path.mkdir(parents=True, exist_ok=True)
    file = (path / CONFIGURATION).resolve()
    lines = ["[raft_options]", *(f"{name} = {value}" for name, value in settings.items())]
    file.write_text("\n".join(lines) + "\n")
    return shlex.join([*shlex.split(command), "--config", str(file)])


def _dkv(system: DkvSystem) -> Rig:
    def client_at(node: str, timeout_s: float) -> Client:
        return DkvClient([_rest(system.run_dir, node)], timeout_s, lambda _: node)

    return Rig(system, client_at, system.network, system.ports, system, system)


def _etcd(system: EtcdSystem) -> Rig:
    def client_at(node: str, timeout_s: float) -> Client:
        return EtcdClient([(node, _rest(system.run_dir, node))], timeout_s, random.Random(0))

    return Rig(system, client_at, system.network, exact_terms=False)


def _rest(run_dir: RunDir, node: str) -> str:
    roster = run_dir.load()
    assert roster is not None, "the system was started"
    return roster.node(node).rest
