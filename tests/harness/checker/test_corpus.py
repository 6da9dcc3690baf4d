"""Public histories with known verdicts, see ``corpus/README.md``."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import checking
from harness.history import files
from harness.history.operations import pair

CORPUS = Path(__file__).parent.parent / "corpus"
ROWS = [line.split("\t") for line in (CORPUS / "verdicts.tsv").read_text().splitlines()[1:]]


def test_it_is_whole() -> None:
    assert len(ROWS) == 56
    assert {row[2] for row in ROWS} == {"yes", "no"}


@pytest.mark.parametrize(("name", "operations", "linearizable"), ROWS, ids=[row[0] for row in ROWS])
def test_verdict(name: str, operations: str, linearizable: str) -> None:
    assert len(pair(files.read(CORPUS / name).events)) == int(operations)
    verdict = checking.check_file(CORPUS / name)
    assert checking.exit_code([verdict]) == {"yes": 0, "no": 1}[linearizable]
    for explanation in verdict.explanations:
        assert 0 < len(explanation.operations) <= 8
        assert explanation.sentence
