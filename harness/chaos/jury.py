"""The judge's process: history lines in on stdin, words out on stdout, until the input ends and the last word is said.

Run by ``harness.chaos.live`` as ``python -m harness.chaos.jury``.
"""

from __future__ import annotations

import os
import select
import sys
import time

import msgspec

from harness.chaos.live import Word
from harness.checker.checker import Checker
from harness.checker.checks import EXPLAINED_MAX
from harness.checker.explanation import explain
from harness.checker.models import MODELS
from harness.checker.verdicts import Judgement
from harness.history.events import Event, Header
from harness.history.operations import HistoryError
from harness.history.records import Check, Validity

NAME = "linearizability"
LOOK_S = 0.3
"""Between two judgments: a violation is to be told within two seconds."""
LOOK_STEPS = 100_000
"""Of a key, at each look, some tenths of a second; a key that takes more is looked at again, and in full at the end."""
READ_BYTES = 1 << 20
NICE = 5
"""Nodes and clients go first; a judge that is a little late is still in time."""


class Jury:
    """A checker and what it says. ``workload``: the name of the model."""

    def __init__(self, workload: str) -> None:
        self._model = MODELS[workload]
        self._checker = Checker(workload)
        self._judged = self._fed = 0
        self._trouble = ""
        self._explained: Check | None = None

    def feed(self, event: Event) -> None:
        """The next event of the history."""
        self._fed += 1
        if self._trouble:
            return
        try:
            self._checker.feed(event)
        except HistoryError as error:
            self._trouble = str(error)

    @property
    def behind(self) -> int:
        """Events that were fed and not judged."""
        return self._fed - self._judged

    def word(self, *, last: bool = False) -> Word:
        """On everything fed so far; with the reason once it is invalid, and with the last word."""
        try:
            judgement = None if self._trouble else self._checker.verdict(None if last else LOOK_STEPS)
        except HistoryError as error:
            judgement, self._trouble = None, str(error)
        self._judged = self._fed
        if judgement is None:
            check = Check(name=NAME, validity=Validity.UNKNOWN, sentence=f"the history makes no sense: {self._trouble}")
        elif judgement.validity is Validity.INVALID:
            check = self._explained = self._explained or self._explain(judgement)
        else:
            check = _undecided(judgement)
        tells = last or check.validity is Validity.INVALID
        return Word(judged=self._judged, validity=check.validity, checks=(check,) if tells else (), last=last)

    def _explain(self, judgement: Judgement) -> Check:
        """The key that broke first, in a sentence and its smallest part."""
        keys = [verdict.key for verdict in judgement.refuted]
        explanations = [explain(self._model, key, self._checker.history(key)) for key in keys[:EXPLAINED_MAX]]
        first = min(explanations, key=lambda explanation: explanation.time_s)
        return Check(
            name=NAME,
            validity=Validity.INVALID,
            sentence=first.sentence,
            key=first.key,
            time_s=first.time_s,
            operations=tuple(operation.as_dict() for operation in first.operations),
            detail={"keys": keys},
        )


def _undecided(judgement: Judgement) -> Check:
    """Valid, or unknown with the keys that could not be decided."""
    detail = {"keys": len(judgement.keys), "width": max((v.width for v in judgement.keys.values()), default=0)}
    if judgement.validity is Validity.VALID:
        return Check(name=NAME, validity=Validity.VALID, detail=detail)
    open_keys = [verdict for verdict in judgement.keys.values() if verdict.validity is Validity.UNKNOWN]
    told = "; ".join(f"{verdict.key}, {verdict.overlap} operations at once: {verdict.advice}" for verdict in open_keys)
    return Check(name=NAME, validity=Validity.UNKNOWN, sentence=f"not decided: {told}", detail=detail)


def main() -> None:
    """Read, judge, tell; the end of the input asks for the last word."""
    os.nice(NICE)
    jury: Jury | None = None
    rest, due, events = b"", 0.0, msgspec.json.Decoder(Event)
    while True:
        ready, _, _ = select.select([sys.stdin], [], [], LOOK_S)
        if ready:
            data = os.read(sys.stdin.fileno(), READ_BYTES)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            if jury is None and lines:
                jury = Jury(msgspec.json.decode(lines.pop(0), type=Header).workload)
            for line in lines:
                assert jury is not None, "the header comes first"
                jury.feed(events.decode(line))
        now = time.monotonic()
        if jury is not None and jury.behind and now >= due:
            tell(jury.word())
            due = time.monotonic() + LOOK_S
    if jury is not None:
        tell(jury.word(last=True))


def tell(word: Word) -> None:
    """A line."""
    sys.stdout.buffer.write(msgspec.json.encode(word) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
