"""The plugin, as other people's tests use it: a valid test passes, a broken node fails it with all that one needs."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from dkv.client import DkvError
from harness.pytest_plugin import MakeCluster
from tests.system.test_chaos import FORGETFUL

pytestmark = pytest.mark.slow

THEIRS = """
def test_theirs(dkv_cluster):
    cluster = dkv_cluster(n=1, node_command={command!r}, port_offset=4600)
    with cluster.client() as client:
        for number in range(20):
            client.set(f"k{{number}}", f"v{{number}}")
            client.set(f"other{{number}}", "v")
            client.delete(f"k{{number}}")
            client.get(f"k{{number}}")
    cluster.history.assert_linearizable()
"""


def test_faults_by_plan_and_by_hand(dkv_cluster: MakeCluster) -> None:
    cluster = dkv_cluster(n=3, faults="kill,pause", seed=3, time_s=10.0, port_offset=4500)
    done = 0
    with cluster.client(timeout_s=10.0) as client, cluster.client(timeout_s=10.0) as other:
        for number in range(150):
            try:
                client.set(f"k{number % 5}", f"v{number}")
                assert other.get(f"k{number % 5}") == f"v{number}"
                done += 1
            except DkvError:
                continue  # recorded; what became of it is the checker's business
        cluster.heal()
        cluster.cluster.kill("leader", 9)
        client.set("k0", "after")
        assert other.get("k0") == "after"
    verdict = cluster.history.assert_linearizable()
    assert done > 0
    assert {"linearizable", "crashes"} <= {check.name for check in verdict.checks}
    assert verdict.statistics["operations"] >= 2 * done


def test_a_failure_says_the_sentence_the_report_and_the_command(tmp_path: Path) -> None:
    (tmp_path / "node.py").write_text(FORGETFUL)
    command = shlex.join([sys.executable, str(tmp_path / "node.py"), "serve"])
    (tmp_path / "test_theirs.py").write_text(THEIRS.format(command=command))
    run = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--basetemp", str(tmp_path / "base")]
    done = subprocess.run([*run, "test_theirs.py"], cwd=tmp_path, capture_output=True, text=True, timeout=110)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "although the key had been deleted" in done.stdout, done.stdout
    assert "again:  pytest test_theirs.py::test_theirs" in done.stdout
    (page,) = tmp_path.glob("base/**/report.html")
    assert str(page) in done.stdout
