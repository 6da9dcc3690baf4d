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

FORMAT = 1
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
    """``rest``, ``raft`` and ``fault`` are ``host:port``; ``fault`` "": no fault port. ``entry``: as in Place."""

    name: str
    rest: str
    raft: str
    fault: str = ""
    entry: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Roster:
    """``command``: what starts a node, before its flags. ``offset``: of the block of ports.

    ``system``: whose flags they are (harness.command_lines). ``fault_ports``: whether new nodes get one. ``founded``:
    the cluster acknowledged its first write.
    """

    command: tuple[str, ...]
    nodes: tuple[Node, ...]
    next_number: int
    offset: int
    founded: bool = False
    system: str = "dkv"
    fault_ports: bool = False

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
    places: Places = lambda _: HERE,
) -> Roster:
    """n1..n<count> in the block of ports at ``offset``."""
    if not 1 <= count <= NODES_MAX:
        raise UsageError(f"a cluster has 1 to {NODES_MAX} nodes, not {count}")
    nodes = tuple(_node(number, offset, places(number), fault_ports) for number in range(1, count + 1))
    return Roster(command, nodes, count + 1, offset, system=system, fault_ports=fault_ports)


def with_new_node(roster: Roster, offset: int, place: Place = HERE) -> tuple[Roster, Node]:
    """The roster with one node more, named by the next number that was never used."""
    if roster.next_number > NODES_MAX:
        raise Refused(f"this run directory has used all {NODES_MAX} names; begin a new one")
    node = _node(roster.next_number, offset, place, roster.fault_ports)
    return replace(roster, nodes=(*roster.nodes, node), next_number=roster.next_number + 1), node


def without_node(roster: Roster, name: str) -> Roster:
    """The roster without that node; its name stays used."""
    gone = roster.node(name)
    return replace(roster, nodes=tuple(node for node in roster.nodes if node != gone))


def _node(number: int, offset: int, place: Place, fault_port: bool) -> Node:
    return Node(
        name=f"n{number}",
        rest=f"{place.host}:{ports.rest_port(number, offset)}",
        raft=f"{place.host}:{ports.raft_port(number, offset)}",
        # Always of loopback: the node serves it nowhere else, wherever it lives.
        fault=f"{ports.HOST}:{ports.fault_port(number, offset)}" if fault_port else "",
        entry=place.entry,
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
        nodes = tuple(Node(**{**node, "entry": tuple(node.get("entry", ()))}) for node in fields.pop("nodes"))
        return Roster(command=tuple(fields.pop("command")), nodes=nodes, **fields)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Refused(f"cluster.json is damaged: {error}") from error
