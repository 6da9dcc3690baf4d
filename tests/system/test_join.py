"""Nodes that find each other by gossip: through whom they join, how they are missed, how they are found again."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.processes import PATIENCE_S, Process, Start, cluster, eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SERF = shutil.which("serf")
KEY = "MDEyMzQ1Njc4OWFiY2RlZg=="


class Agent:
    """A plain ``serf agent``, a member of the cluster of ``contact``."""

    def __init__(self, directory: Path, name: str, port: int, contact: str) -> None:
        assert SERF is not None
        self.address, self._rpc = f"127.0.0.1:{port}", f"127.0.0.1:{port + 1}"
        self._log = (directory / f"{name}.log").open("wb")
        flags = [f"-node={name}", f"-bind={self.address}", f"-rpc-addr={self._rpc}", f"-join={contact}"]
        self._process = subprocess.Popen(
            [SERF, "agent", "-profile=local", *flags], stdout=self._log, stderr=subprocess.STDOUT
        )

    def ask(self, *words: str) -> str:
        assert SERF is not None
        command = [SERF, words[0], f"-rpc-addr={self._rpc}", *words[1:]]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False).stdout

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()


@pytest.fixture
def start_agent(tmp_path: Path, unused_ports: Callable[[], int]) -> Iterator[Callable[[str, str], Agent]]:
    if SERF is None:
        pytest.skip("no `serf` on this machine (Debian: apt-get install serf)")
    agents: list[Agent] = []

    def begin(name: str, contact: str) -> Agent:
        agents.append(Agent(tmp_path, name, unused_ports(), contact))
        return agents[-1]

    yield begin
    for agent in agents:
        agent.close()


def nodes(of: Process) -> Any:
    return of.ask("GET", "/nodes").json


def said(process: Process, *words: str) -> Callable[[], bool]:
    return lambda: all(word in process.output() for word in words)


def test_through_any_member(start: Start) -> None:
    first, second = cluster(start, 2)
    third = start("n3", "--join", second.ready["gossip"])
    for node in (first, second, third):
        eventually(node.voters, ["n1", "n2", "n3"])
        eventually(node.gossip, {"n1": "alive", "n2": "alive", "n3": "alive"})
    shown = nodes(first)
    places = {each["id"]: each["gossip"]["address"] for each in shown["members"]}
    assert places == {node.name: node.ready["gossip"] for node in (first, second, third)}
    decided = [(each["member"], each["decision"]) for each in shown["autopilot"]]
    assert decided == [("n2", "promote"), ("n3", "promote")]
    assert "alive for 0.3 s" in shown["autopilot"][0]["reason"]
    assert first.ask("GET", "/status").json["gossip"]["members"]["alive"] == 3


def test_through_a_plain_agent(start: Start, start_agent: Callable[[str, str], Agent]) -> None:
    first = start("n1")
    agent = start_agent("a1", first.ready["gossip"])
    second = start("n2", "--join", agent.address)
    for node in (first, second):
        eventually(node.voters, ["n1", "n2"])
        eventually(node.gossip, {"n1": "alive", "n2": "alive", "a1": "alive"})
    assert [(other["name"], other["address"]) for other in nodes(first)["others"]] == [("a1", agent.address)]
    seen = agent.ask("members")
    assert f"id={second.ready['identity']}" in seen
    assert f"cluster={second.ready['cluster']}" in seen
    agent.ask("leave")
    eventually(first.gossip, {"n1": "alive", "n2": "alive", "a1": "left"})
    assert first.voters() == ["n1", "n2"]


def test_who_leaves_is_left_and_never_failed_and_may_come_back(start: Start, tmp_path: Path) -> None:
    first, second, third = cluster(start, 3)
    assert third.ask("POST", "/leave").json == {"left": True}
    assert third.wait() == 0
    eventually(first.gossip, {"n1": "alive", "n2": "alive", "n3": "left"})
    eventually(second.gossip, {"n1": "alive", "n2": "alive", "n3": "left"})
    assert first.voters() == ["n1", "n2"]
    for node in (first, second):
        assert '"status":"failed"' not in node.output()
    shutil.rmtree(tmp_path / "n3")
    again = start("n3", "--join", second.ready["gossip"])
    for node in (first, second, again):
        eventually(node.voters, ["n1", "n2", "n3"])
        eventually(node.gossip, {"n1": "alive", "n2": "alive", "n3": "alive"})


def test_who_is_told_to_leave_by_serf_leaves_the_cluster(start: Start, tmp_path: Path) -> None:
    if SERF is None:
        pytest.skip("no `serf` on this machine (Debian: apt-get install serf)")
    first, second, _ = cluster(start, 3)
    fourth = start("n4", "--join", first.ready["gossip"], "--gossip-rpc", "127.0.0.1:0")
    eventually(first.voters, ["n1", "n2", "n3", "n4"])
    subprocess.run([SERF, "leave", f"-rpc-addr={fourth.ready['gossip_rpc']}"], timeout=PATIENCE_S, check=True)
    assert fourth.wait() == 0
    for node in (first, second):
        eventually(node.voters, ["n1", "n2", "n3"])
        eventually(lambda node=node: node.gossip()["n4"], "left")


def test_who_is_killed_has_failed_and_keeps_its_vote(start: Start) -> None:
    first, second, third = cluster(start, 3)
    third.end(signal.SIGKILL)
    for node in (first, second):
        eventually(node.gossip, {"n1": "alive", "n2": "alive", "n3": "failed"})
        assert node.voters() == ["n1", "n2", "n3"]
    again = start("n3")
    for node in (first, second, again):
        eventually(node.gossip, {"n1": "alive", "n2": "alive", "n3": "alive"})
    assert [each["decision"] for each in nodes(first)["autopilot"]] == ["promote", "promote"]


def test_who_is_dead_for_long_enough_is_removed(start: Start, tmp_path: Path) -> None:
    (tmp_path / "dkv.toml").write_text("[autopilot]\nremove_failed_after_s = 3.0\n")
    told = ("--config", str(tmp_path / "dkv.toml"))
    first = start("n1", *told)
    others = [start(name, "--join", first.ready["gossip"], *told) for name in ("n2", "n3")]
    eventually(first.voters, ["n1", "n2", "n3"])
    others[1].end(signal.SIGKILL)
    eventually(first.voters, ["n1", "n2"])
    last = nodes(first)["autopilot"][-1]
    assert (last["member"], last["decision"]) == ("n3", "remove")
    assert "no sign of life for 3 s" in last["reason"]
    eventually(lambda: first.gossip()["n3"], "left")
    first.put("a", "1")


@pytest.mark.parametrize("known_by", ["gossip", "disk"])
def test_all_are_killed_and_find_each_other(start: Start, tmp_path: Path, known_by: str) -> None:
    for node in cluster(start, 3):
        node.end(signal.SIGKILL)
    for name in ("n1", "n2", "n3"):
        if known_by == "gossip":
            (tmp_path / name / "members.json").unlink()
        else:
            (tmp_path / name / "serf.snapshot").unlink()
    again = [start(name, wait=False) for name in ("n1", "n2", "n3")]
    again = [node.wait_ready() for node in again]
    again[0].put("a", "1")
    assert [node.get("a") for node in again] == ["1"] * 3
    if known_by == "gossip":
        for node in again:
            eventually(node.gossip, {"n1": "alive", "n2": "alive", "n3": "alive"})


def test_who_moved_all_its_ports_is_found_again(start: Start, tmp_path: Path) -> None:
    first, second, third = cluster(start, 3)
    third.end(signal.SIGKILL)
    (tmp_path / "n3" / "ports.json").unlink()
    moved = start("n3")
    assert not {moved.ready[port] for port in ("rest", "raft", "gossip")} & set(third.ready.values())
    for node in (first, second, moved):
        eventually(node.gossip, {"n1": "alive", "n2": "alive", "n3": "alive"})
        eventually(lambda node=node: [each["raft"] for each in nodes(node)["members"]][2], moved.ready["raft"])
    first.put("a", "1")
    assert moved.get("a") == "1"


def test_a_newcomer_that_finds_nobody_says_what_it_wants_and_tries_on(start: Start) -> None:
    first = start("n1")
    lost = start("n2", "--join", first.ready["rest"], wait=False)
    eventually(said(lost, f"no member answers at {first.ready['rest']}", "--join wants the gossip address"), True)
    assert lost.child.poll() is None
    lost.child.send_signal(signal.SIGTERM)
    assert lost.wait() == 0


def test_newcomers_alone_wait_for_a_founder(start: Start) -> None:
    first = start("n1", "--join", "127.0.0.1:1", wait=False)
    eventually(said(first, "no member answers at 127.0.0.1:1"), True)
    assert first.child.poll() is None


def test_a_directory_that_was_begun_by_joining_never_founds(start: Start) -> None:
    nobody = "no member answers at 127.0.0.1:1"
    told = start("n1", "--join", "127.0.0.1:1", wait=False)
    eventually(said(told, nobody), True)
    told.end(signal.SIGKILL)
    once = told.output().count(nobody)
    again = start("n1", wait=False)
    eventually(lambda: again.output().count(nobody) > once, True)
    assert again.child.poll() is None
    assert "founding" not in again.output()


def test_without_the_key_nobody_comes_in(start: Start, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    keyed = ("--gossip-key", str(tmp_path / "key"))
    first = start("n1", *keyed)
    stranger = start("n2", "--join", first.ready["gossip"], wait=False)
    friend = start("n3", "--join", first.ready["gossip"], *keyed)
    eventually(first.voters, ["n1", "n3"])
    eventually(said(stranger, "--gossip-key"), True)
    assert first.gossip() == {"n1": "alive", "n3": "alive"}
    refused = first.ask("GET", "/status").json["gossip"]["refused"]
    assert sum(refused.values()) > 0
    assert friend.gossip() == first.gossip()


def test_a_name_that_is_taken(start: Start, tmp_path: Path) -> None:
    first, second = cluster(start, 2)
    thief = start("n2", "--join", first.ready["gossip"], "--data-dir", str(tmp_path / "thief"), wait=False)
    assert thief.wait() == 2
    assert "A node named n2 is alive in this cluster" in (tmp_path / "n2.log").read_text()
    eventually(first.gossip, {"n1": "alive", "n2": "alive"})
    assert first.voters() == ["n1", "n2"]
    second.put("a", "1")
    give_up = time.monotonic() + 1.0
    while time.monotonic() < give_up:
        assert second.gossip()["n2"] == "alive"
