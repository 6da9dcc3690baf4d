"""Roles become names."""

from __future__ import annotations

import random

import pytest

from harness.faults.targets import View, resolve
from harness.history.records import NodeSample

NODES = ("n1", "n2", "n3", "n4", "n5")


def view(leader: str = "n2") -> View:
    samples = {
        name: NodeSample(
            time_s=0, node=name, process="running", role="leader" if name == leader else "follower", term=3
        )
        for name in NODES
    }
    return View(NODES, samples, 0.0)


@pytest.mark.parametrize(
    ("roles", "taken", "allowed"),
    [
        (("leader",), (), [{"n2"}]),
        (("follower",), (), [{"n1"}, {"n3"}, {"n4"}, {"n5"}]),
        (("leader",), ("n2",), [{"n1"}, {"n3"}, {"n4"}, {"n5"}]),
        (("n4",), (), [{"n4"}]),
        (("n9",), (), [{name} for name in NODES]),
        (("all",), ("n1",), [{"n2", "n3", "n4", "n5"}]),
        (("leader", "any"), ("n1", "n3", "n4"), [{"n2", "n5"}]),
        (("any", "any", "any"), ("n1", "n3", "n4"), [{"n2", "n5"}]),
        (("leader",), NODES, [set()]),
    ],
)
def test_who_is_meant(roles: tuple[str, ...], taken: tuple[str, ...], allowed: list[set[str]]) -> None:
    for seed in range(20):
        chosen = resolve(roles, view(), taken, random.Random(seed))
        assert set(chosen) in allowed
        assert len(chosen) == len(set(chosen))


def test_the_leader_is_that_of_the_newest_term() -> None:
    old = NodeSample(time_s=0, node="n1", process="running", role="leader", term=2)
    new = NodeSample(time_s=0, node="n3", process="running", role="leader", term=4)
    assert View(NODES, {"n1": old, "n3": new}).leader == "n3"
    assert View(NODES, {}).leader == ""
