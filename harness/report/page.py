"""The page: one HTML file with everything in it, that asks nothing of any network.

Law: whatever comes out of a run (keys, values, errors, commands) reaches the document as JSON, never as markup.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from harness.history.operations import Operation
from harness.history.records import Check, Validity
from harness.report import columns, statistics, summary, text
from harness.report.operations import describe
from harness.report.recording import Recording

SCRIPTS = (
    "data.js",
    "marks.js",
    "view.js",
    "charts.js",
    "cluster.js",
    "clients.js",
    "tell.js",
    "story.js",
    "answer.js",
    "report.js",
)
"""In this order: each uses only what came before it."""
ASSETS = ("report.html", "report.css", *SCRIPTS)
CHECKS_DRAWN_MAX = 6
"""Sub-histories that are drawn; more failures than these have one cause."""


def render(recording: Recording, plain: str, assets: Mapping[str, str]) -> str:
    """``plain``: the same as text, for readers without scripts; ``assets``: the files named in ASSETS."""
    script = "\n".join(assets[name] for name in SCRIPTS)
    parts = {
        "title": html.escape(text.clean(title(recording))),
        "style": assets["report.css"],
        "text": html.escape(plain),
        "data": embedded(document(recording)),
        "script": f"(() => {{\n'use strict';\n{script}\n}})();",
    }
    page = assets["report.html"]
    pieces = page.split("%%")
    return "".join(parts[piece] if number % 2 else piece for number, piece in enumerate(pieces))


def title(recording: Recording) -> str:
    """Of the browser's tab."""
    told = dict(summary.facts(recording))
    seed = f", seed {told['seed']}" if "seed" in told else ""
    return f"{summary.WORDS[recording.verdict.validity]}: {told.get('system', 'a run')}{seed}"


def embedded(value: Any) -> str:
    """JSON that no HTML parser takes for the end of its element."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def document(recording: Recording) -> dict[str, Any]:
    """All that the page shows."""
    names = columns.Table()
    return {
        "answer": _answer(recording),
        "duration_s": recording.duration_s,
        "nodes": recording.nodes,
        "workload": recording.header.workload,
        "operations": columns.operations(recording.operations, names, unordered=recording.header.workload == "set"),
        "samples": columns.samples(recording.samples, names),
        "names": names.rows,
        "removed": statistics.removals(recording.samples),
        "faults": columns.faults(recording.faults),
        "recoveries": [asdict(recovery) for recovery in statistics.recoveries(recording.faults, recording.operations)],
        "leaderless": [
            [gap.began_s, gap.ended_s] for gap in statistics.leaderless(recording.samples, recording.duration_s)
        ],
        "latency": {f: asdict(latency) for f, latency in statistics.latency_by_f(recording.operations).items()},
        "stories": _stories(recording),
    }


def _answer(recording: Recording) -> dict[str, Any]:
    verdict = recording.verdict
    return {
        "validity": str(verdict.validity),
        "word": summary.WORDS[verdict.validity],
        "sentence": summary.headline(recording),
        "facts": summary.facts(recording),
        "figures": [asdict(figure) for figure in summary.figures(recording)],
        "command": summary.command(recording),
        "replay": summary.replay(recording),
        "manifest": recording.manifest,
        "statistics": verdict.statistics,
        "assumptions": [
            {"name": assumption.name, "held": assumption.held, "sentence": assumption.sentence}
            for assumption in verdict.assumptions
        ],
        "checks": [
            {
                "name": check.name,
                "validity": str(check.validity),
                "sentence": check.sentence,
                "key": check.key,
                "time_s": check.time_s,
                "detail": check.detail,
            }
            for check in verdict.checks
        ],
    }


def _stories(recording: Recording) -> list[dict[str, Any]]:
    place = {(op.process, op.invoke_s, op.f): index for index, op in enumerate(recording.operations)}
    told = [
        (number, check)
        for number, check in enumerate(recording.verdict.checks)
        if check.operations and check.validity is not Validity.VALID
    ]
    drawn = [(number, check, story) for number, check in told if (story := summary.story(check))]
    return [_story(number, check, story, place) for number, check, story in drawn[:CHECKS_DRAWN_MAX]]


def _story(
    number: int, check: Check, operations: Sequence[Operation], place: Mapping[tuple[int, float, str], int]
) -> dict[str, Any]:
    culprit = summary.culprit(check, operations)
    return {
        "check": number,
        "key": check.key,
        "operations": [
            {
                "label": describe(operation),
                "process": operation.process,
                "type": str(operation.type),
                "f": operation.f,
                "key": operation.key,
                "node": operation.node,
                "error": operation.error,
                "began_s": operation.invoke_s,
                "ended_s": operation.return_s,
                "culprit": operation is culprit,
                "index": place.get((operation.process, operation.invoke_s, operation.f)),
            }
            for operation in operations
        ],
    }
