"""Real nodes that are told to suffer, by their fault ports: cuts, and clocks that lie."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.processes import Process, eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

NAMES = ("n1", "n2", "n3")


class Victim(Process):
    """A node with a fault port; its first line says where."""

    def __init__(self, directory: Path, name: str, *flags: str) -> None:
        super().__init__(directory, name, *flags, "--fault-port", "0")
        assert self.child.stdout is not None
        self.port = json.loads(self.child.stdout.readline())["port"]

    def wait_ready(self) -> Victim:
        super().wait_ready()
        assert self.ready["fault_port"] == self.port
        return self

    def faults(self, method: str, path: str = "/faults", body: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            reply = connection.getresponse()
            document = json.loads(reply.read())
            assert reply.status == 200, document
            return document
        finally:
            connection.close()

    def cut_off_from(self, *names: str) -> None:
        silence = {"send": {"cut": True}, "receive": {"cut": True}}
        self.faults("PUT", "/faults/links", dict.fromkeys(names, silence))

    def leader(self) -> str | None:
        leader = self.ask("GET", "/status").json["leader"]
        return None if leader is None else str(leader["id"])

    def try_get(self, key: str, timeout_s: float) -> tuple[int, Any]:
        """(status, value or code) of a linearizable read."""
        connection = http.client.HTTPConnection(self.ready["rest"], timeout=60)
        try:
            connection.request("GET", f"/v1/kv/{key}", headers={"X-DKV-Timeout": str(timeout_s)})
            reply = connection.getresponse()
            document = json.loads(reply.read())
            return reply.status, document.get("val", document.get("code"))
        finally:
            connection.close()

    def read(self, key: str) -> Any:
        """As ``get``, as often as it takes: an election, or a message that was lost, may be in the way."""
        answers: list[tuple[int, Any]] = []

        def ask() -> bool:
            answers.append(self.try_get(key, 5.0))
            return answers[-1][0] == 200

        eventually(ask, True)
        return answers[-1][1]


@pytest.fixture
def victims(tmp_path: Path) -> Iterator[dict[str, Victim]]:
    """Three voters, n1 the first to lead; all are killed at the end."""
    nodes: dict[str, Victim] = {}
    try:
        nodes["n1"] = Victim(tmp_path, "n1").wait_ready()
        for name in NAMES[1:]:
            nodes[name] = Victim(tmp_path, name, "--join", nodes["n1"].ready["gossip"])
        for name in NAMES[1:]:
            nodes[name].wait_ready()
        for node in nodes.values():
            eventually(node.voters, list(NAMES))
        yield nodes
    finally:
        for node in nodes.values():
            node.close()


def put(node: Victim, key: str, value: str) -> None:
    """Until it is acknowledged: an election may be on its way."""
    eventually(lambda: node.ask("PUT", f"/v1/kv/{key}?forward=1", value).status, 200)


def level(nodes: dict[str, Victim]) -> bool:
    digests = {json.dumps([d["index"], d["digest"]]) for d in (n.ask("GET", "/hashkv").json for n in nodes.values())}
    return len(digests) == 1


def test_a_leader_that_is_cut_off_neither_leads_nor_answers_and_follows_after_the_heal(
    victims: dict[str, Victim],
) -> None:
    put(victims["n1"], "a", "1")
    old = victims.pop(str(victims["n1"].leader()))
    try:
        for node in victims.values():
            node.cut_off_from(old.name)
        old.cut_off_from(*victims)
        one, other = victims.values()
        eventually(lambda: one.leader() in victims and one.leader() == other.leader(), True)
        put(one, "a", "2")
        status, code = old.try_get("a", 1.0)
        assert (status, code) in {(503, "NO_LEADER"), (504, "TIMEOUT")}
        assert [one.read("a"), other.read("a")] == ["2", "2"]
        assert old.ask("GET", "/v1/kv/a?level=none").json["val"] == "1", "its own state is as old as the cut"
        assert old.faults("GET")["effects"]
        for node in victims.values():  # the cut is one for gossip as well
            eventually(lambda node=node: node.gossip()[old.name], "failed")
        assert one.voters() == [*NAMES], "to be silent costs no vote"
    finally:
        victims[old.name] = old
    for node in victims.values():
        assert node.faults("DELETE")["links"] == {}
    eventually(lambda: old.leader() in victims and old.leader() != old.name, True)
    assert old.read("a") == "2"
    for node in victims.values():
        eventually(node.gossip, dict.fromkeys(NAMES, "alive"))
    put(old, "b", "3")
    eventually(lambda: level(victims), True)


def test_clocks_that_lie_break_no_linearizable_read(victims: dict[str, Victim]) -> None:
    leader = victims[str(victims["n1"].leader())]
    follower = next(node for node in victims.values() if node is not leader)
    follower.faults("PUT", "/faults/clock", {"monotonic": {"rate": 3.0}, "wall": {"jump_s": -3600}})
    for number in range(40):
        put(victims["n1"], "a", str(number))
        if number % 10 == 5:
            leader.faults("PUT", "/faults/clock", {"monotonic": {"jump_s": 10.0}})
        for node in victims.values():
            assert node.read("a") == str(number), f"{node.name} at {number}"
    assert follower.faults("GET")["clock"]["monotonic"]["rate"] == 3.0
    assert leader.faults("GET")["clock"]["monotonic"]["offset_s"] > 30
    for node in victims.values():
        node.faults("DELETE")
    eventually(lambda: level(victims), True)


def test_the_fault_port_answers_while_a_node_waits_to_be_let_in(tmp_path: Path) -> None:
    node = Victim(tmp_path, "n1", "--join", "127.0.0.1:1")
    try:
        assert node.faults("GET")["links"] == {}
        node.cut_off_from("n2")
        assert "n2" in node.faults("GET")["links"]
        assert node.end() == 0
        assert "fault port open" in node.output()
    finally:
        node.close()


def test_messages_that_are_lost_doubled_and_overtaken_harm_nobody(victims: dict[str, Victim]) -> None:
    shape = {"delay_s": 0.002, "jitter_s": 0.01, "loss": 0.1, "duplicate": 0.2, "reorder": 0.3}
    for node in victims.values():
        rules = {name: {"send": shape} for name in victims if name != node.name}
        node.faults("PUT", "/faults/links", rules)
    for number in range(25):
        put(victims["n2"], f"key{number % 7}", str(number))
        assert victims["n3"].read(f"key{number % 7}") == str(number)
    done = [
        effect for node in victims.values() for effects in node.faults("GET")["effects"].values() for effect in effects
    ]
    assert {"send lost", "send doubled", "send overtaken"} <= {*done}
    for node in victims.values():
        node.faults("DELETE")
    eventually(lambda: level(victims), True)
