"""Reports of synthetic runs, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.report import files
from tests.harness.report import synthetic


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of every kind of run, each with its reports."""
    root = tmp_path_factory.mktemp("runs")
    synthetic.write_all(root)
    for run in root.iterdir():
        files.write(run)
    return root
