"""The lock that says whether a cluster runs, and what ``clean`` may delete."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest

from harness import roster, rundir
from harness.errors import Refused
from harness.rundir import RunDir


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    directory = RunDir(tmp_path / "run")
    directory.save(roster.new_roster(2, 0, ("dkv", "serve")))
    return directory


def test_the_lock_names_its_holder_and_ends_with_it(run_dir: RunDir) -> None:
    assert run_dir.supervisor_pid() is None
    lock = run_dir.take_lock()
    assert lock is not None
    assert run_dir.supervisor_pid() == os.getpid()
    assert run_dir.take_lock() is None
    os.close(lock)
    assert run_dir.supervisor_pid() is None


def test_clean_spares_what_the_harness_did_not_make(run_dir: RunDir) -> None:
    (run_dir.path / "thesis.txt").write_text("mine")
    run_dir.data("n1").mkdir(parents=True)
    run_dir.remove()
    assert [path.name for path in run_dir.path.iterdir()] == ["thesis.txt"]
    assert run_dir.load() is None


def test_clean_removes_an_empty_directory(run_dir: RunDir) -> None:
    run_dir.remove()
    assert not run_dir.path.exists()


def test_a_running_cluster_is_not_deleted(run_dir: RunDir) -> None:
    lock = run_dir.take_lock()
    assert lock is not None
    with pytest.raises(Refused, match="is running"):
        run_dir.remove()
    os.close(lock)


@pytest.mark.parametrize(
    ("count", "start", "expected"),
    [(2, 0, ["two", "three"]), (9, 0, ["one", "two", "three"]), (9, 4, ["two", "three"]), (0, 0, [])],
)
def test_the_end_of_a_log(run_dir: RunDir, count: int, start: int, expected: list[str]) -> None:
    run_dir.log("n1").parent.mkdir(parents=True)
    run_dir.log("n1").write_text("one\ntwo\nthree\n")
    assert run_dir.log_tail("n1", count, start) == expected


def test_a_cluster_of_an_older_version_can_be_deleted(run_dir: RunDir) -> None:
    (run_dir.path / "cluster.json").write_text('{"format": 1}')
    with pytest.raises(Refused, match="older version"):
        run_dir.load()
    assert run_dir.is_used
    run_dir.remove()
    assert not run_dir.is_used


def test_a_gossip_key_is_its_owners_alone(run_dir: RunDir) -> None:
    run_dir.make_gossip_key()
    first = run_dir.gossip_key.read_text()
    assert len(base64.b64decode(first)) == 32
    assert stat.S_IMODE(run_dir.gossip_key.stat().st_mode) == 0o600
    run_dir.make_gossip_key()
    assert run_dir.gossip_key.read_text() != first
    run_dir.remove()
    assert not run_dir.path.exists()


def test_a_node_without_data_is_new_whatever_is_left_of_it(run_dir: RunDir) -> None:
    assert run_dir.is_empty("n1")
    assert not run_dir.was_ready("n1")
    run_dir.data("n1").mkdir(parents=True)
    assert run_dir.is_empty("n1")
    (run_dir.data("n1") / "log.db").touch()
    run_dir.out("n1").write_text('{"event": "fault_port", "port": 20001}\n')
    assert not run_dir.is_empty("n1")
    assert not run_dir.was_ready("n1")
    run_dir.out("n1").write_text('{"event": "fault_port", "port": 20001}\n{"event": "ready", "id": "n1"}\n')
    assert run_dir.was_ready("n1")


def test_where_the_run_directory_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DKV_RUN_DIR", raising=False)
    assert rundir.find(None).path == tmp_path / ".dkv"
    monkeypatch.setenv("DKV_RUN_DIR", str(tmp_path / "a"))
    assert rundir.find(None).path == tmp_path / "a"
    assert rundir.find(str(tmp_path / "b")).path == tmp_path / "b"
