"""The order of a run: cell by cell, in each round every system in turn, the first of them another one each round. Pure.

What disturbs a machine for a while (a neighbour, a hot processor) then hits all systems alike, and what lies between
the samples of one round is some seconds: ratios are taken pair by pair. Round 0 is the warm-up, which nobody counts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from harness.bench.measurements import Cell

WARM_UP = 0
WARM_UP_S_MAX = 2.0
"""Longest warm-up of one cell: connections, caches, code that a JIT has not seen yet."""
AROUND_S = 1.6
"""Measured around a block: resuming, finding the leader, trying a request, making and reading the load."""
START_S = 4.0
"""Measured for one system: from nothing to all voters, and its keys."""
LOAD_PER_S = 15_000
"""Keys a second that the slowest of those with batches takes in, by about."""


@dataclass(frozen=True, slots=True)
class Block:
    """One system under one cell's load, without a pause."""

    system: str
    cell: Cell
    round: int

    @property
    def counts(self) -> bool:
        """Whether its sample is kept."""
        return self.round != WARM_UP


@dataclass(frozen=True, slots=True)
class Stage:
    """What is measured while one set of clusters is up: all of so many nodes, with so many keys."""

    nodes: int
    keys: int
    systems: tuple[str, ...]
    blocks: tuple[Block, ...]


def stages(
    cells: Sequence[Cell], systems: Sequence[str], rounds: int, is_able: Callable[[str, Cell], bool]
) -> tuple[Stage, ...]:
    """The whole run. A system without any cell of a stage is not started for it."""
    shapes = list(dict.fromkeys((cell.nodes, cell.keys) for cell in cells))
    found = []
    for nodes, keys in shapes:
        here = [cell for cell in cells if (cell.nodes, cell.keys) == (nodes, keys)]
        blocks = tuple(block for cell in here for block in _blocks(cell, systems, rounds, is_able))
        taking_part = tuple(system for system in systems if any(block.system == system for block in blocks))
        found.append(Stage(nodes, keys, taking_part, blocks))
    return tuple(found)


def remaining(stages: Iterable[Stage], taken: Collection[tuple[Cell, int]]) -> tuple[Stage, ...]:
    """What is left of them when these rounds are there: rounds as a whole, because nobody can take his turn later."""
    found = []
    for stage in stages:
        blocks = [block for block in stage.blocks if (block.cell, block.round) not in taken]
        wanted = {(block.system, block.cell) for block in blocks if block.counts}
        left = tuple(block for block in blocks if (block.system, block.cell) in wanted)
        systems = tuple(system for system in stage.systems if any(block.system == system for block in left))
        if left:
            found.append(Stage(stage.nodes, stage.keys, systems, left))
    return tuple(found)


def _blocks(cell: Cell, systems: Sequence[str], rounds: int, is_able: Callable[[str, Cell], bool]) -> Iterable[Block]:
    able = [system for system in systems if is_able(system, cell)]
    for number in range(rounds + 1):
        first = number % len(able) if able else 0
        for system in able[first:] + able[:first]:
            yield Block(system, cell, number)


def block_s(block: Block, seconds: float) -> float:
    """How long its load goes on."""
    return seconds if block.counts else min(seconds, WARM_UP_S_MAX)


def estimate_s(stages: Iterable[Stage], seconds: float) -> float:
    """How long these stages take, by about."""
    total = 0.0
    for stage in stages:
        total += len(stage.systems) * (START_S + stage.keys / LOAD_PER_S)
        total += blocks_s(stage.blocks, seconds)
    return total


def blocks_s(blocks: Iterable[Block], seconds: float) -> float:
    """How long these blocks take, by about."""
    return sum(block_s(block, seconds) + AROUND_S for block in blocks)
