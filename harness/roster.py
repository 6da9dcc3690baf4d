"""The nodes of a local cluster as a value: who they are, where they live and listen, what starts them.

A name is never used twice in one run directory: a node that left keeps its data on disk, and must not be mistaken for a
new one. The command line that starts each is made of this by ``harness.command_lines``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from harness import ports
from harness.errors import Refused, UsageError

FORMAT = 2
"""1: nodes did not gossip."""
NODES_MAX = 99
"""A block of ports has room for so many (harness.ports)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node lives. ``host``: the address that it listens on. ``entry``: a command that runs others there."""

    host: str = ports.HOST
    entry: tuple[str, ...] = ()


HERE = Place()
"""On this machine's loopback address, where nodes are told apart by ports alone."""

Places = Callable[[int], Place]
"""A node's number → its place."""


@dataclass(frozen=True, slots=True)
class Node:
    """Addresses are ``host:port``, "" for what this node does not have. ``entry``: as in Place.

    ``gossip_rpc``: where ``serf members -rpc-addr=…`` is answered.
    """

    name: str
    rest: str
    raft: str
    gossip: str = ""
    gossip_rpc: str = ""
    fault: str = ""
    entry: tuple[str, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """All that it has."""
        return tuple(filter(None, (self.rest, self.raft, self.gossip, self.gossip_rpc, self.fault)))


@dataclass(frozen=True, slots=True)
class Roster:
    """``command``: what starts a node, before its flags. ``offset``: of the block of ports.

    ``system``: whose flags they are (harness.command_lines). ``fault_ports``: whether new nodes get one. ``founded``:
    the cluster acknowledged its first write. ``encrypted``: gossip, by the key in the run directory.
    """

    command: tuple[str, ...]
    nodes: tuple[Node, ...]
    next_number: int
    offset: int
    founded: bool = False
    system: str = "dkv"
    fault_ports: bool = False
    encrypted: bool = False

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


def new_roster(
    count: int,
    offset: int,
    command: tuple[str, ...],
    *,
    system: str = "dkv",
    fault_ports: bool = False,
    encrypted: bool = False,
    places: Places = lambda _: HERE,
) -> Roster:
    """n1..n<count> in the block of ports at ``offset``."""
    if not 1 <= count <= NODES_MAX:
        raise UsageError(f"a cluster has 1 to {NODES_MAX} nodes, not {count}")
    empty = Roster(command, (), 1, offset, system=system, fault_ports=fault_ports, encrypted=encrypted)
    nodes = tuple(_node(empty, number, offset, places(number)) for number in range(1, count + 1))
    return replace(empty, nodes=nodes, next_number=count + 1)


def with_new_node(roster: Roster, offset: int, place: Place = HERE) -> tuple[Roster, Node]:
    """The roster with one node more, named by the next number that was never used."""
    if roster.next_number > NODES_MAX:
        raise Refused(f"this run directory has used all {NODES_MAX} names; begin a new one")
    node = _node(roster, roster.next_number, offset, place)
    return replace(roster, nodes=(*roster.nodes, node), next_number=roster.next_number + 1), node


def without_node(roster: Roster, name: str) -> Roster:
    """The roster without that node; its name stays used."""
    gone = roster.node(name)
    return replace(roster, nodes=tuple(node for node in roster.nodes if node != gone))


def _node(roster: Roster, number: int, offset: int, place: Place) -> Node:
    gossips = roster.system == "dkv"
    return Node(
        name=f"n{number}",
        rest=f"{place.host}:{ports.rest_port(number, offset)}",
        raft=f"{place.host}:{ports.raft_port(number, offset)}",
        gossip=f"{place.host}:{ports.gossip_port(number, offset)}" if gossips else "",
        gossip_rpc=f"{place.host}:{ports.gossip_rpc_port(number, offset)}" if gossips else "",
        # Always of loopback: the node serves it nowhere else, wherever it lives.
        fault=f"{ports.HOST}:{ports.fault_port(number, offset)}" if roster.fault_ports else "",
        entry=place.entry,
    )


def encode(roster: Roster) -> str:
    """The text of ``cluster.json``."""
    return json.dumps({"format": FORMAT, **asdict(roster)}, indent=2) + "\n"


_OTHER_FORMAT = {
    "older": "this cluster was started by an older version, whose nodes do not gossip: `dkv-harness clean` deletes it",
    "newer": "cluster.json was written by a newer version of dkv-harness: use that one",
}


def decode(text: str) -> Roster:
    """A roster from ``cluster.json``; Refused if it is none, or of another format."""
    try:
        fields = json.loads(text)
        if (written := fields.pop("format")) != FORMAT:
            raise Refused(_OTHER_FORMAT["older" if written < FORMAT else "newer"])
        nodes = tuple(Node(**{**node, "entry": tuple(node.get("entry", ()))}) for node in fields.pop("nodes"))
        return Roster(command=tuple(fields.pop("command")), nodes=nodes, **fields)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Refused(f"cluster.json is damaged: {error}") from error
