"""How several nodes' views become one, and how that is told."""

from __future__ import annotations

from typing import Any

import pytest

from harness.gossip import Stranger, described, sightings


def view(others: list[dict[str, Any]] | None = None, **statuses: str | None) -> dict[str, Any]:
    members = [
        {"id": name, "gossip": status and {"status": status, "since_s": 1.0, "address": "127.0.0.1:40001"}}
        for name, status in statuses.items()
    ]
    return {"members": members, "others": others or []}


@pytest.mark.parametrize(
    ("views", "expected"),
    [
        ({}, {}),
        ({"n1": view(n1="alive")}, {"n1": "alive"}),
        ({"n1": view(n1="alive", n2=None)}, {"n1": "alive"}),
        (
            {"n1": view(n1="alive", n2="failed"), "n2": view(n1="failed", n2="alive")},
            {"n1": "failed", "n2": "failed"},
        ),
        (
            {"n1": view(n3="alive"), "n2": view(n3="failed"), "n4": view(n3="alive"), "n3": view(n3="leaving")},
            {"n3": "alive 2, failed 1"},
        ),
        ({"n1": view(n2="alive"), "n2": None, "n3": {"members": 7}, "n4": {"members": [7]}}, {"n2": "alive"}),
    ],
    ids=["nobody", "alone", "not a member", "cut apart", "disagreement", "garbage"],
)
def test_what_the_others_say(views: dict[str, Any], expected: dict[str, str]) -> None:
    found = sightings(["n1", "n2", "n3", "n4"], views)
    assert {name: described(seen) for name, seen in found.nodes.items()} == expected
    assert not found.strangers


AGENT = {"name": "web-1", "address": "127.0.0.1:7946", "status": "alive", "tags": {"role": "web"}}
JOINER = {"name": "n4", "address": "127.0.0.1:40004", "status": "alive", "tags": {"role": "dkv"}}
GONE = {"name": "n3", "address": "127.0.0.1:40003", "status": "left", "tags": {"role": "dkv"}}


def test_strangers_are_those_that_are_not_ours_and_there() -> None:
    views = {
        "n1": view([AGENT, GONE], n1="alive", byhand="alive"),
        "n2": view([{**AGENT, "status": "failed"}, JOINER]),
        "n4": view(n4="alive"),
    }
    found = sightings(["n1", "n2", "n4"], views)
    assert found.nodes == {"n1": {"alive": ("n1",)}, "n4": {"alive": ("n2",)}}
    assert found.strangers == (
        Stranger("byhand", "127.0.0.1:40001", {}, {"alive": ("n1",)}),
        Stranger("web-1", "127.0.0.1:7946", {"role": "web"}, {"alive": ("n1",), "failed": ("n2",)}),
    )
