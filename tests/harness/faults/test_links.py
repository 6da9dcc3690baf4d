"""Faults of links overlap and end one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.faults.links import Links, combine
from harness.systems.base import Link, Shape
from tests.harness.virtual_time import run


class Heard:
    """A network that remembers what it was told."""

    name = "heard"

    def __init__(self) -> None:
        self.cuts: list[Link] = []
        self.shapes: dict[Link, Shape] = {}

    async def cut(self, links: Sequence[Link]) -> None:
        self.cuts = list(links)

    async def shape(self, shapes: Mapping[Link, Shape]) -> None:
        self.shapes = dict(shapes)

    async def heal(self) -> None:
        self.cuts, self.shapes = [], {}

    async def passes(self, links: Sequence[Link]) -> Mapping[Link, bool | None]:
        return {link: link not in self.cuts for link in links}


AB, BA, AC = ("a", "b"), ("b", "a"), ("a", "c")


def test_cuts_are_united_and_end_apart() -> None:
    async def body() -> None:
        network = Heard()
        links = Links(network)
        await links.cut(1, [AB, BA])
        await links.cut(2, [AB, AC])
        assert network.cuts == [AB, AC, BA]
        await links.release(1)
        assert network.cuts == [AB, AC]
        network.cuts = []  # a node came back and has forgotten
        await links.tell_again()
        assert network.cuts == [AB, AC]
        await links.heal()
        assert network.cuts == []
        assert links.silent == frozenset()

    run(body())


def test_shapes_are_combined() -> None:
    async def body() -> None:
        network = Heard()
        links = Links(network)
        await links.shape(1, {AB: Shape(delay_s=0.1, loss=0.5)})
        await links.shape(2, {AB: Shape(delay_s=0.2, loss=0.5), AC: Shape(duplicate=0.1)})
        assert network.shapes[AB] == combine(Shape(delay_s=0.1, loss=0.5), Shape(delay_s=0.2, loss=0.5))
        await links.release(2)
        assert network.shapes == {AB: Shape(delay_s=0.1, loss=0.5)}

    run(body())


def test_what_two_shapes_make() -> None:
    both = combine(Shape(delay_s=0.1, loss=0.5, rate_bytes_s=100), Shape(jitter_s=0.2, loss=0.5, rate_bytes_s=50))
    assert both == Shape(delay_s=0.1, jitter_s=0.2, loss=0.75, rate_bytes_s=50)
    assert combine(Shape(), Shape()) == Shape()
