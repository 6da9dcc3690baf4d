"""``locust -f loadtests/`` as people type it, against fake nodes, while one of them dies."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

FAKE_NODE = Path(__file__).parent.parent / "harness" / "fake_node.py"
PORT_OFFSET = str(1000 + os.getpid() % 30 * 100)
RUN_S = 90.0


def harness(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness", "--dir", str(directory), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=RUN_S, check=False)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "run"
    node_command = shlex.join([sys.executable, str(FAKE_NODE)])
    assert (
        harness(directory, "up", "3", "-d", "--node-command", node_command, "--port-offset", PORT_OFFSET).returncode
        == 0
    )
    yield directory
    harness(directory, "down")


def locust(directory: Path, seconds: int, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "locust", "-f", "loadtests/", "--headless", "-u", "5", "-r", "5", "--only-summary"]
    return subprocess.Popen(
        [*command, "-t", f"{seconds}s", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "DKV_RUN_DIR": str(directory)},
    )


def test_a_quiet_run_has_no_failures(cluster: Path) -> None:
    run = locust(cluster, 3)
    out, _ = run.communicate(timeout=RUN_S)
    assert run.returncode == 0, out
    assert "no failures" in out
    assert "dkv: 3 nodes" in out
    assert all(name in out for name in ("kv:get", "kv:set", "load generator: "))


def test_a_dead_leader_is_failures_by_code_and_the_run_goes_on(cluster: Path) -> None:
    run = locust(cluster, 6, "WriteHeavyUser")
    harness(cluster, "kill", "leader")
    out, _ = run.communicate(timeout=RUN_S)
    assert "Traceback" not in out
    assert "dkv: 3 nodes" in out
    table = out.partition("dkv: 3 nodes")[2]
    codes = {line.split()[2] for line in table.partition("code\n")[2].splitlines() if line.startswith("kv:")}
    assert codes <= {"UNREACHABLE", "UNKNOWN_OUTCOME", "NO_LEADER", "TIMEOUT", "NOT_LEADER"}


def test_without_a_cluster_it_says_what_to_do(tmp_path: Path) -> None:
    run = locust(tmp_path, 3)
    out, _ = run.communicate(timeout=RUN_S)
    assert run.returncode == 1
    assert "start one with `dkv-harness up`" in out
