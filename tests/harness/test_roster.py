"""Who is started with which flags."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from harness import roster
from harness.errors import Refused, UsageError

THREE = roster.new_roster(3, 0, ("dkv", "serve"))


def joins(of: roster.Roster, name: str) -> list[str]:
    """The values of ``--join`` on that node's command line."""
    command = roster.serve_command(of, name, "/data")
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


def test_the_command_line() -> None:
    assert roster.serve_command(THREE, "n1", "/data") == [
        *("dkv", "serve", "--id", "n1", "--rest", "127.0.0.1:30001", "--raft", "127.0.0.1:50001"),
        *("--data-dir", "/data"),
    ]


def test_names_are_never_used_twice() -> None:
    smaller = roster.without_node(THREE, "n3")
    grown, node = roster.with_new_node(smaller, 100)
    assert node == roster.Node("n4", "127.0.0.1:30104", "127.0.0.1:50104")
    assert grown.names == ("n1", "n2", "n4")


def test_a_roster_survives_the_way_through_its_file() -> None:
    assert roster.decode(roster.encode(THREE)) == THREE


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1, "nodes": 3}', '{"format": 99}'])
def test_a_damaged_file_is_refused(text: str) -> None:
    with pytest.raises(Refused, match=r"cluster\.json"):
        roster.decode(text)


@pytest.mark.parametrize("count", [0, 100])
def test_the_number_of_nodes_is_bounded(count: int) -> None:
    with pytest.raises(UsageError, match="1 to 99"):
        roster.new_roster(count, 0, ("dkv",))
