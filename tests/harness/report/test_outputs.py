"""The plain text, JUnit, the bands they tell of, and the verb that writes them."""

from __future__ import annotations

import dataclasses
import json
import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from harness.errors import Refused
from harness.history.events import EventType
from harness.history.operations import Operation
from harness.history.records import Check, FaultRecord, Phase, Validity
from harness.report import files, junit, summary, text
from harness.report.bands import bands
from harness.report.command import report
from harness.report.recording import parse
from harness.report.summary import milliseconds
from tests.harness.report import synthetic
from tests.harness.report.test_page import HOSTILE, hostile, recording


def told(run: Path) -> str:
    return (run / files.TEXT).read_text("utf-8")


def test_text_begins_with_the_answer(runs: Path) -> None:
    lines = told(runs / "violation").splitlines()
    assert lines[0] == "VIOLATION"
    assert lines[1].startswith("n4 returned ")
    assert lines[1].endswith(" before the read began.")


def test_text_has_what_a_ci_log_must_tell(runs: Path) -> None:
    found = told(runs / "violation")
    headings = [line for line in found.splitlines() if line.isupper() and not line.startswith(" ")]
    assert headings == [
        "VIOLATION", "RUN", "AGAIN", "COUNTS", "ASSUMPTIONS THAT DID NOT HOLD", "SUB-HISTORY OF LINEARIZABILITY",
        "CHECKS", "FAULTS", "LATENCY",
    ]  # fmt: skip
    assert f"dkv-harness chaos --replay {runs / 'violation'}" in found
    assert "it was: dkv-harness chaos --nodes 5 --time 30 --seed 42" in found
    assert "5 seen to work, 1 did not fire" in found


def test_the_sub_history_lines_up(runs: Path) -> None:
    lines = told(runs / "violation").splitlines()
    start = lines.index("SUB-HISTORY OF LINEARIZABILITY")
    head, *rows = lines[start + 2 : start + 6]
    for column in ("node", "operation", "began", "ended"):
        at = head.index(column)
        assert all(row[at] != " " and row[at - 1] == " " for row in rows), column
    assert [row.strip().startswith(">") for row in rows] == [False, False, True]
    assert [row.index("[") for row in rows] == sorted(row.index("[") for row in rows)


def test_the_headline_leaves_the_assumptions_to_their_own_place(runs: Path) -> None:
    run = recording(runs / "valid")
    [wrong] = [one for one in run.verdict.assumptions if not one.held]
    long = msgspec.structs.replace(run.verdict, sentence=f"All is well ({wrong.name}: {wrong.sentence}; more: of it)")
    assert summary.headline(dataclasses.replace(run, verdict=long)) == "All is well"
    assert summary.headline(run) == run.verdict.sentence


def test_evidence_that_cannot_be_read_does_not_hide_the_verdict() -> None:
    check = Check(name="log matching", validity=Validity.INVALID, sentence="two logs differ", operations=({"term": 3},))
    assert summary.story(check) == ()


def operation(invoke_s: float, return_s: float | None, type: EventType = EventType.OK) -> Operation:
    return Operation(0, "read", "k", None, 0, invoke_s, type, return_s=return_s)


def test_bars_show_what_overlaps_and_what_has_no_end() -> None:
    these = [operation(0, 2), operation(1, 3, EventType.INFO), operation(2.5, 4)]
    assert [bar.rstrip() for bar in text.overlap(these)] == [
        "[=====]",
        "   [=============>",
        "         [=====]",
    ]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.000123, "0.12 ms"),
        (0.00231, "2.31 ms"),
        (0.0543, "54.3 ms"),
        (0.814, "814 ms"),
        (2.9, "2.90 s"),
        (30, "30.0 s"),
    ],
)
def test_durations_have_three_digits(seconds: float, expected: str) -> None:
    assert milliseconds(seconds) == expected


def test_a_terminal_gets_no_commands_from_a_run(tmp_path: Path) -> None:
    hostile(tmp_path / "run")
    files.write(tmp_path / "run")
    assert "\x1b" not in told(tmp_path / "run")
    assert "\\x1b[31m" in told(tmp_path / "run")


@pytest.mark.parametrize(
    ("kind", "failures", "errors"), [("valid", 0, 0), ("violation", 1, 0), ("unknown", 0, 1), ("empty", 0, 1)]
)
def test_junit_counts(runs: Path, kind: str, failures: int, errors: int) -> None:
    suite = ElementTree.parse(runs / kind / files.JUNIT).getroot()
    cases = suite.findall("testcase")
    assert suite.tag == "testsuite"
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == (
        str(len(cases)),
        str(failures),
        str(errors),
    )
    assert (len(suite.findall("testcase/failure")), len(suite.findall("testcase/error"))) == (failures, errors)
    assert cases


def test_junit_tells_the_sentence_and_the_run(runs: Path) -> None:
    suite = ElementTree.parse(runs / "violation" / files.JUNIT).getroot()
    [failure] = suite.findall("testcase/failure")
    properties = {found.get("name"): found.get("value") for found in suite.findall("properties/property")}
    assert (failure.get("message") or "").startswith("n4 returned ")
    assert "--replay" in (failure.text or "")
    assert (properties["seed"], properties["system"]) == ("42", "dkv")
    assert properties["command"] == "dkv-harness chaos --nodes 5 --time 30 --seed 42"


def test_junit_is_xml_whatever_a_run_says(tmp_path: Path) -> None:
    hostile(tmp_path / "run")
    suite = ElementTree.fromstring(junit.render(recording(tmp_path / "run"), ""))
    [failure] = suite.findall("testcase/failure")
    assert failure.get("message") == HOSTILE.replace("\x00", "\\x00").replace("\x1b", "\\x1b")


def fault(phase: Phase, at_s: float, fired: bool | None = None, detail: str = "") -> FaultRecord:
    return FaultRecord(fault=3, kind="kill", phase=phase, began_s=at_s, ended_s=at_s + 0.5, fired=fired, detail=detail)


@pytest.mark.parametrize(
    ("records", "healed_s", "fired"),
    [
        ([fault(Phase.INJECT, 1)], None, None),
        ([fault(Phase.INJECT, 1), fault(Phase.PROBE, 2, True), fault(Phase.HEAL, 3)], 3.5, True),
        ([fault(Phase.INJECT, 1), fault(Phase.PROBE, 2, False), fault(Phase.HEAL, 3)], 3.5, False),
        ([fault(Phase.INJECT, 1), fault(Phase.PROBE, 2, None), fault(Phase.HEAL, 3)], 3.5, None),
        ([fault(Phase.INJECT, 1, False, "taken")], 1.5, False),
    ],
)
def test_bands_join_the_phases_of_a_fault(
    records: list[FaultRecord], healed_s: float | None, fired: bool | None
) -> None:
    [band] = bands(records)
    assert (band.began_s, band.set_s, band.healed_s, band.fired) == (1, 1.5, healed_s, fired)


def test_torn_ends_of_files_are_passed_over(runs: Path) -> None:
    whole = {path.name: path.read_bytes() for path in (runs / "valid").glob("*.jsonl")}
    torn = {name: content[:-9] for name, content in whole.items()}
    assert len(parse("run", torn).operations) == len(parse("run", whole).operations)
    assert len(parse("run", torn).samples) == len(parse("run", whole).samples) - 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("faults.jsonl", b'{"fault": "x"}\n'),
        ("verdict.json", b"{"),
        ("history.jsonl", b'{"format":"dkv-history","version":99}\n'),
    ],
)
def test_a_file_that_is_none_of_ours_is_refused_by_name(name: str, content: bytes) -> None:
    with pytest.raises(Refused, match=name):
        parse("run", {name: content})


def test_the_verb(tmp_path: Path) -> None:
    synthetic.write(tmp_path / "run", duration_s=3)
    done = CliRunner().invoke(report, [str(tmp_path / "run")])
    assert done.exit_code == 0
    assert done.output.startswith("VALID\n")
    assert {files.PAGE, files.TEXT, files.JUNIT} <= set(os.listdir(tmp_path / "run"))
    done = CliRunner().invoke(report, [str(tmp_path / "run"), "-o", "json"])
    assert json.loads(done.output)["report"] == str(tmp_path / "run" / files.PAGE)
    done = CliRunner().invoke(report, [str(tmp_path), "-o", "json"])
    assert (done.exit_code, json.loads(done.output)["ok"]) == (1, False)
