"""Which command line starts a node of which system, where."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from harness import roster
from harness.command_lines import command_line
from harness.roster import Place

THREE = roster.new_roster(3, 0, ("dkv", "serve"))


def joins(of: roster.Roster, name: str) -> list[str]:
    """The values of ``--join`` on that node's command line."""
    command = command_line(of, name, "/data")
    return [value for flag, value in pairwise(command) if flag == "--join"]


@pytest.mark.parametrize(
    ("founded", "name", "expected"),
    [
        (False, "n1", []),
        (False, "n2", ["127.0.0.1:30001"]),
        (False, "n3", ["127.0.0.1:30001"]),
        (True, "n1", ["127.0.0.1:30002", "127.0.0.1:30003"]),
        (True, "n3", ["127.0.0.1:30001", "127.0.0.1:30002"]),
    ],
)
def test_only_the_first_node_founds_and_only_once(founded: bool, name: str, expected: list[str]) -> None:
    assert joins(replace(THREE, founded=founded), name) == expected


def test_dkv() -> None:
    assert command_line(THREE, "n1", "/data") == [
        *("dkv", "serve", "--id", "n1", "--rest", "127.0.0.1:30001", "--raft", "127.0.0.1:50001"),
        *("--data-dir", "/data"),
    ]


def test_a_fault_port_where_it_was_asked_for() -> None:
    broken = roster.new_roster(3, 200, ("dkv", "serve"), fault_ports=True)
    assert command_line(broken, "n2", "/data")[-2:] == ["--fault-port", "20202"]
    grown, node = roster.with_new_node(broken, 200)
    assert node.fault == "127.0.0.1:20204"
    assert "--fault-port" in command_line(grown, "n4", "/data")


def test_a_node_starts_where_it_lives() -> None:
    away = roster.new_roster(2, 0, ("dkv", "serve"), places=lambda number: Place(f"10.0.0.{number}", ("enter", "it")))
    command = command_line(away, "n2", "/data")
    assert command[:4] == ["enter", "it", "dkv", "serve"]
    assert "10.0.0.2:30002" in command
    assert joins(away, "n2") == ["10.0.0.1:30001"]


def test_etcd() -> None:
    two = roster.new_roster(2, 0, ("/usr/bin/etcd",), system="etcd")
    flags = dict(pairwise(command_line(two, "n2", "/data")))
    assert flags["--name"] == "n2"
    assert flags["--data-dir"] == "/data"
    assert flags["--listen-client-urls"] == flags["--advertise-client-urls"] == "http://127.0.0.1:30002"
    assert flags["--listen-peer-urls"] == flags["--initial-advertise-peer-urls"] == "http://127.0.0.1:50002"
    assert flags["--initial-cluster"] == "n1=http://127.0.0.1:50001,n2=http://127.0.0.1:50002"
