"""Who is in the cluster, by which name, and that its file says so."""

from __future__ import annotations

import json

import pytest

from harness import roster
from harness.errors import Refused, UsageError

THREE = roster.new_roster(3, 0, ("dkv", "serve"))


def test_names_are_never_used_twice() -> None:
    smaller = roster.without_node(THREE, "n3")
    grown, node = roster.with_new_node(smaller, 100)
    assert node == roster.Node("n4", "127.0.0.1:30104", "127.0.0.1:50104", "127.0.0.1:40104", "127.0.0.1:45104")
    assert grown.names == ("n1", "n2", "n4")


@pytest.mark.parametrize(
    "of",
    [
        THREE,
        roster.new_roster(
            2, 0, ("etcd",), system="etcd", fault_ports=True, places=lambda _: roster.Place("10.0.0.1", ("enter",))
        ),
    ],
)
def test_a_roster_survives_the_way_through_its_file(of: roster.Roster) -> None:
    assert roster.decode(roster.encode(of)) == of


def test_a_cluster_from_before_nodes_gossiped_is_refused_with_what_to_do() -> None:
    node = {"name": "n1", "rest": "127.0.0.1:30001", "raft": "127.0.0.1:50001"}
    old = {"format": 1, "command": ["dkv"], "nodes": [node], "next_number": 2, "offset": 0, "founded": True}
    with pytest.raises(Refused, match=r"started by an older version.* `dkv-harness clean` deletes it"):
        roster.decode(json.dumps(old))


def test_etcd_does_not_gossip() -> None:
    (node,) = roster.new_roster(1, 0, ("etcd",), system="etcd").nodes
    assert node.addresses == ("127.0.0.1:30001", "127.0.0.1:50001")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2, "nodes": 3}', '{"format": 99}', '{"format": "1"}'])
def test_a_damaged_file_is_refused(text: str) -> None:
    with pytest.raises(Refused, match=r"cluster\.json"):
        roster.decode(text)


@pytest.mark.parametrize("count", [0, 100])
def test_the_number_of_nodes_is_bounded(count: int) -> None:
    with pytest.raises(UsageError, match="1 to 99"):
        roster.new_roster(count, 0, ("dkv",))
