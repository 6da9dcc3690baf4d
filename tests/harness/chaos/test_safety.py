"""What nodes say of themselves: one seeded violation of each kind, and none where there is none."""

from __future__ import annotations

from typing import Any

import pytest

from harness.chaos.safety import COMMIT, COMPLETE, DURABLE, ELECTION, PREFIX, PRESERVED, Safety
from harness.history.records import NodeSample, Validity


def sample(time_s: float, node: str, role: str = "follower", **more: Any) -> NodeSample:
    return NodeSample(
        **{"time_s": time_s, "node": node, "process": "running", "role": role, "term": 1, "last": 20, **more}
    )


HEALTHY = [
    (sample(0.1, "n1", "leader", term=1, commit=5, applied=5, digest="a"), 0),
    (sample(0.1, "n2", term=1, commit=4, applied=5, digest="a"), 0),
    (sample(0.2, "n2", term=1, commit=9, applied=8, digest="b"), 0),
    (sample(0.3, "n2", "", term=0), 0),  # it did not answer
    (sample(0.4, "n2", "leader", term=2, commit=3, applied=3, digest="c"), 1),  # another life
    (sample(0.5, "n1", "leader", term=1, commit=6, applied=5), 0),  # it does not know better
    (sample(0.6, "n1", term=2, commit=9, applied=8, digest="b"), 0),
]
LAST = [sample(1.0, "n1", "leader", commit=9, applied=9), sample(1.0, "n2", commit=9, applied=9)]

VOTED = (sample(0.6, "n4", term=3, vote="n1", commit=7, last=9), 0)
VIOLATIONS: dict[str, list[tuple[NodeSample, int]]] = {
    ELECTION: [(sample(0.7, "n3", "leader", term=2), 0)],
    COMPLETE: [(sample(0.7, "n3", "leader", term=3, commit=8, last=8), 0)],
    COMMIT: [(sample(0.7, "n1", term=2, commit=8), 0)],
    PREFIX: [(sample(0.7, "n3", term=2, commit=8, applied=8, digest="z"), 0)],
    f"{DURABLE}: term": [VOTED, (sample(0.7, "n4", term=2, commit=7, last=9), 1)],
    f"{DURABLE}: vote": [VOTED, (sample(0.7, "n4", term=3, vote="n2", commit=7, last=9), 1)],
    f"{DURABLE}: no vote": [VOTED, (sample(0.7, "n4", term=3, vote="", commit=7, last=9), 1)],
    f"{DURABLE}: log": [VOTED, (sample(0.7, "n4", term=3, vote="n1", commit=0, last=6), 1)],
    PRESERVED: [(sample(0.7, "n3", term=2, commit=10, applied=10), 0)],
}


def judged(samples: list[tuple[NodeSample, int]], safety: Safety | None = None) -> Safety:
    safety = safety or Safety()
    for one, life in samples:
        safety.feed(one, life)
    safety.finish(LAST)
    return safety


def test_a_healthy_record() -> None:
    assert {check.validity for check in judged(HEALTHY).checks()} == {Validity.VALID}


@pytest.mark.parametrize("name", list(VIOLATIONS))
def test_each_violation_is_found_and_nothing_else(name: str) -> None:
    checks = {check.name: check for check in judged([*HEALTHY, *VIOLATIONS[name]]).checks()}
    name = name.partition(":")[0]
    assert {check.name for check in checks.values() if check.validity is Validity.INVALID} == {name}
    assert checks[name].sentence
    assert checks[name].time_s is not None


def test_where_terms_are_not_exact_no_election_is_judged() -> None:
    checks = judged([*HEALTHY, *VIOLATIONS[ELECTION]], Safety(exact_terms=False)).checks()
    assert not {ELECTION, COMPLETE, DURABLE} & {check.name for check in checks}
    assert {check.validity for check in checks} == {Validity.VALID}


def test_a_commit_beside_a_later_leader() -> None:
    safety = Safety()
    for late in (sample(0.7, "n4", term=1, commit=21, last=21), sample(0.8, "n2", term=2, commit=30, last=30)):
        for one, life in (*HEALTHY, (late, 0)):
            safety.feed(one, life)
    assert COMPLETE in safety.violations, "the leader of term 2 began with a log that ended at 20"
    assert "index 21 committed" in safety.violations[COMPLETE].sentence


def test_what_is_not_on_the_disk_yet_may_be_forgotten() -> None:
    unsettled = sample(0.6, "n4", term=3, vote="n1", commit=7, last=9, settled=False)
    again = sample(0.7, "n4", term=2, vote="n2", commit=7, last=8)
    checks = judged([*HEALTHY, (unsettled, 0), (again, 1)]).checks()
    assert {check.validity for check in checks} == {Validity.VALID}


def test_silence_is_not_safety() -> None:
    safety = Safety()
    safety.feed(NodeSample(time_s=0, node="n1", process="dead"), 0)
    assert {check.validity for check in safety.checks()} == {Validity.UNKNOWN}
