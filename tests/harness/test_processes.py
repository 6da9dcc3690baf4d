"""The command line against real processes (fake nodes): every verb, and that nothing is ever left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from harness.errors import WRONG_USAGE
from tests.harness.command import FAKE_NODE, PORT_OFFSET, VERB_S, Harness

pytestmark = pytest.mark.slow


def until_gone(harness: Harness) -> list[psutil.Process]:
    """What is still there of the run directory's processes after a generous while."""
    deadline = time.monotonic() + VERB_S
    while (left := harness.processes()) and time.monotonic() < deadline:
        psutil.wait_procs(left, timeout=0.2)
    return left


def until_serving(harness: Harness, up: subprocess.Popen[str]) -> None:
    """Read a foreground ``up``'s output as far as its first document."""
    assert up.stdout is not None
    line = up.stdout.readline()
    assert '"ok": true' in line, line
    assert harness.status()["health"] == "healthy"


def foreground(harness: Harness) -> subprocess.Popen[str]:
    command = harness.command("-o", "json", "up", "2", "--node-command", FAKE_NODE, "--port-offset", PORT_OFFSET)
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_up_down_and_up_again_from_the_data(harness: Harness) -> None:
    begun = harness.up("3").last
    assert (begun["health"], begun["can_lose"], begun["resumed"]) == ("healthy", 1, False)
    assert begun["first_write_s"] > 0
    assert harness.up().code == 1  # one cluster a directory
    assert harness.run("down").code == 0
    assert until_gone(harness) == []
    assert harness.run("status").code == 1
    assert harness.up("2").code == 1  # it has three nodes
    again = harness.up().last
    assert again["resumed"] is True
    assert [node["url"] for node in again["nodes"]] == [node["url"] for node in begun["nodes"]]
    assert harness.run("clean").code == 1
    harness.run("down")
    assert harness.run("clean").code == 0
    assert not harness.directory.exists()


def test_kill_start_pause_resume_restart(harness: Harness) -> None:
    leader = harness.up("3").last["leader"]
    killed = harness.run("-o", "json", "kill", "leader").last
    assert killed["leader"] != leader
    assert harness.node(leader)["state"] == "killed"
    assert harness.run("kill", leader).code == 1  # it is dead already
    assert harness.run("-o", "json", "start", leader).last["health"] == "healthy"
    follower = harness.run("-o", "json", "pause", "follower").last
    assert sorted(node["state"] for node in follower["nodes"]) == ["paused", "running", "running"]
    assert harness.run("-o", "json", "resume", "all").last["health"] == "healthy"
    before = {node["name"]: node["pid"] for node in harness.status()["nodes"]}
    after = harness.run("-o", "json", "restart", "all").last
    assert all(before[node["name"]] != node["pid"] for node in after["nodes"])
    assert harness.run("kill", "n9").code == WRONG_USAGE
    assert harness.run("kill", "n1", "--signal", "LOUD").code == WRONG_USAGE


def test_a_paused_node_can_be_stopped(harness: Harness) -> None:
    harness.up("2")
    harness.run("pause", "n2")
    assert harness.run("-o", "json", "stop", "n2").last["done"][0].startswith("stopped n2")
    assert harness.node("n2")["state"] == "stopped"


def test_growing_and_shrinking(harness: Harness) -> None:
    harness.up("2")
    assert harness.run("-o", "json", "add").last["voters"] == ["n1", "n2", "n3"]
    assert harness.run("-o", "json", "transfer", "n3").last["leader"] == "n3"
    assert harness.run("-o", "json", "leave", "n2").last["voters"] == ["n1", "n3"]
    assert harness.run("-o", "json", "remove", "n1").last["voters"] == ["n3"]
    assert harness.run("-o", "json", "add").last["voters"] == ["n3", "n4"]
    assert harness.run("remove", "n2").code == 1


def test_a_node_that_refuses_to_leave(harness: Harness) -> None:
    harness.environ["FAKE_REFUSE_LEAVE"] = "1"
    harness.up("1")
    done = harness.run("leave", "n1")
    assert done.code == 1
    assert "the last voter stays (MEMBERSHIP_REFUSED)" in done.err


def test_a_node_that_dies_at_start_shows_its_last_words(harness: Harness) -> None:
    harness.environ["FAKE_DIE_AT_START"] = "n2"
    done = harness.up("3")
    assert done.code == 1
    assert "n2 ended with exit code 3" in done.last["error"]
    assert "this disk is on fire" in done.last["error"]
    assert until_gone(harness) == []


def test_two_clusters_do_not_meet_even_while_one_stands_still(harness: Harness, tmp_path: Path) -> None:
    first = harness.up("2").last
    harness.run("stop", "all")
    other = Harness(tmp_path / "other")
    try:
        second = other.up("2").last
    finally:
        other.run("down")
    assert not {node["url"] for node in first["nodes"]} & {node["url"] for node in second["nodes"]}


def test_a_stranger_on_a_nodes_port_is_never_taken_for_it(harness: Harness) -> None:
    url: str = harness.up("1").last["nodes"][0]["url"]
    harness.run("down")
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", int(url.rpartition(":")[2])))
        stranger.listen()
        done = harness.up()
    assert done.code == 1
    assert "is taken by another process" in done.last["error"]


def test_logs(harness: Harness) -> None:
    harness.up("2")
    lines = harness.run("-o", "json", "logs", "n2").lines
    assert [line["node"] for line in lines] == ["n2", "n2"]
    assert "ready" in lines[-1]["line"]
    harness.run("down")
    assert "stopped" in harness.run("logs", "-n", "1", "n1").out
    assert harness.run("logs", "n9").code == WRONG_USAGE


def test_following_a_log(harness: Harness) -> None:
    harness.up("2")
    follower = subprocess.Popen(harness.command("logs", "-f", "-n", "1", "n2"), stdout=subprocess.PIPE, text=True)
    assert follower.stdout is not None
    with follower.stdout as out:
        assert "ready" in out.readline()
        harness.run("stop", "n2")
        assert "stopped" in out.readline()
        follower.send_signal(signal.SIGINT)
        assert follower.wait(VERB_S) != 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_foreground_stops_everything_in_order(harness: Harness, number: int) -> None:
    up = foreground(harness)
    until_serving(harness, up)
    up.send_signal(number)
    out, _ = up.communicate(timeout=VERB_S)
    assert up.returncode == 0
    assert "stopped; the data stays" in out
    assert until_gone(harness) == []


def test_no_orphan_when_the_foreground_is_killed(harness: Harness) -> None:
    up = foreground(harness)
    until_serving(harness, up)
    harness.run("restart", "n2")  # started by another command: its parent is the supervisor all the same
    assert len(harness.processes()) == 4
    up.kill()
    up.communicate()
    assert until_gone(harness) == []
    assert harness.up().last["resumed"] is True


def test_no_orphan_when_the_supervisor_is_killed(harness: Harness) -> None:
    harness.up("2")
    supervisor = next(process for process in harness.processes() if "harness.supervisor" in process.cmdline())
    os.kill(supervisor.pid, signal.SIGKILL)
    assert until_gone(harness) == []
    assert harness.run("status").code == 1


def test_the_foreground_tells_what_other_commands_do(harness: Harness) -> None:
    up = foreground(harness)
    until_serving(harness, up)
    harness.run("kill", "n2")
    assert up.stdout is not None
    told = [up.stdout.readline()]
    while "n2 was killed" not in told[-1]:  # a survey may see the node fall silent before the supervisor reaped it
        told.append(up.stdout.readline())
        assert told[-1] != "", told
    harness.run("down")
    out, _ = up.communicate(timeout=VERB_S)
    assert "stopped by another command" in out
    assert up.returncode == 0
