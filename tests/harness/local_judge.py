"""The judge of real runs, without a process of its own: for runs in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from harness.chaos.jury import LOOK_S, Jury
from harness.chaos.live import Word
from harness.history.events import Event, Header
from harness.history.records import Check, Validity


class LocalJudge:
    """See ``harness.chaos.live.Judge``."""

    def __init__(self, workload: str) -> None:
        self.violated = asyncio.Event()
        self.word = Word(judged=0, validity=Validity.VALID)
        self._jury = Jury(workload)

    def feed(self, event: Event) -> None:
        self._jury.feed(event)

    async def run(self, header: Header) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self.word = self._jury.word()
            if self.word.validity is Validity.INVALID:
                self.violated.set()

    async def finish(self) -> Sequence[Check]:
        return self._jury.word(last=True).checks
