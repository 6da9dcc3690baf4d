"""Bytecode is there after ``keep``, and where it cannot be kept that is said."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from harness.bench import bytecode


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One of a single module, which ``keep`` looks after instead of ours."""
    place = tmp_path / "seldom_imported"
    place.mkdir()
    (place / "__init__.py").write_text("VALUE = 1\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(bytecode, "PACKAGES", ("seldom_imported",))
    importlib.invalidate_caches()
    return place / "__init__.py"


def test_what_was_never_imported_is_compiled(package: Path) -> None:
    assert bytecode.keep() == ""
    assert Path(importlib.util.cache_from_source(str(package))).is_file()


def test_what_cannot_be_compiled_is_told(package: Path) -> None:
    package.write_text("VALUE = (\n")
    assert "each start of a node compiled it" in bytecode.keep()
