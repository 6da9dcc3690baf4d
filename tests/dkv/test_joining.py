"""Whom a newcomer was told to join: kept from its first start on."""

from __future__ import annotations

from pathlib import Path

import pytest

from dkv.errors import StartupError
from dkv.files import OS_FILES
from dkv.joining import recall_targets


def test_what_was_told_once_is_told_again(tmp_path: Path) -> None:
    path = tmp_path / "join.json"
    assert recall_targets(path, [], OS_FILES) == ()
    assert not path.exists()
    assert recall_targets(path, ["127.0.0.1:40001"], OS_FILES) == ("127.0.0.1:40001",)
    assert recall_targets(path, [], OS_FILES) == ("127.0.0.1:40001",)
    assert recall_targets(path, ["127.0.0.1:40002", "[::1]:40003"], OS_FILES) == ("127.0.0.1:40002", "[::1]:40003")
    assert recall_targets(path, [], OS_FILES) == ("127.0.0.1:40002", "[::1]:40003")


@pytest.mark.parametrize("content", [b"", b"[", b"{}", b"[1]", b"\xff"])
def test_whoever_cannot_know_does_not_found(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "join.json"
    path.write_bytes(content)
    with pytest.raises(StartupError, match="does not say whom to join"):
        recall_targets(path, [], OS_FILES)


def test_what_cannot_be_kept_is_not_begun(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"join\.json"):
        recall_targets(tmp_path / "missing" / "join.json", ["127.0.0.1:1"], OS_FILES)
