"""The whole testbed on real processes: a short run is valid and leaves its files, again; a broken node is found."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

TIMEOUT_S = 110.0
FILES = ("manifest.json", "plan.json", "operations.jsonl", "history.jsonl", "faults.jsonl", "nodes.jsonl")
FORGETFUL = """
from dkv.__main__ import main
from dkv.kv.state_machine import KeyValue

delete = KeyValue._delete
KeyValue._delete = lambda self, command: delete(self, command) if self.count % 2 else self._get(command)
main()
"""
"""A node that forgets some deletes, though it says that it did them."""


def chaos(path: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Exit code and what it told."""
    command = [sys.executable, "-m", "harness", "chaos", "--out", str(path), "--output", "json", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    lines = done.stdout.splitlines()
    assert lines, done.stderr
    told: dict[str, Any] = json.loads(lines[-1])
    return done.returncode, told


def test_a_short_run_is_valid_and_is_done_again(tmp_path: Path) -> None:
    options = ("--nodes", "3", "--time", "8", "--seed", "7", "--faults", "kill,partition", "--network", "hook")
    code, told = chaos(tmp_path / "run", *options)
    assert (code, told["validity"]) == (0, "valid"), told
    assert told["statistics"]["ok"] > 0
    assert "linearizability" in {check["name"] for check in told["checks"]}
    for name in (*FILES, "verdict.json", "report.html", "report.txt", "junit.xml"):
        assert (tmp_path / "run" / name).stat().st_size > 0, name
    code, told = chaos(tmp_path / "again", "--replay", str(tmp_path / "run"))
    assert (code, told["validity"]) == (0, "valid"), told
    for name in ("plan.json", "operations.jsonl"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "run" / name).read_bytes(), name


def test_a_broken_node_is_found_while_the_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "node.py").write_text(FORGETFUL)
    node = shlex.join([sys.executable, str(tmp_path / "node.py"), "serve"])
    options = ("--nodes", "3", "--time", "40", "--seed", "2", "--faults", "none", "--network", "hook")
    code, told = chaos(tmp_path / "run", "--node-command", node, *options)
    assert (code, told["validity"]) == (1, "invalid"), told
    (found,) = [check for check in told["checks"] if check["name"] == "linearizability"]
    assert found["validity"] == "invalid"
    assert found["sentence"]
    assert 1 <= len(found["operations"]) <= 8
    assert told["statistics"]["elapsed_s"] < 40
