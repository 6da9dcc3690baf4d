"""The command line, from arguments to exit code."""

from __future__ import annotations

import json
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from dkv.client.commands import commands


def run(*args: str, input: str | bytes | None = None, env: dict[str, str] | None = None) -> Result:
    group = click.Group("dkv", commands=commands())
    return CliRunner().invoke(group, list(args), input=input, env=env, prog_name="dkv")


def script(node: Any, status: int = 200, **body: Any) -> None:
    node.script = [type(node.script[0])(status, body or {"val": "v", "revision": 7, "found": True})]


def refuse(node: Any, status: int, code: str, outcome: str = "not_applied", **more: Any) -> None:
    script(node, status, error=f"It says {code}.", code=code, outcome=outcome, **more)


@pytest.mark.parametrize(
    ("args", "text", "document"),
    [
        (["get", "k"], "v\n", {"key": "k", "val": "v", "revision": 7}),
        (["set", "k", "v", "--cas", "0", "--ttl", "5"], "ok, revision 7\n", {"key": "k", "revision": 7}),
        (["delete", "k"], "ok, deleted\n", {"key": "k", "found": True}),
        (["remove", "n4"], "ok, n4 is removed\n", {"val": "v", "revision": 7, "found": True}),
        (["transfer", "n4"], "ok, the leadership is handed over\n", {"val": "v", "revision": 7, "found": True}),
    ],
)
def test_text_and_json(node: Any, args: list[str], text: str, document: Any) -> None:
    plain = run(*args, "-n", node.address)
    assert (plain.exit_code, plain.stdout, plain.stderr) == (0, text, "")
    as_json = run(*args, "-o", "json", env={"DKV_NODES": f"{node.address},{node.address}"})
    assert (as_json.exit_code, json.loads(as_json.stdout)) == (0, document)


def test_leave_asks_the_node_itself(node: Any) -> None:
    script(node, nodes=[{"name": "n4", "rest": node.address}])
    left = run("leave", "n4", "-n", node.address)
    assert (left.exit_code, left.stdout) == (0, "ok, n4 leaves\n")
    assert [seen.path for seen in node.seen] == ["/nodes", "/leave"]
    stranger = run("leave", "n9", "-n", node.address)
    assert (stranger.exit_code, stranger.stdout) == (1, "")
    assert "No node is called 'n9'; nothing was changed" in stranger.stderr


def test_value_from_standard_input(node: Any) -> None:
    assert run("set", "k", "-", "-n", node.address, input="two\nlines\n").exit_code == 0
    assert node.seen[0].command["val"] == "two\nlines\n"
    binary = run("set", "k", "-", "-n", node.address, input=b"\xff")
    assert binary.exit_code == 2
    assert "not UTF-8 at byte 0" in binary.stderr
    huge = run("set", "k", "-", "-n", node.address, input=b"x" * (4 * 1024 * 1024 + 1))
    assert huge.exit_code == 2
    assert len(node.seen) == 1


def test_missing_key(node: Any) -> None:
    refuse(node, 404, "KEY_NOT_FOUND")
    got = run("get", "k", "-n", node.address)
    assert (got.exit_code, got.stdout) == (1, "")
    assert got.stderr == "dkv: key 'k' has no value [KEY_NOT_FOUND]\n"
    deleted = run("delete", "k", "-n", node.address)
    assert (deleted.exit_code, deleted.stdout) == (0, "ok, there was no such key\n")


@pytest.mark.parametrize(
    ("status", "code", "outcome", "exit_code"),
    [
        (409, "CAS_MISMATCH", "not_applied", 1),
        (413, "TOO_LARGE", "not_applied", 1),
        (500, "INTERNAL", "unknown", 3),
        (503, "LEADERSHIP_LOST", "unknown", 3),
    ],
)
def test_exit_codes(node: Any, status: int, code: str, outcome: str, exit_code: int) -> None:
    refuse(node, status, code, outcome)
    result = run("set", "k", "v", "-n", node.address, "--timeout", "0.3")
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert f"It says {code}." in result.stderr
    assert node.address in result.stderr
    assert result.stderr.count("\n") == 1


def test_nobody_there(dead_address: str) -> None:
    result = run("get", "k", "-n", dead_address, "--timeout", "0.2")
    assert (result.exit_code, result.stdout) == (4, "")
    assert f"{dead_address} cannot be reached" in result.stderr


@pytest.mark.parametrize(
    "args",
    [
        ["get"],
        ["get", "k", "--level", "sometimes"],
        ["get", "k", "-n", "here"],
        ["get", "k", "-n", ","],
        ["get", "k", "--timeout", "0"],
        ["set", "k", "v", "--cas", "-1"],
        ["set", "k", "v", "--ttl", "0"],
    ],
)
def test_wrong_usage(args: list[str]) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert "Error: " in result.stderr


def test_status_asks_each_node_and_tells_of_the_dead(node: Any, dead_address: str) -> None:
    script(node, id="n1", role="leader", term=3, peers=[{"id": "n2"}], applied_index=12)
    result = run("status", "-n", f"{node.address},{dead_address}")
    assert result.exit_code == 0
    head, _, first, second = result.stdout.splitlines()
    assert head.split() == ["node", "id", "role", "term", "applied_index", "error"]
    assert first.split() == [node.address, "n1", "leader", "3", "12", "-"]
    assert second.split()[:5] == [dead_address, "-", "-", "-", "-"]
    assert "cannot be reached" in second
    assert run("status", "-n", dead_address).exit_code == 4
    document = json.loads(run("status", "-n", node.address, "-o", "json").stdout)
    assert document[0]["peers"] == [{"id": "n2"}]


def test_tables_line_up(node: Any) -> None:
    first = {"name": "n1", "rest": "127.0.0.1:1", "voter": True}
    second = {"name": "longer", "rest": "[::1]:22222", "voter": False}
    script(node, cluster="c", nodes=[first, second])
    result = run("nodes", "-n", node.address, "--no-color")
    lines = result.stdout.splitlines()
    assert [line.split() for line in (lines[0], *lines[2:])] == [
        ["name", "rest", "voter"],
        ["n1", "127.0.0.1:1", "yes"],
        ["longer", "[::1]:22222", "no"],
    ]
    assert lines[0].index("rest") == lines[2].index("127.0.0.1:1") == lines[3].index("[::1]")
    assert "\x1b" not in result.stdout


def test_nodes_shows_what_gossip_says_beside_the_members(node: Any) -> None:
    seen = {"status": "alive", "since_s": 3.0, "address": "127.0.0.1:40001"}
    members = [{"id": "n1", "voter": True, "gossip": seen}, {"id": "n2", "voter": True, "gossip": None}]
    others = [{"name": "a1", "address": "127.0.0.1:7946", "status": "failed", "tags": {}}]
    script(node, members=members, others=others, autopilot=[{"member": "n2"}])
    lines = run("nodes", "-n", node.address, "--no-color").stdout.splitlines()
    assert [line.split() for line in (lines[0], *lines[2:])] == [
        ["id", "voter", "gossip"],
        ["n1", "yes", "alive"],
        ["n2", "yes", "-"],
        ["a1", "-", "failed"],
    ]
    document = json.loads(run("nodes", "-n", node.address, "-o", "json").stdout)
    assert document["members"][0]["gossip"] == seen


def test_status_counts_the_members_of_gossip(node: Any) -> None:
    script(node, id="n1", gossip={"members": {"alive": 4, "leaving": 0, "left": 0, "failed": 1}})
    lines = run("status", "-n", node.address, "--no-color").stdout.splitlines()
    assert lines[0].split() == ["node", "id", "gossip"]
    assert "4 alive, 1 failed" in lines[2]


def test_leader(node: Any) -> None:
    script(node, id="n2", rest="127.0.0.1:30002")
    result = run("leader", "-n", node.address)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].split() == ["n2", "127.0.0.1:30002"]


@pytest.mark.parametrize("command", commands(), ids=lambda command: str(command.name))
def test_help_teaches(command: click.Command) -> None:
    result = run(str(command.name), "--help")
    assert result.exit_code == 0
    assert "Example" in result.stdout
    assert f"dkv {command.name}" in result.stdout
    assert "DKV_NODES" in result.stdout
    assert "Exit codes" in result.stdout
