"""The nodes of a local cluster as a value: who they are, where they listen, how each is started.

A name is never used twice in one run directory: a node that left keeps its data on disk, and must not be mistaken for a
new one. Until the cluster is ``founded`` (its first write was acknowledged) the first node starts without ``--join``;
afterwards every node is told of all others, so that no wiped directory can ever found a second cluster.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

from harness import ports
from harness.errors import Refused, UsageError

FORMAT = 1
NODES_MAX = 99
"""A block of ports has room for so many (harness.ports)."""


@dataclass(frozen=True, slots=True)
class Node:
    """``rest`` and ``raft`` are ``host:port``."""

    name: str
    rest: str
    raft: str


@dataclass(frozen=True, slots=True)
class Roster:
    """``command``: what starts a node, before its flags. ``offset``: of the block of ports."""

    command: tuple[str, ...]
    nodes: tuple[Node, ...]
    next_number: int
    offset: int
    founded: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes' names, oldest first."""
        return tuple(node.name for node in self.nodes)

    def node(self, name: str) -> Node:
        """The node of that name; UsageError if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise UsageError(f"no node is called {name}: there are {', '.join(self.names)}")


def new_roster(count: int, offset: int, command: tuple[str, ...]) -> Roster:
    """n1..n<count> in the block of ports at ``offset``."""
    if not 1 <= count <= NODES_MAX:
        raise UsageError(f"a cluster has 1 to {NODES_MAX} nodes, not {count}")
    nodes = tuple(_node(number, offset) for number in range(1, count + 1))
    return Roster(command=command, nodes=nodes, next_number=count + 1, offset=offset)


def with_new_node(roster: Roster, offset: int) -> tuple[Roster, Node]:
    """The roster with one node more, named by the next number that was never used."""
    if roster.next_number > NODES_MAX:
        raise Refused(f"this run directory has used all {NODES_MAX} names; begin a new one")
    node = _node(roster.next_number, offset)
    return replace(roster, nodes=(*roster.nodes, node), next_number=roster.next_number + 1), node


def without_node(roster: Roster, name: str) -> Roster:
    """The roster without that node; its name stays used."""
    gone = roster.node(name)
    return replace(roster, nodes=tuple(node for node in roster.nodes if node != gone))


def serve_command(roster: Roster, name: str, data_dir: str) -> list[str]:
    """The command line that starts this node."""
    node = roster.node(name)
    flags = ["--id", node.name, "--rest", node.rest, "--raft", node.raft, "--data-dir", data_dir]
    for seed in _seeds(roster, node):
        flags += ["--join", seed.rest]
    return [*roster.command, *flags]


def _seeds(roster: Roster, node: Node) -> tuple[Node, ...]:
    founder = roster.nodes[0]
    if roster.founded:
        return tuple(other for other in roster.nodes if other != node)
    return () if node == founder else (founder,)


def _node(number: int, offset: int) -> Node:
    return Node(
        name=f"n{number}",
        rest=f"{ports.HOST}:{ports.rest_port(number, offset)}",
        raft=f"{ports.HOST}:{ports.raft_port(number, offset)}",
    )


def encode(roster: Roster) -> str:
    """The text of ``cluster.json``."""
    return json.dumps({"format": FORMAT, **asdict(roster)}, indent=2) + "\n"


def decode(text: str) -> Roster:
    """A roster from ``cluster.json``; Refused if it is none, or of a newer format."""
    try:
        fields = json.loads(text)
        if fields.pop("format") != FORMAT:
            raise Refused("cluster.json was written by another version of dkv-harness")
        nodes = tuple(Node(**node) for node in fields.pop("nodes"))
        return Roster(command=tuple(fields.pop("command")), nodes=nodes, **fields)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Refused(f"cluster.json is damaged: {error}") from error
