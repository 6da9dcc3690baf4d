"""Where the load goes."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from harness import roster
from harness.rundir import RunDir
from loadtests.kv.targets import NoCluster, find_nodes


def test_several_hosts_are_taken_as_they_are() -> None:
    nodes = find_nodes("http://127.0.0.1:1, 127.0.0.1:2", None, random.Random(0))
    assert nodes.known == ("127.0.0.1:1", "127.0.0.1:2")


def test_the_run_directory_names_the_nodes(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    run_dir.save(roster.new_roster(2, 0, ("dkv",)))
    lock = run_dir.take_lock()
    assert lock is not None
    try:
        nodes = find_nodes(None, str(tmp_path), random.Random(0))
    finally:
        os.close(lock)
    assert nodes.known == ("127.0.0.1:30001", "127.0.0.1:30002")


def test_a_stopped_cluster_is_no_target(tmp_path: Path) -> None:
    RunDir(tmp_path).save(roster.new_roster(2, 0, ("dkv",)))
    with pytest.raises(NoCluster, match="dkv-harness up"):
        find_nodes(None, str(tmp_path), random.Random(0))


@pytest.mark.parametrize("host", ["nowhere", "127.0.0.1:9", "ftp://x:1"])
def test_a_host_that_is_none(host: str) -> None:
    with pytest.raises(NoCluster):
        find_nodes(host, None, random.Random(0))
