"""Where contenders are measured: made, started beside each other, all but one standing still, stopped at the end.

Whatever is measured is kept at once. A contender whose nodes broke ends the run: its figures would be another system's.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from harness.bench.contenders import Contender
from harness.bench.measurements import Figure, Sample
from harness.bench.run_files import RunFiles
from harness.bench.watch import Watch
from harness.errors import HarnessError

Item = TypeVar("Item")

Make = Callable[[str, int, str], Contender]
"""System, number of nodes, name of the directory → a contender that was not started."""


@dataclass(frozen=True)
class Workbench:
    """``seed``: of all that is drawn. ``broken``: parts that came to no good end."""

    make: Make
    files: RunFiles
    watch: Watch
    seed: int
    broken: list[str] = field(default_factory=list)
    began_s: float = field(default_factory=time.monotonic)

    @property
    def elapsed_s(self) -> float:
        """Since this part of the run began."""
        return round(time.monotonic() - self.began_s, 3)

    @asynccontextmanager
    async def part(self, what: str) -> AsyncIterator[None]:
        """What goes wrong in one part of a run is told, and does not cost the others."""
        try:
            yield
        except HarnessError as error:
            self.broken.append(what)
            self.remark(f"{what} broke off: {error}")

    @asynccontextmanager
    async def all_up(self, systems: Sequence[str], nodes: int, what: str) -> AsyncIterator[dict[str, Contender]]:
        """All of them settled, and standing still. ``what``: a word for their directories. Raises HarnessError."""
        contenders: dict[str, Contender] = {}
        try:
            for system in systems:
                self.watch.say(f"starting {nodes} nodes of {system}")
                contenders[system] = self.make(system, nodes, f"{system}-{nodes}-{what}")
                await self._start(contenders[system])
                await contenders[system].pause_all()
            yield contenders
        finally:
            await self._end(contenders.values())

    @asynccontextmanager
    async def up(self, system: str, nodes: int, what: str) -> AsyncIterator[Contender]:
        """One alone, settled. Raises HarnessError."""
        contender = self.make(system, nodes, f"{system}-{nodes}-{what}")
        try:
            await self._start(contender)
            yield contender
        finally:
            await self._end([contender])

    async def _start(self, contender: Contender) -> None:
        await contender.start()
        await contender.wait_settled()
        self.files.describe(f"{contender.name}, {contender.count} nodes", contender.configuration())

    async def _end(self, contenders: Collection[Contender]) -> None:
        """In a ``finally``. What nodes wrote is kept where something went wrong, except that somebody had enough."""
        ending = sys.exception()
        await asyncio.gather(*(contender.stop() for contender in contenders))
        broken = {contender: sentences for contender in contenders if (sentences := contender.crashes())}
        for contender in contenders:
            if contender not in broken and not isinstance(ending, HarnessError):
                shutil.rmtree(contender.run_dir.path, ignore_errors=True)
        for contender, sentences in broken.items():
            self.remark(f"{contender.name}: {'; '.join(sentences)}")
        if broken and ending is None:  # else there is something to be told already, or a person who wants to go
            contender, sentences = next(iter(broken.items()))
            raise HarnessError(
                f"a node of {contender.name} broke, so what was measured may be of a system that was half there: "
                f"{sentences[0]}. Its logs are in {contender.run_dir.path}"
            )

    def sample(self, sample: Sample) -> None:
        """Keep it and show it."""
        self.files.sample(sample)
        self.watch.sample(sample)

    def figure(self, figure: Figure) -> None:
        """Keep it and show it."""
        self.files.figure(figure)
        self.watch.figure(figure)

    def remark(self, sentence: str) -> None:
        """Something that whoever reads the results should know."""
        self.files.add("remarks", sentence)
        self.watch.say(sentence)


def in_turn(all_of_them: Sequence[Item], number: int) -> list[Item]:
    """Another one first each time."""
    first = number % len(all_of_them) if all_of_them else 0
    return [*all_of_them[first:], *all_of_them[:first]]
