"""Which command line starts a node of which system, where."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from harness import roster
from harness.command_lines import Home, command_line
from harness.roster import Place

THREE = roster.new_roster(3, 0, ("dkv", "serve"))
NEW = Home("/data")
SETTLED = Home("/data", settled=True)


def told_of(of: roster.Roster, name: str, home: Home) -> list[str]:
    """The contacts on that node's command line."""
    joins = [value for flag, value in pairwise(command_line(of, name, home)) if flag == "--join"]
    return joins[0].split(",") if joins else []


@pytest.mark.parametrize(
    ("founded", "name", "home", "expected"),
    [
        (False, "n1", NEW, []),
        (False, "n2", NEW, ["127.0.0.1:40001"]),
        (False, "n3", NEW, ["127.0.0.1:40002"]),
        (False, "n3", SETTLED, []),
        (True, "n1", NEW, ["127.0.0.1:40002", "127.0.0.1:40003"]),
        (True, "n3", NEW, ["127.0.0.1:40001", "127.0.0.1:40002"]),
        (True, "n1", SETTLED, []),
        (True, "n3", SETTLED, []),
    ],
)
def test_only_the_first_node_founds_and_only_once(founded: bool, name: str, home: Home, expected: list[str]) -> None:
    assert told_of(replace(THREE, founded=founded), name, home) == expected


def test_dkv() -> None:
    assert command_line(THREE, "n1", NEW) == [
        *("dkv", "serve", "--id", "n1", "--rest", "127.0.0.1:30001", "--raft", "127.0.0.1:50001"),
        *("--data-dir", "/data"),
        *("--gossip", "127.0.0.1:40001", "--gossip-profile", "local", "--gossip-rpc", "127.0.0.1:45001"),
    ]


def test_a_key_where_it_was_asked_for() -> None:
    home = Home("/data", "/run/gossip.key", settled=True)
    assert "--gossip-key" not in command_line(THREE, "n2", home)
    assert command_line(replace(THREE, encrypted=True), "n2", home)[-2:] == ["--gossip-key", "/run/gossip.key"]


def test_a_fault_port_where_it_was_asked_for() -> None:
    broken = roster.new_roster(3, 200, ("dkv", "serve"), fault_ports=True)
    assert command_line(broken, "n2", NEW)[-2:] == ["--fault-port", "20202"]
    grown, node = roster.with_new_node(broken, 200)
    assert node.fault == "127.0.0.1:20204"
    assert "--fault-port" in command_line(grown, "n4", NEW)


def test_a_node_starts_where_it_lives() -> None:
    away = roster.new_roster(2, 0, ("dkv", "serve"), places=lambda number: Place(f"10.0.0.{number}", ("enter", "it")))
    command = command_line(away, "n2", NEW)
    assert command[:4] == ["enter", "it", "dkv", "serve"]
    assert {"10.0.0.2:30002", "10.0.0.2:40002", "10.0.0.2:45002"} <= set(command)
    assert told_of(away, "n2", NEW) == ["10.0.0.1:40001"]


def test_etcd() -> None:
    two = roster.new_roster(2, 0, ("/usr/bin/etcd",), system="etcd")
    flags = dict(pairwise(command_line(two, "n2", NEW)))
    assert flags["--name"] == "n2"
    assert flags["--data-dir"] == "/data"
    assert flags["--listen-client-urls"] == flags["--advertise-client-urls"] == "http://127.0.0.1:30002"
    assert flags["--listen-peer-urls"] == flags["--initial-advertise-peer-urls"] == "http://127.0.0.1:50002"
    assert flags["--initial-cluster"] == "n1=http://127.0.0.1:50001,n2=http://127.0.0.1:50002"
