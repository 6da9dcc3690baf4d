"""Judging a history file: read it, whatever its format, judge every key, explain what is refuted, say it in text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from harness.checker import checks
from harness.checker.checker import Checker, fed
from harness.checker.judging import STEPS_MAX
from harness.checker.models import MODELS
from harness.checker.sentences import described
from harness.checker.verdicts import Explanation, Judgement, KeyVerdict
from harness.history import files
from harness.history.events import Event, EventType
from harness.history.operations import NEVER, HistoryError, Operation
from harness.history.records import Validity

EXIT_CODES = {Validity.VALID: 0, Validity.INVALID: 1, Validity.UNKNOWN: 2}
WORDS = {Validity.VALID: "linearizable", Validity.INVALID: "NOT linearizable", Validity.UNKNOWN: "unknown"}
KEYS_SHOWN_MAX = 20
"""Of those without violation; the rest is counted."""
NIL_NOTE = (
    "it is linearizable if a read of nil means that what was read is not known, as Knossos takes it: --nil unknown; "
    "here it was taken to mean that nothing was there"
)

LOG = re.compile(r"\bjepsen\.\w+|^\s*INFO\b")
"""A cluster that never started leaves a log without operations: that is a history, if an empty one."""


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """``judgement`` is None if the file could not be understood: ``trouble`` says why, and the verdict is unknown."""

    path: str
    format: str = ""
    judgement: Judgement | None = None
    explanations: Sequence[Explanation] = ()
    trouble: str = ""
    note: str = ""

    @property
    def validity(self) -> Validity:
        """Of the whole file."""
        return self.judgement.validity if self.judgement is not None else Validity.UNKNOWN


def exit_code(verdicts: Iterable[FileVerdict]) -> int:
    """1 if any is refuted, else 2 if any is unknown, else 0."""
    found = {verdict.validity for verdict in verdicts}
    return next((EXIT_CODES[v] for v in (Validity.INVALID, Validity.UNKNOWN) if v in found), 0)


def check_file(
    path: Path, model: str | None = None, steps_max: int = STEPS_MAX, nil_unknown: bool = False
) -> FileVerdict:
    """``path``: a history, or a run's directory with one in it. ``model``: a name of ``MODELS``; None: the header's, or
    inferred. ``nil_unknown``: a read of nothing is one whose answer was not recorded. Never raises for a bad file."""
    if path.is_dir():
        path = path / "history.jsonl"
    try:
        history = _read(path)
        known = model or (history.header.workload if history.header is not None else None)
        if known is not None and known not in MODELS:
            raise HistoryError(f"there is no model {known!r}, only {', '.join(sorted(MODELS))}")
        events = _nil_unknown(history.events) if nil_unknown else history.events
        checker, judgement = _judge(events, known, steps_max)
        explained = checks.explanations(checker, judgement)
        note = ""
        if history.format == "EDN" and judgement.refuted and not nil_unknown:
            other = _judge(_nil_unknown(events), known, steps_max)[1]
            note = NIL_NOTE if other.validity is Validity.VALID else ""
    except (HistoryError, OSError) as error:
        return FileVerdict(str(path), trouble=str(error))
    return FileVerdict(str(path), history.format, judgement, explained, note=note)


def _read(path: Path) -> files.History:
    """Raises HistoryError also for what a reader had not thought of: a verdict must not come of a misreading."""
    try:
        history = files.read(path)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise HistoryError(f"there is something in it that no event has ({type(error).__name__}: {error})") from error
    if not history.events and history.format == "Jepsen log" and not LOG.search(path.read_text(errors="replace")):
        raise HistoryError("this names Jepsen, but is neither its log nor EDN that can be read")
    return history


def _judge(events: Iterable[Event], model: str | None, steps_max: int) -> tuple[Checker, Judgement]:
    checker = fed(events, model, steps_max)
    return checker, checker.verdict()


def _nil_unknown(events: Iterable[Event]) -> list[Event]:
    return [
        msgspec.structs.replace(event, type=EventType.INFO)
        if event.type is EventType.OK and event.f in ("read", "get") and event.value is None
        else event
        for event in events
    ]


# ---- for people


def render(verdict: FileVerdict) -> str:
    """Several lines: the verdict, the keys that matter, and for each violation the sentence and its operations."""
    judgement = verdict.judgement
    if judgement is None:
        return f"{verdict.path}: unknown: {verdict.trouble}"
    keys = list(judgement.keys.values())
    total = sum(key.operations for key in keys)
    lines = [
        f"{verdict.path}: {WORDS[judgement.validity]}",
        f"  {verdict.format}, {judgement.model}, {_count(total, 'operation')} on {_count(len(keys), 'key')}",
    ]
    lines += _keys(keys)
    for explanation in verdict.explanations:
        lines += ["", f"  {explanation.sentence}", ""]
        lines += [f"    {line}" for line in table(_rows(explanation.operations))]
    for key in keys:
        if key.validity is Validity.UNKNOWN:
            lines += ["", f"  {checks.doubt(key)}"]
    if verdict.note:
        lines += ["", f"  Note: {verdict.note}."]
    return "\n".join(lines)


def document(verdict: FileVerdict) -> dict[str, Any]:
    """For programs."""
    judgement = verdict.judgement
    found: dict[str, Any] = {"file": verdict.path, "validity": str(verdict.validity)}
    if judgement is None:
        return {**found, "error": verdict.trouble}
    told = checks.checks(judgement, list(verdict.explanations))
    return {
        **found,
        "format": verdict.format,
        "model": judgement.model,
        "keys": [
            {"key": key.key, "validity": str(key.validity), "operations": key.operations, "unknown": key.unknown}
            | {"overlap": key.overlap, "width": key.width, "steps": key.steps}
            for key in judgement.keys.values()
        ],
        "violations": [
            {"key": check.key, "sentence": check.sentence, "time_s": check.time_s, "operations": check.operations}
            for check in told
            if check.validity is Validity.INVALID
        ],
        "doubts": [check.sentence for check in told if check.validity is Validity.UNKNOWN],
        "note": verdict.note,
    }


def _keys(keys: Sequence[KeyVerdict]) -> list[str]:
    bad = [key for key in keys if key.validity is not Validity.VALID]
    good = [key for key in keys if key.validity is Validity.VALID]
    if not bad and len(keys) <= 1:
        return []
    shown = bad + good[: max(0, KEYS_SHOWN_MAX - len(bad))]
    order = {key.key: place for place, key in enumerate(keys)}
    shown.sort(key=lambda key: order[key.key])
    rows: list[tuple[str, ...]] = [("key", "verdict", "operations", "unknown", "overlap", "width", "steps")]
    for key in shown:
        numbers = (key.operations, key.unknown, key.overlap, key.width, key.steps)
        rows.append(("–" if key.key is None else key.key, WORDS[key.validity], *(f"{number:,}" for number in numbers)))
    lines = ["", *(f"  {line}" for line in table(rows, numbers_from=2))]
    if len(shown) < len(keys):
        lines.append(f"  and {_count(len(keys) - len(shown), 'key')} more, linearizable")
    return lines


def _rows(operations: Sequence[Operation]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("process", "operation", "outcome", "began", "ended", "node")]
    timeless = not any(operation.invoke_s or operation.return_s for operation in operations)
    for operation in operations:
        began, ended = f"{operation.invoke_s:.4f} s", f"{operation.return_s or 0:.4f} s"
        if timeless:  # then the events' numbers tell the order
            began, ended = f"#{operation.invoked + 1}", f"#{operation.returned + 1}"
        never = operation.return_s is None or (timeless and operation.returned == NEVER)
        ended = "–" if never else ended
        outcome = _outcome(operation)
        rows.append((str(operation.process), described(operation), outcome, began, ended, operation.node or "–"))
    nodeless = all(operation.node is None for operation in operations)
    kept = range(5 if nodeless else 6)
    return [tuple(row[column] for column in kept) for row in rows]


def _outcome(operation: Operation) -> str:
    if operation.type is EventType.INFO:
        return "unknown"
    return str(operation.type) if operation.error is None else f"{operation.type}: {operation.error}"


def table(rows: Sequence[Sequence[str]], numbers_from: int = 99) -> list[str]:
    """Lines of columns that line up; from column ``numbers_from`` on to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if column >= numbers_from else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def summary(verdicts: Sequence[FileVerdict]) -> str:
    """Of several files, in a line."""
    counts = {word: sum(verdict.validity is validity for verdict in verdicts) for validity, word in WORDS.items()}
    return f"{_count(len(verdicts), 'file')}: " + ", ".join(
        f"{count} {word}" for word, count in counts.items() if count
    )
