"""Which node is asked."""

from __future__ import annotations

import random

import pytest

from dkv.client.nodes import NODES_MAX, SHUN_S, Nodes, parse_address
from dkv.errors import LeaderHint

A, B, C = "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"


def make(*addresses: str) -> Nodes:
    return Nodes(addresses or (A, B, C), random.Random(0))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:30001", "127.0.0.1:30001"),
        ("http://n1.example:80/", "n1.example:80"),
        ("[::1]:30001", "[::1]:30001"),
        ("http://[::1]:30001", "[::1]:30001"),
    ],
)
def test_addresses(text: str, address: str) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", ":1", "n1", "n1:", "n1:0", "n1:65536", "n1:1/x", "n1:1?x", "u@n1:1", "ftp://n1:1", "n\r1:1", "[::1:1"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"write it as 127\.0\.0\.1:30001"):
        parse_address(text)


def test_round_robin_reaches_all() -> None:
    nodes = make(A, A, B, C)
    assert nodes.known == (A, B, C)
    for _ in range(3):
        assert {nodes.choose(0.0, at_leader=False) for _ in range(3)} == {A, B, C}


def test_clients_begin_anywhere() -> None:
    first = {Nodes([A, B, C], random.Random(seed)).choose(0.0, at_leader=False) for seed in range(20)}
    assert first == {A, B, C}


def test_shunned_nodes_come_last_and_come_back() -> None:
    nodes = make()
    nodes.shun(A, 0.0)
    nodes.shun(B, 0.5)
    assert [nodes.choose(0.6, at_leader=False) for _ in range(3)] == [C, C, C]
    nodes.shun(C, 0.7)
    assert nodes.choose(0.8, at_leader=False) == A, "the one whose time is up first"
    assert nodes.is_shunned(A, 0.9)
    assert not nodes.is_shunned(A, SHUN_S)
    nodes.answered(C, at_leader=False)
    assert nodes.choose(0.9, at_leader=False) == C


def test_the_leader_serves_what_only_it_can() -> None:
    nodes = make()
    assert nodes.learn(LeaderHint("n2", f"http://{B}")) == B
    assert [nodes.choose(0.0, at_leader=True) for _ in range(3)] == [B, B, B]
    assert {nodes.choose(0.0, at_leader=False) for _ in range(3)} == {A, B, C}
    nodes.disowned(A)
    assert nodes.leader == B
    nodes.shun(B, 0.0)
    assert nodes.choose(0.5, at_leader=True) != B
    nodes.disowned(B)
    assert nodes.leader is None
    nodes.answered(C, at_leader=False)
    assert nodes.leader is None
    nodes.answered(C, at_leader=True)
    assert nodes.leader == C


def test_hints_teach_new_nodes_up_to_a_limit() -> None:
    nodes = make(A)
    assert nodes.learn(LeaderHint("n9", "somewhere")) is None
    for port in range(2, 200):
        nodes.learn(LeaderHint("n", f"127.0.0.1:{port}"))
    assert len(nodes) == NODES_MAX
