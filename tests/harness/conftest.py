"""A run directory for each test."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.command import Harness


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    """An empty run directory; whatever a failed test leaves running is ended by process id."""
    harness = Harness(tmp_path / "run")
    yield harness
    harness.run("down")
    for process in harness.processes():
        process.send_signal(signal.SIGKILL)
