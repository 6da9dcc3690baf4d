"""What all faults together do to the links: a network is told the whole state, so that faults may overlap.

Cuts are united, shapes combined as if a message met one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from harness.systems.base import Link, Network, Shape


def combine(first: Shape, second: Shape) -> Shape:
    """A link with both shapes."""
    rates = [rate for rate in (first.rate_bytes_s, second.rate_bytes_s) if rate is not None]
    return Shape(
        delay_s=first.delay_s + second.delay_s,
        jitter_s=first.jitter_s + second.jitter_s,
        loss=_either(first.loss, second.loss),
        duplicate=_either(first.duplicate, second.duplicate),
        reorder=_either(first.reorder, second.reorder),
        rate_bytes_s=min(rates, default=None),
    )


def _either(one: float, other: float) -> float:
    return 1.0 - (1.0 - one) * (1.0 - other)


@dataclass
class Links:
    """``network``: None where a system has no links that could be broken, so that nobody plans it."""

    network: Network | None
    cuts: dict[int, frozenset[Link]] = field(default_factory=dict)
    shapes: dict[int, Mapping[Link, Shape]] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def cut(self, fault: int, links: Collection[Link]) -> None:
        """On behalf of this fault, these links are silent."""
        async with self.lock:
            self.cuts[fault] = frozenset(links)
            await self._tell_cuts()

    async def shape(self, fault: int, shapes: Mapping[Link, Shape]) -> None:
        """On behalf of this fault, these links are shaped."""
        async with self.lock:
            self.shapes[fault] = dict(shapes)
            await self._tell_shapes()

    async def release(self, fault: int) -> None:
        """Whatever this fault did to links is over."""
        async with self.lock:
            if self.cuts.pop(fault, None) is not None:
                await self._tell_cuts()
            if self.shapes.pop(fault, None) is not None:
                await self._tell_shapes()

    async def tell_again(self) -> None:
        """For a node that came back and has forgotten what its own hook was told."""
        async with self.lock:
            if self.cuts:
                await self._tell_cuts()
            if self.shapes:
                await self._tell_shapes()

    async def heal(self) -> None:
        """Everything."""
        async with self.lock:
            self.cuts.clear()
            self.shapes.clear()
            if self.network is not None:
                await self.network.heal()

    @property
    def silent(self) -> frozenset[Link]:
        """The links that are cut now."""
        return frozenset().union(*self.cuts.values())

    def shaped(self) -> dict[Link, Shape]:
        """What the links do now, all faults together."""
        merged: dict[Link, Shape] = {}
        for shapes in self.shapes.values():
            for link, shape in shapes.items():
                merged[link] = combine(merged[link], shape) if link in merged else shape
        return merged

    async def _tell_cuts(self) -> None:
        assert self.network is not None, "a cut was planned for a system without a network"
        await self.network.cut(sorted(self.silent))

    async def _tell_shapes(self) -> None:
        assert self.network is not None, "a shape was planned for a system without a network"
        await self.network.shape(self.shaped())
