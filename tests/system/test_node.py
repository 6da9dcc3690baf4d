"""Nodes as processes: founding, joining, coming back, leaving, and the ways in which they refuse."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.processes import PATIENCE_S, Start, cluster, eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def test_one_node_keeps_its_data_and_its_identity(start: Start, tmp_path: Path) -> None:
    node = start("n1")
    assert set(node.ready) == {"event", "id", "identity", "cluster", "rest", "gossip", "raft", "pid", "leader"}
    node.put("a", "1")
    assert (tmp_path / "n1").stat().st_mode & 0o777 == 0o700
    assert node.ask("GET", "/readyz?verbose").json["checks"]["read"] == "ok"
    assert node.end() == 0
    # A node that knows where it belongs asks nobody to be let in; its ports are those of its former life.
    again = start("n1", "--join", "127.0.0.1:1")
    assert {**again.ready, "pid": 0} == {**node.ready, "pid": 0}
    assert again.get("a") == "1"
    assert again.end(signal.SIGKILL) == -signal.SIGKILL
    assert start("n1").get("a") == "1"


def test_a_node_alone_refuses_to_leave(start: Start) -> None:
    node = start("n1")
    reply = node.ask("POST", "/leave")
    assert (reply.status, reply.json["code"]) == (409, "MEMBERSHIP_REFUSED")
    node.put("a", "1")


def test_refusals_are_one_line_and_exit_code_2(start: Start, tmp_path: Path) -> None:
    start("n1")
    (tmp_path / "file").write_text("")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cases = {
            "no-name": (["--id", ""], "--id is needed"),
            "name": (["--id", "n 1"], "a node's name"),
            "rest": (["--rest", f"127.0.0.1:{port}"], "address already in use"),
            "raft": (["--raft", f"127.0.0.1:{port}"], "cannot listen"),
            "gossip": (["--gossip", f"127.0.0.1:{port}"], f"cannot listen on 127.0.0.1:{port} for gossip"),
            "rpc": (["--gossip-rpc", f"127.0.0.1:{port}"], f"127.0.0.1:{port}"),
            "key": (["--gossip-key", str(tmp_path / "file")], "serf keygen"),
            "profile": (["--gossip-profile", "moon"], "expected one of lan, wan, local"),
            "locked": (["--data-dir", str(tmp_path / "n1")], "in use by another process"),
            "file": (["--data-dir", str(tmp_path / "file")], "File exists"),
            "config": (["--config", str(tmp_path / "none.toml")], "No such file"),
            "level": (["--log-level", "loud"], "expected one of"),
        }
        begun = {case: start(case, *flags, wait=False) for case, (flags, _) in cases.items()}
        for case, process in begun.items():
            assert process.wait() == 2, process.output()
            refusal = [line for line in process.output().splitlines() if line.startswith("dkv: ")]
            assert len(refusal) == 1, process.output()
            assert cases[case][1].lower() in refusal[0].lower()


def test_somebody_elses_directory_is_refused(start: Start, tmp_path: Path) -> None:
    assert start("n1").end() == 0
    thief = start("n2", "--data-dir", str(tmp_path / "n1"), wait=False)
    assert thief.wait() == 2
    assert "belongs to node n1, not to n2" in thief.output()


def test_optimised_python_is_refused() -> None:
    command = [sys.executable, "-O", "-m", "dkv", "serve", "--id", "n1", "--data-dir", "/nowhere"]
    refusal = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (refusal.returncode, refusal.stdout) == (2, "")
    assert "python -O" in refusal.stderr


BROKEN_START = """
import sys
from dkv.__main__ import main
from dkv.errors import FatalError
from dkv.raft.storage import Storage

def fail(self, data):
    raise FatalError("a commit failed")

Storage.write_identity = fail
sys.argv = ["dkv", "serve", *sys.argv[1:]]
main()
"""


def test_a_disk_that_fails_while_a_node_starts_ends_it_as_a_broken_one(tmp_path: Path) -> None:
    ports = [flag for door in ("rest", "raft", "gossip") for flag in (f"--{door}", "127.0.0.1:0")]
    command = [sys.executable, "-c", BROKEN_START, "--id", "n1", "--data-dir", str(tmp_path / "n1"), *ports]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert ended.returncode == 70, ended.stderr
    assert "dkv: this node is broken and stops: a commit failed" in ended.stderr


def test_three_nodes_serve_at_each_and_survive_kill_9_of_all(start: Start) -> None:
    nodes = cluster(start, 3)
    nodes[0].put("a", "1")
    assert [node.get("a") for node in nodes] == ["1"] * 3
    redirect = nodes[1].ask("PUT", "/v1/kv/a", "2")
    assert (redirect.status, redirect.json["code"]) == (307, "NOT_LEADER")
    assert redirect.headers["Location"] == f"http://{nodes[0].ready['rest']}/v1/kv/a"
    nodes[2].put("b", "2")
    for node in nodes:
        os.kill(node.child.pid, signal.SIGKILL)
    for node in nodes:
        node.wait()
    again = [start(f"n{number}", wait=False) for number in (1, 2, 3)]
    again = [node.wait_ready() for node in again]
    eventually(lambda: [node.ask("GET", "/v1/kv/b").status for node in again], [200] * 3)
    assert [node.get("a") for node in again] == ["1"] * 3
    again[1].put("c", "3")
    digests = [node.ask("GET", "/hashkv").json for node in again if node.get("c")]
    assert len({(digest["index"], digest["digest"]) for digest in digests}) == 1


def test_leaving_and_being_removed(start: Start) -> None:
    nodes = cluster(start, 3)
    nodes[0].put("a", "1")
    assert nodes[0].ask("POST", "/leave").json == {"left": True}
    assert nodes[0].wait() == 0
    eventually(nodes[1].voters, ["n2", "n3"])
    leader = nodes[1].ask("GET", "/leader").json["id"]
    keeper, goer = (nodes[1], nodes[2]) if leader == "n2" else (nodes[2], nodes[1])
    assert keeper.ask("DELETE", f"/nodes/{keeper.name}").status == 409  # a leader transfers first
    assert keeper.ask("DELETE", f"/nodes/{goer.name}").json == {"node": goer.name, "removed": True}
    assert goer.wait() == 0
    assert "removed from the cluster" in goer.output()
    eventually(keeper.voters, [keeper.name])
    assert keeper.get("a") == "1"
    keeper.put("a", "2")


def test_a_wiped_node_comes_back_under_a_new_identity(start: Start, tmp_path: Path) -> None:
    nodes = cluster(start, 3)
    nodes[0].put("a", "1")
    nodes[2].end(signal.SIGKILL)
    (tmp_path / "n3").rename(tmp_path / "away")
    wiped = start("n3", "--join", nodes[0].ready["gossip"])
    assert wiped.ready["identity"] != nodes[2].ready["identity"]
    assert wiped.ready["cluster"] == nodes[2].ready["cluster"]
    for node in (nodes[0], nodes[1], wiped):
        eventually(node.voters, ["n1", "n2", "n3"])
    members = {member["identity"] for member in nodes[0].ask("GET", "/nodes").json["members"]}
    assert wiped.ready["identity"] in members
    assert nodes[2].ready["identity"] not in members
    assert wiped.get("a") == "1"


def test_a_node_that_moved_is_found_again(start: Start) -> None:
    nodes = cluster(start, 3)
    nodes[2].end()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    moved = start("n3", rest=f"127.0.0.1:{free}")
    assert moved.ready["rest"] == f"127.0.0.1:{free}" != nodes[2].ready["rest"]

    def known() -> list[str]:
        return [member["rest"] for member in nodes[0].ask("GET", "/nodes").json["members"]]

    eventually(lambda: moved.ready["rest"] in known(), True)
    nodes[0].put("a", "1")
    assert moved.get("a") == "1"


def test_garbage_on_the_raft_port_hurts_nobody(start: Start) -> None:
    node = start("n1")
    host, _, port = node.ready["raft"].rpartition(":")
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x80\x04\x95cos\nsystem\n.", os.urandom(4096)):
        with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as stranger:
            stranger.sendall(garbage)
    node.put("a", "1")
    assert node.end(signal.SIGINT) == 0
