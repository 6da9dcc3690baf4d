"""Directed links between nodes: which of them a partition cuts, and how each node is told of its ends.

Pure. A cut is told to both ends of a link, so that it holds while one of them is restarted and knows nothing; a shape
is told to the sender alone, since a delay at both ends would be two.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from harness.systems.base import Link, Shape

Document = dict[str, dict[str, dict[str, Any]]]
"""What one node is told (``PUT /faults/links``): peer → ``send`` and ``receive`` → fields of a shape, and ``cut``."""


@dataclass(frozen=True, slots=True)
class Broken:
    """What the nodes that answer are told about their links."""

    cuts: frozenset[Link] = frozenset()
    shapes: Mapping[Link, Shape] = field(default_factory=dict)

    def sentences(self) -> list[str]:
        """For a person; empty if everything is whole."""
        told = [f"cut: {', '.join(_drawn(self.cuts, '↮', '↛'))}"] if self.cuts else []
        for delay_s in sorted({shape.delay_s for shape in self.shapes.values()}):
            slow = {link for link, shape in self.shapes.items() if shape.delay_s == delay_s}
            how = f"slower by {delay_s * 1000:g} ms" if delay_s else "shaped"
            told.append(f"{how}: {', '.join(_drawn(slow, '↔', '→'))}")
        return told

    def document(self) -> dict[str, Any]:
        """For a program: directed links, and what is not 0 of their shapes."""
        shaped = [{"from": a, "to": b, **_fields(shape)} for (a, b), shape in sorted(self.shapes.items())]
        return {"cut": [list(link) for link in sorted(self.cuts)], "shaped": shaped}


def both_ways(one: Iterable[str], other: Iterable[str]) -> frozenset[Link]:
    """Every link between the two sides."""
    others = tuple(other)
    return frozenset(link for a in one for b in others if a != b for link in ((a, b), (b, a)))


def between(groups: Sequence[Collection[str]]) -> frozenset[Link]:
    """Every link from one group to another."""
    return frozenset(
        link for i, group in enumerate(groups) for later in groups[i + 1 :] for link in both_ways(group, later)
    )


def around(names: Collection[str], nodes: Collection[str]) -> frozenset[Link]:
    """Every link that begins or ends at one of ``names``: each of them is alone then."""
    return both_ways(names, nodes)


def documents(nodes: Iterable[str], cuts: Iterable[Link], shapes: Mapping[Link, Shape]) -> dict[str, Document]:
    """Node → what it is told; ``{}`` for one whose links are whole."""
    told: dict[str, Document] = {node: {} for node in nodes}

    def tell(node: str, peer: str, direction: str, fields: Mapping[str, Any]) -> None:
        if node in told:
            told[node].setdefault(peer, {}).setdefault(direction, {}).update(fields)

    for source, target in cuts:
        tell(source, target, "send", {"cut": True})
        tell(target, source, "receive", {"cut": True})
    for (source, target), shape in shapes.items():
        if fields := _fields(shape):
            tell(source, target, "send", fields)
    return told


def understood(told: Mapping[str, Document]) -> Broken:
    """``documents`` read back, of those nodes that answered: a link is cut if either of its ends says so."""
    cuts: set[Link] = set()
    shapes: dict[Link, Shape] = {}
    for node, document in told.items():
        for peer, directions in document.items():
            for direction, fields in directions.items():
                link = (node, peer) if direction == "send" else (peer, node)
                if fields.get("cut"):
                    cuts.add(link)
                shape = msgspec.convert({key: value for key, value in fields.items() if key != "cut"}, Shape)
                if shape != Shape():
                    shapes[link] = shape
    return Broken(frozenset(cuts), shapes)


def _fields(shape: Shape) -> dict[str, Any]:
    whole = msgspec.to_builtins(Shape())
    return {key: value for key, value in msgspec.to_builtins(shape).items() if value != whole[key]}


def _drawn(of: Collection[Link], both: str, one: str) -> list[str]:
    """``n1 ↮ n2`` for a pair of links, ``n1 ↛ n2`` for one of them."""
    pairs = [f"{a} {both} {b}" for a, b in sorted(of) if a < b and (b, a) in of]
    return pairs + [f"{a} {one} {b}" for a, b in sorted(of) if (b, a) not in of]
