"""What starts a node: each system's own flags, made of the roster.

Pure. dkv: until the cluster is ``founded`` (its first write was acknowledged) the first node starts without ``--join``;
afterwards every node is told of all others, so that no wiped directory can ever found a second cluster. etcd: every
member is told of the first ones; its data directory goes before that.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.roster import Node, Roster

_Flags = Callable[[Roster, Node, str], list[str]]
"""(roster, node, data directory) → what stands after the command."""


def command_line(roster: Roster, name: str, data_dir: str) -> list[str]:
    """The command line that starts this node, where it lives."""
    node = roster.node(name)
    return [*node.entry, *roster.command, *_FLAGS[roster.system](roster, node, data_dir)]


def _dkv(roster: Roster, node: Node, data_dir: str) -> list[str]:
    flags = ["--id", node.name, "--rest", node.rest, "--raft", node.raft, "--data-dir", data_dir]
    for seed in _seeds(roster, node):
        flags += ["--join", seed.rest]
    if node.fault:
        flags += ["--fault-port", node.fault.rpartition(":")[2]]
    return flags


def _seeds(roster: Roster, node: Node) -> tuple[Node, ...]:
    founder = roster.nodes[0]
    if roster.founded:
        return tuple(other for other in roster.nodes if other != node)
    return () if node == founder else (founder,)


def _etcd(roster: Roster, node: Node, data_dir: str) -> list[str]:
    clients, peers = f"http://{node.rest}", f"http://{node.raft}"
    return [
        *("--name", node.name, "--data-dir", data_dir),
        *("--listen-client-urls", clients, "--advertise-client-urls", clients),
        *("--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers),
        *("--initial-cluster", ",".join(f"{other.name}=http://{other.raft}" for other in roster.nodes)),
        *("--initial-cluster-state", "new", "--logger", "zap", "--log-outputs", "stderr"),
    ]


_FLAGS: dict[str, _Flags] = {"dkv": _dkv, "etcd": _etcd}
