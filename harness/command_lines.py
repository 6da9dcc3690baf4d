"""What starts a node: each system's own flags, made of the roster.

Pure. dkv: a node that has its place in a cluster is told of nobody, and finds the others by what gossip left in its
data. The first one founds the cluster, until it is ``founded`` (its first write was acknowledged), and each of the
others joins by the one before it; afterwards whoever has no place joins by any other, so that no wiped directory can
ever found a second cluster. etcd: every member is told of the first ones; its data directory goes before that.
ZooKeeper and PySyncObj's example are started by programs of ours (harness.bench), which are told of all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.roster import Node, Roster

GOSSIP_PROFILE = "local"


@dataclass(frozen=True, slots=True)
class Home:
    """Where a node's files lie. ``settled``: it was let into the cluster, and its data is there."""

    data_dir: str
    gossip_key: str = ""
    settled: bool = False


_Flags = Callable[[Roster, Node, Home], list[str]]
"""→ what stands after the command."""


def command_line(roster: Roster, name: str, home: Home) -> list[str]:
    """The command line that starts this node, where it lives."""
    node = roster.node(name)
    return [*node.entry, *roster.command, *_FLAGS[roster.system](roster, node, home)]


def _dkv(roster: Roster, node: Node, home: Home) -> list[str]:
    flags = ["--id", node.name, "--rest", node.rest, "--raft", node.raft, "--data-dir", home.data_dir]
    flags += ["--gossip", node.gossip, "--gossip-profile", GOSSIP_PROFILE, "--gossip-rpc", node.gossip_rpc]
    if roster.encrypted:
        flags += ["--gossip-key", home.gossip_key]
    if contacts := () if home.settled else _contacts(roster, node):
        flags += ["--join", ",".join(contact.gossip for contact in contacts)]
    if node.fault:
        flags += ["--fault-port", node.fault.rpartition(":")[2]]
    return flags


def _contacts(roster: Roster, node: Node) -> tuple[Node, ...]:
    if roster.founded:
        return tuple(other for other in roster.nodes if other != node)
    before = roster.nodes.index(node) - 1
    return () if before < 0 else (roster.nodes[before],)


def _etcd(roster: Roster, node: Node, home: Home) -> list[str]:
    clients, peers = f"http://{node.rest}", f"http://{node.raft}"
    return [
        *("--name", node.name, "--data-dir", home.data_dir),
        *("--listen-client-urls", clients, "--advertise-client-urls", clients),
        *("--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers),
        *("--initial-cluster", ",".join(f"{other.name}=http://{other.raft}" for other in roster.nodes)),
        *("--initial-cluster-state", "new", "--logger", "zap", "--log-outputs", "stderr"),
    ]


def _told_of_all(roster: Roster, node: Node, home: Home) -> list[str]:
    peers = [f"{other.name}={':'.join(filter(None, (other.raft, _port(other.fault))))}" for other in roster.nodes]
    return ["--name", node.name, "--rest", node.rest, "--peers", ",".join(peers), "--data-dir", home.data_dir]


def _port(address: str) -> str:
    return address.rpartition(":")[2]


_FLAGS: dict[str, _Flags] = {"dkv": _dkv, "etcd": _etcd, "zookeeper": _told_of_all, "pysyncobj": _told_of_all}
