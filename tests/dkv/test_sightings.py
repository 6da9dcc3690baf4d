"""Tags: what a node writes others read, and what is no node's is nobody's."""

from __future__ import annotations

from typing import Any

import pytest

from dkv.addresses import Address
from dkv.gossip.agent.views import MemberView
from dkv.gossip.wire.internal_queries import Status
from dkv.gossip.wire.particulars import Address as GossipAddress
from dkv.gossip.wire.tags import encode_tags
from dkv.joining import MemberInfo
from dkv.search import search
from dkv.sightings import Sighting, sighting, sightings, tags_of

N1 = MemberInfo("n1.0000000a", "n1", "127.0.0.1:30001", "127.0.0.1:50001")
TARGET = Address("127.0.0.1", 40001)


def view(info: MemberInfo, cluster: str = "", *, port: int = 40001, **more: Any) -> MemberView:
    given = {"tags": tags_of(info, "1", cluster), "status": Status.ALIVE, "name": info.name, **more}
    return MemberView(given["name"], GossipAddress("127.0.0.1", port), given["tags"], given["status"], 7.0)


def agent(name: str) -> MemberView:
    return MemberView(name, GossipAddress("127.0.0.1", 7946), {}, Status.ALIVE, 7.0)


def node(number: int, cluster: str = "", **more: Any) -> MemberView:
    info = MemberInfo(f"n{number}.0000000a", f"n{number}", f"127.0.0.1:3000{number}", f"127.0.0.1:5000{number}")
    return view(info, cluster, port=40000 + number, **more)


def test_what_a_node_says_is_what_others_read() -> None:
    assert sighting(view(N1, "c1")) == Sighting(N1, "c1", Status.ALIVE, 7.0)
    assert sighting(view(N1)) == Sighting(N1, "", Status.ALIVE, 7.0)


def test_the_longest_names_have_room() -> None:
    name = "n" * 64
    info = MemberInfo(f"{name}.0000000a", name, f"{'h' * 60}:30001", f"{'h' * 60}:50001")
    assert encode_tags(tags_of(info, "100.100.100", "c" * 16))


@pytest.mark.parametrize(
    "wrong",
    [
        {"tags": {}},
        {"tags": {**tags_of(N1, "1"), "role": "consul"}},
        {"tags": {**tags_of(N1, "1"), "id": "n1"}},
        {"tags": {**tags_of(N1, "1"), "id": "n2.0000000a"}},
        {"tags": {**tags_of(N1, "1"), "rest": "here"}},
        {"tags": {**tags_of(N1, "1"), "raft": "127.0.0.1:0"}},
        {"tags": {"role": "dkv"}},
        {"name": "n2"},
    ],
)
def test_who_does_not_say_who_it_is_is_a_stranger(wrong: dict[str, Any]) -> None:
    assert sightings([view(N1, **wrong), view(N1)]) == [Sighting(N1, "", Status.ALIVE, 7.0)]


@pytest.mark.parametrize(
    ("views", "rest"),
    [
        pytest.param([node(1, "c1")], "1", id="the one that was named"),
        pytest.param([agent("a1"), node(2, "c1"), node(3, "c1"), node(4)], "23", id="through a plain agent"),
        pytest.param([node(1, "c1"), node(2, "c2"), node(3, "c1")], "13", id="the cluster of the one that was named"),
        pytest.param([node(2, "c1"), node(3, "c1", status=Status.FAILED)], "2", id="the living"),
    ],
)
def test_a_newcomer_asks_the_members_of_the_cluster(views: list[MemberView], rest: str) -> None:
    found = search([node(9), *views], "n9", [TARGET])
    assert found.rest == tuple(f"127.0.0.1:3000{number}" for number in rest)
    assert not found.problem


@pytest.mark.parametrize(
    ("views", "problem"),
    [
        pytest.param([], "gossip address of any member", id="nobody"),
        pytest.param([], "127.0.0.1:40001", id="nobody where it was told"),
        pytest.param([agent("a1"), agent("a2")], "a1, a2, none of which", id="plain agents only"),
        pytest.param([node(2), node(3)], "n2, n3, but they belong to no cluster yet", id="newcomers only"),
        pytest.param([node(2, "c1"), node(3, "c2")], r"c1: n2; c2: n3", id="two clusters"),
    ],
)
def test_what_is_missing_is_said(views: list[MemberView], problem: str) -> None:
    found = search([node(9), *views], "n9", [TARGET])
    assert not found.rest
    assert problem in found.problem
