"""The judge beside the run: a child process that is told every event and says what it thinks, several times a second.

A process of its own, because judging takes processor time that the clients' loop must not wait for; it judges the keys
that were touched since its last look (harness.checker), so it keeps up however long the run.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from harness.errors import HarnessError
from harness.history.events import Event, Header
from harness.history.records import Check, Validity

FEED_S = 0.05
"""How long events gather before they are sent."""
FINISH_S = 60.0
"""For the last judgment and the smallest sub-history: seconds, for histories that are as wide as ours."""
LINE_BYTES_MAX = 16 << 20
"""The longest word of the judge: a check with its operations."""


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """What the judge says. ``judged``: events it has taken into account. ``checks``: with the last word only, and with
    the first that says invalid."""

    judged: int
    validity: Validity
    checks: tuple[Check, ...] = ()
    last: bool = False


class Judge(Protocol):
    """``violated`` is set as soon as the history so far cannot be valid."""

    violated: asyncio.Event
    word: Word

    def feed(self, event: Event) -> None: ...

    async def run(self, header: Header) -> None:
        """Judges until cancelled."""
        ...

    async def finish(self) -> Sequence[Check]:
        """The verdict on everything that was fed, with reasons."""
        ...


@dataclass
class ChildJudge:
    """The judge of real runs: ``python -m harness.chaos.jury``."""

    violated: asyncio.Event = field(default_factory=asyncio.Event)
    word: Word = field(default_factory=lambda: Word(judged=0, validity=Validity.VALID))
    _pending: bytearray = field(default_factory=bytearray)
    _encoder: msgspec.json.Encoder = field(default_factory=msgspec.json.Encoder)
    _child: asyncio.subprocess.Process | None = None
    _finished: asyncio.Event = field(default_factory=asyncio.Event)

    def feed(self, event: Event) -> None:
        self._pending += self._encoder.encode(event) + b"\n"

    async def run(self, header: Header) -> None:
        self._child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "harness.chaos.jury"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_BYTES_MAX,
        )
        self._pending[:0] = self._encoder.encode(header) + b"\n"
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(self._child))
                group.create_task(self._send(self._child))
        finally:
            if self._child.returncode is None:
                self._child.kill()
                await self._child.wait()

    async def finish(self) -> Sequence[Check]:
        assert self._child is not None, "a judge is finished after it has begun"
        stdin = self._child.stdin
        assert stdin is not None, "the judge's pipe was asked for"
        await self._flush(stdin)
        stdin.close()
        try:
            async with asyncio.timeout(FINISH_S):
                await self._finished.wait()
        except TimeoutError:
            sentence = f"the judge found no end within {FINISH_S:g} s: `dkv-harness check` has more patience"
            return (Check(name="linearizability", validity=Validity.UNKNOWN, sentence=sentence),)
        return self.word.checks

    async def _send(self, child: asyncio.subprocess.Process) -> None:
        assert child.stdin is not None, "the judge's pipe was asked for"
        while not child.stdin.is_closing():
            await self._flush(child.stdin)
            await asyncio.sleep(FEED_S)

    async def _flush(self, stdin: asyncio.StreamWriter) -> None:
        data, self._pending = bytes(self._pending), bytearray()
        if data:
            stdin.write(data)
            await stdin.drain()

    async def _listen(self, child: asyncio.subprocess.Process) -> None:
        assert child.stdout is not None, "the judge's pipe was asked for"
        while line := await child.stdout.readline():
            self.word = msgspec.json.decode(line, type=Word)
            if self.word.validity is Validity.INVALID:
                self.violated.set()
            if self.word.last:
                self._finished.set()
        if not self._finished.is_set():
            raise HarnessError(f"the judge's process ended with {await child.wait()} before its last word")
