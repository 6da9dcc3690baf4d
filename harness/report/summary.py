"""The answer: what a reader wants to know first, in the words that page, text and JUnit share."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.history.events import EventType
from harness.history.operations import Operation
from harness.history.records import Assumption, Check, Validity
from harness.report import statistics
from harness.report.operations import answered, mismatched
from harness.report.recording import Recording

WORDS = {Validity.VALID: "Valid", Validity.INVALID: "Violation", Validity.UNKNOWN: "Unknown"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One number with its unit, what it counts, and a word more."""

    value: str
    label: str
    note: str = ""


def facts(recording: Recording) -> tuple[tuple[str, str], ...]:
    """The run: what it was of, in pairs of name and value."""
    manifest, header = recording.manifest, recording.header
    nodes = manifest.get("nodes") or recording.nodes
    told: list[tuple[str, Any]] = [
        ("system", manifest.get("system") or header.system),
        ("workload", header.workload),
        ("nodes", (len(nodes) if isinstance(nodes, list | tuple) else nodes) or None),
        ("seed", manifest.get("seed", header.seed)),
        ("network", manifest.get("network")),
        ("time", f"{recording.duration_s:.1f} s"),
    ]
    return tuple((name, str(value)) for name, value in told if value not in (None, ""))


def command(recording: Recording) -> str:
    """What was typed, if the manifest tells."""
    told = recording.manifest.get("command", "")
    return shlex.join(map(str, told)) if isinstance(told, list) else str(told)


def replay(recording: Recording) -> str:
    """What to type to run the same plan again."""
    return f"dkv-harness chaos --replay {shlex.quote(recording.directory)}"


def broken(recording: Recording) -> tuple[Assumption, ...]:
    """Assumptions that did not hold."""
    return tuple(assumption for assumption in recording.verdict.assumptions if not assumption.held)


def headline(recording: Recording) -> str:
    """The verdict's sentence. If it ends with the assumptions that did not hold, without them: they stand below it."""
    sentence = recording.verdict.sentence
    for assumption in broken(recording)[:1]:
        sentence = sentence.partition(f" ({assumption.name}: {assumption.sentence}")[0]
    return sentence


def figures(recording: Recording) -> tuple[Figure, ...]:
    """The counts that stand on top."""
    operations, end_s = recording.operations, recording.duration_s
    count = Counter(operation.type for operation in operations)
    mismatches = sum(map(mismatched, operations))
    latency = statistics.latency(operations)
    available = statistics.availability(operations)
    silence = f"longest silence {milliseconds(statistics.longest_silence(operations, end_s).length_s)}"
    found = [
        Figure(f"{count[EventType.OK]:,}", "ok"),
        Figure(f"{count[EventType.FAIL]:,}", "failed", f"{mismatches:,} cas mismatches" if mismatches else ""),
        Figure(f"{count[EventType.INFO]:,}", "unknown"),
        Figure(f"{count[EventType.OK] / end_s:,.0f}/s" if end_s else "–", "throughput"),
        Figure(milliseconds(latency.p50_s) if latency else "–", "p50"),
        Figure(milliseconds(latency.p99_s) if latency else "–", "p99"),
        Figure(f"{len(recording.faults)}", "faults", _probed(recording)),
        Figure("–" if available is None else _percent(available), "answered", silence if operations else ""),
    ]
    if recording.samples:
        gaps = statistics.leaderless(recording.samples, end_s)
        longest = max((gap.length_s for gap in gaps), default=0.0)
        note = f"{len(gaps)} gaps, longest {milliseconds(longest)}" if len(gaps) > 1 else ""
        found.append(Figure(milliseconds(sum(gap.length_s for gap in gaps)), "without a leader", note))
    return tuple(found)


def _probed(recording: Recording) -> str:
    fired = Counter(band.fired for band in recording.faults)
    words = [f"{fired[True]} seen to work"] if fired[True] else []
    words += [f"{fired[False]} did not fire"] if fired[False] else []
    return ", ".join(words)


def _percent(share: float) -> str:
    """Never 100 % unless it is all."""
    return "100 %" if share == 1 else f"{min(share * 100, 99.99):.2f} %"


def milliseconds(time_s: float) -> str:
    """A duration with three digits at most before its unit changes."""
    if time_s == 0:
        return "0 ms"
    if time_s >= 10:
        return f"{time_s:.1f} s"
    if time_s >= 1:
        return f"{time_s:.2f} s"
    return f"{time_s * 1000:.{0 if time_s >= 0.1 else 1 if time_s >= 0.01 else 2}f} ms"


def story(check: Check) -> tuple[Operation, ...]:
    """The minimal sub-history of a check, in the order of its beginnings; empty if it tells none that can be read.

    A report that failed over how a check tells its evidence would keep the verdict itself from the reader.
    """
    try:
        return tuple(sorted(map(_operation, check.operations), key=lambda operation: operation.invoke_s))
    except (KeyError, TypeError, ValueError):
        return ()


def _operation(told: Mapping[str, Any]) -> Operation:
    """Undoes ``Operation.as_dict``."""
    return Operation(**{**told, "type": EventType(told["type"])}, invoked=0)


def culprit(check: Check, operations: Sequence[Operation]) -> Operation | None:
    """The operation whose answer nothing can explain: the one that ended as the check says, else the last answer."""
    answers = [operation for operation in operations if answered(operation) and operation.return_s is not None]
    if not answers:
        return None
    if check.time_s is None:
        return max(answers, key=lambda operation: operation.return_s or 0.0)
    moment_s = check.time_s
    return min(answers, key=lambda operation: abs((operation.return_s or 0.0) - moment_s))
