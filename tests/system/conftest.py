"""A testbed for each test, ended whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.testbed import Testbed


@pytest.fixture
def testbed(tmp_path: Path) -> Iterator[Testbed]:
    """Nothing runs yet."""
    testbed = Testbed(tmp_path / "run")
    yield testbed
    testbed.down()
