"""What gossip must come to, and what is told where it does not."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from harness.chaos.convergence import NAME, convergence, differences, not_applicable
from harness.gossip import statuses
from harness.history.records import NodeSample, Validity

A, F, LEFT = "alive", "failed", "left"


def samples(**roles: str) -> list[NodeSample]:
    """Name → role; ``-``: its process is dead."""
    return [
        NodeSample(time_s=0.0, node=node, process="dead" if role == "-" else "running", role=role.strip("-"))
        for node, role in roles.items()
    ]


FULL = {"n1": A, "n2": A, "n3": A}
THREE = samples(n1="leader", n2="follower", n3="learner")


@pytest.mark.parametrize(
    ("nodes", "views", "found"),
    [
        pytest.param(THREE, dict.fromkeys(FULL, FULL), [], id="all see all"),
        pytest.param(
            THREE,
            {**dict.fromkeys(FULL, FULL), "n2": {**FULL, "n1": F}},
            ["n2 sees n1 as failed"],
            id="one is taken for dead",
        ),
        pytest.param(
            THREE,
            {**dict.fromkeys(FULL, FULL), "n3": {"n3": A, "n1": A}},
            ["n3 knows nothing of n2"],
            id="one missed it",
        ),
        pytest.param(THREE, {"n1": FULL, "n3": FULL}, ["n2 does not tell whom it sees"], id="one does not tell"),
        pytest.param(
            THREE,
            {**dict.fromkeys(FULL, FULL), "n1": {**FULL, "n4": A}},
            ["n1 sees n4, which is gone, as alive"],
            id="a removed one is alive",
        ),
        pytest.param(
            THREE,
            {seer: {**FULL, "n4": F, "n5": LEFT} for seer in FULL},
            [],
            id="removed ones are dead",
        ),
        pytest.param(
            THREE,
            {**dict.fromkeys(FULL, FULL), "n1": {**FULL, "n4": "leaving"}},
            ["n1 sees n4, which is gone, as leaving"],
            id="a farewell without end",
        ),
        pytest.param(
            samples(n1="leader", n2="follower", n3="-"),
            {"n1": FULL, "n2": {**FULL, "n3": F}},
            ["n1 sees n3, which is gone, as alive"],
            id="a process that ended",
        ),
        pytest.param(
            samples(n1="leader", n2="removed", n3=""),
            {"n1": {**FULL, "n2": LEFT}, "n2": {"n2": A}},
            [],
            id="who was let go or says nothing is seen as one likes",
        ),
    ],
)
def test_differences(nodes: list[NodeSample], views: Mapping[str, Mapping[str, str]], found: list[str]) -> None:
    assert differences(nodes, views) == found


def test_the_check_and_its_sentence() -> None:
    assert convergence([], 1.26, 75.0).validity is Validity.VALID
    assert convergence([], 1.26, 75.0).detail == {"after_s": 1.3}
    wrong = convergence([f"n{i} sees n1 as failed" for i in (2, 3, 4, 5)], 75.1, 75.0)
    assert (wrong.name, wrong.validity) == (NAME, Validity.INVALID)
    assert wrong.sentence == (
        "75 s after everything was healed n2 sees n1 as failed, n3 sees n1 as failed, n4 sees n1 as failed and 1 more"
    )


def test_a_system_without_gossip_says_so() -> None:
    check = not_applicable("etcd")
    assert (check.validity, check.detail) == (Validity.VALID, {"not applicable": "etcd has no gossip"})


def test_one_nodes_own_view() -> None:
    body = {
        "members": [
            {"id": "n1", "gossip": {"status": "alive", "since_s": 1.0}},
            {"id": "n2", "gossip": {"status": "failed", "since_s": 1.0}},
            {"id": "n3", "gossip": None},
        ],
        "others": [{"name": "n4", "status": "left", "address": "127.0.0.1:1", "tags": {}}],
    }
    assert statuses(body) == {"n1": "alive", "n2": "failed", "n4": "left"}
    assert statuses(None) == {}
