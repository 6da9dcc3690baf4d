"""Gossip on the command line, with fake nodes: whom a node is told of, by which key, and how it is shown."""

from __future__ import annotations

import shutil

import pytest

from harness.rundir import RunDir
from tests.harness.command import Harness

pytestmark = pytest.mark.slow


def told_of(harness: Harness, name: str) -> str:
    """By the last line with which the node started: whom it was told of."""
    lines = [line["line"] for line in harness.run("-o", "json", "logs", name).lines]
    return next(line for line in reversed(lines) if "told of" in line).partition("told of ")[2].partition(",")[0]


def test_a_restarted_node_is_told_of_nobody_and_a_wiped_one_of_the_others(harness: Harness) -> None:
    harness.up("3")
    assert told_of(harness, "n1") == "nobody"
    assert told_of(harness, "n2") != "nobody"
    assert told_of(harness, "n3") != "nobody"
    harness.run("restart", "all")
    assert {told_of(harness, name) for name in ("n1", "n2", "n3")} == {"nobody"}
    harness.run("stop", "n1")
    shutil.rmtree(RunDir(harness.directory).data("n1"))
    harness.run("start", "n1")
    assert told_of(harness, "n1") != "nobody"
    harness.run("down")
    harness.up()
    assert {told_of(harness, name) for name in ("n1", "n2", "n3")} == {"nobody"}
    harness.run("add")
    assert told_of(harness, "n4") != "nobody"


def test_a_key_for_all_nodes(harness: Harness) -> None:
    harness.up("2", "--gossip-key")
    key = RunDir(harness.directory).gossip_key.read_text().strip()
    assert all(f"key: {key}" in harness.run("logs", name).out for name in ("n1", "n2"))
    harness.run("down")
    harness.up()
    assert harness.run("logs", "n1").out.count(f"key: {key}") == 2
    harness.run("down")
    harness.run("clean")
    assert not harness.directory.exists()
    harness.up("1")
    assert "key: none" in harness.run("logs", "n1").out
    harness.run("down")
    assert "gossips without a key" in harness.up("--gossip-key").last["error"]


def test_status_tells_how_gossip_sees_each_node_and_who_else_is_there(harness: Harness) -> None:
    harness.up("3")
    harness.run("kill", "n3")
    status = harness.status()
    assert [node["gossip"] for node in status["nodes"]] == [
        {"alive": ["n2"]},
        {"alive": ["n1"]},
        {"failed": ["n1", "n2"]},
    ]
    shown = harness.run("status").out
    assert "failed" in next(line for line in shown.splitlines() if line.startswith("n3"))
    assert [decision["reason"] for decision in status["autopilot"]] == ["it left"]
    assert "autopilot: remove n9 (12:00), because it left" in shown
    assert "gossip knows agent too, which is no node here: alive, 127.0.0.1:7946, role=web" in shown


def test_a_cluster_of_an_older_version(harness: Harness) -> None:
    harness.directory.mkdir()
    (harness.directory / "cluster.json").write_text('{"format": 1, "nodes": []}')
    for verb in ("up", "status"):
        done = harness.run(verb)
        assert done.code == 1
        assert "started by an older version, whose nodes do not gossip: `dkv-harness clean` deletes it" in done.err
    assert harness.run("clean").code == 0
