"""junit.xml, which every CI system reads: a test case for each check. Violated is a failure, undecided an error."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from harness.history.records import Check, Validity
from harness.report import summary, text
from harness.report.recording import Recording

_ILLEGAL = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot say at all, not even escaped."""
OUTCOMES = {Validity.INVALID: "failure", Validity.UNKNOWN: "error"}


def render(recording: Recording, plain: str) -> str:
    """One testsuite; ``plain``: its output, which is the report as text.

    A run without checks has one case, the verdict itself, so that it cannot pass for a success.
    """
    verdict = recording.verdict
    checks = verdict.checks or (Check(name="verdict", validity=verdict.validity, sentence=verdict.sentence),)
    told = dict(summary.facts(recording))
    name = f"chaos.{told.get('system', 'unknown')}.{told['workload']}"
    count = [check.validity for check in checks]
    suite = ElementTree.Element(
        "testsuite",
        name=_legal(name),
        tests=str(len(checks)),
        failures=str(count.count(Validity.INVALID)),
        errors=str(count.count(Validity.UNKNOWN)),
        skipped="0",
        time=f"{recording.duration_s:.3f}",
    )
    _properties(ElementTree.SubElement(suite, "properties"), recording)
    for check in checks:
        _case(suite, name, check, recording)
    ElementTree.SubElement(suite, "system-out").text = _legal(plain)
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _properties(parent: ElementTree.Element, recording: Recording) -> None:
    told = [
        *summary.facts(recording),
        ("command", summary.command(recording)),
        ("replay", summary.replay(recording)),
        *((f"assumption {a.name}", "held" if a.held else a.sentence) for a in recording.verdict.assumptions),
    ]
    for name, value in told:
        ElementTree.SubElement(parent, "property", name=_legal(name), value=_legal(value))


def _case(suite: ElementTree.Element, name: str, check: Check, recording: Recording) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=_legal(name), name=_legal(check.name), time="0")
    if check.validity in OUTCOMES:
        sentence = check.sentence or recording.verdict.sentence
        told = ElementTree.SubElement(
            case, OUTCOMES[check.validity], type=str(check.validity), message=_legal(sentence)
        )
        told.text = _legal("\n".join([sentence, *text.story(check), f"again: {summary.replay(recording)}"]))


def _legal(given: str) -> str:
    return _ILLEGAL.sub(lambda found: f"\\x{ord(found[0]):02x}", given)
