"""A run of the matrix: stage by stage all contenders are started, and block by block one of them is loaded.

A block: let the contender go on, wait until it is settled, load it, look who leads, stop it again. If another node
leads than before, part of the load met an election or the wrong node: the block is done again, and the run says so.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from harness.bench import interleaving, matrix, traffic
from harness.bench.contenders import Contender, Unmeasurable
from harness.bench.interleaving import Block, Stage
from harness.bench.measurements import Cell
from harness.bench.measuring import Measured, measure, sample
from harness.bench.workbench import Workbench

ATTEMPTS = 5
"""Of one block during which the leadership moved."""
BUSY_GENERATOR = 0.9
"""Cores of a generator with one thread from which on it may be what limits the rate."""


class Run:
    """``seconds``: length of a block that counts."""

    def __init__(self, bench: Workbench, stages: Sequence[Stage], seconds: float) -> None:
        self._bench, self._stages, self._seconds = bench, stages, seconds
        self._value_bytes: dict[str, int] = {}
        """System → size of the values that its keys have now."""
        self._unmeasurable: set[tuple[str, Cell]] = set()

    async def run(self) -> None:
        """One stage after the other, whatever becomes of each."""
        for number, stage in enumerate(self._stages):
            later_s = interleaving.estimate_s(self._stages[number + 1 :], self._seconds)
            self._value_bytes.clear()
            async with self._bench.part(f"{stage.nodes} nodes, {stage.keys:,} keys"):
                await self._stage(stage, later_s)

    async def _stage(self, stage: Stage, later_s: float) -> None:
        async with self._bench.all_up(stage.systems, stage.nodes, f"{stage.keys}-keys") as contenders:
            for place, block in enumerate(stage.blocks):
                left_s = interleaving.blocks_s(stage.blocks[place:], self._seconds) + later_s
                if (block.system, block.cell) not in self._unmeasurable:
                    self._bench.watch.begin(_described(block), left_s)
                    await self._block(contenders[block.system], block)

    async def _block(self, contender: Contender, block: Block) -> None:
        for _ in range(ATTEMPTS):
            leader = await contender.resume_all()
            await self._fill(contender, block.cell)
            started_s = self._bench.elapsed_s
            rng = random.Random(f"{self._bench.seed} {matrix.name(block.cell)} {block.round}")
            seconds = interleaving.block_s(block, self._seconds)
            try:
                measured = await measure(contender, leader, block.cell, rng, seconds)
            except Unmeasurable as refusal:
                self._bench.remark(f"{_described(block)}: left out: {refusal}")
                self._unmeasurable.add((block.system, block.cell))
                await contender.pause_all()
                return
            after = await contender.wait_settled()
            await contender.pause_all()
            if after == leader:
                if block.counts:
                    self._keep(block, measured, contender.generator(block.cell), started_s)
                return
            self._bench.remark(
                f"{_described(block)}: the leadership moved from {leader.name} to {after.name} (term {leader.term} to "
                f"{after.term}), so the block was thrown away"
            )
        self._bench.remark(f"{_described(block)}: left out, since the leadership moved in {ATTEMPTS} blocks on end")

    async def _fill(self, contender: Contender, cell: Cell) -> None:
        """The keys that are read must be there, with values of the cell's size; sets leave theirs."""
        if self._value_bytes.get(contender.name) != cell.value_bytes:
            if cell.keys > matrix.KEYS:
                self._bench.watch.say(f"loading {cell.keys:,} keys into {contender.name}")
            rng = random.Random(f"{self._bench.seed} fill {cell.value_bytes}")
            await contender.fill(cell.keys, traffic.Values(cell.value_bytes, rng))
            self._value_bytes[contender.name] = cell.value_bytes

    def _keep(self, block: Block, measured: Measured, generator: str, started_s: float) -> None:
        taken = sample(block.system, block.cell, block.round, generator, started_s, measured)
        self._bench.sample(taken)
        if taken.generator_cores > BUSY_GENERATOR:
            self._bench.remark(
                f"{_described(block)}: the generator used {taken.generator_cores:.2f} cores: it may limit the rate"
            )
        if measured.counted.late:
            self._bench.remark(f"{_described(block)}: {measured.counted.late}")


def _described(block: Block) -> str:
    turn = f"round {block.round}" if block.counts else "warming up"
    return f"{block.system}: {matrix.name(block.cell)}, {turn}"
