"""The headline, and what is told of a change, as tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.survey import Health, Member, State, Survey, Word, changes, headline, health, quorum
from harness.systems import links
from harness.systems.base import Link


def member(number: int, role: str | None = "follower", term: int = 7, **fields: object) -> Member:
    """A node that runs; ``role`` None: it does not answer."""
    voters = ("n1", "n2", "n3")
    word = None if role is None else Word(role, term, commit=10, applied=10 - number, voters=voters)
    found = Member(f"n{number}", f"127.0.0.1:3000{number}", State.RUNNING, pid=100 + number, word=word)
    return replace(found, **fields)  # type: ignore[arg-type]


WHOLE = Survey((member(1, "leader"), member(2), member(3)))
ONE_DEAD = Survey((member(1, "leader"), member(2), member(3, None, state=State.KILLED, pid=None)))
ELECTING = Survey((member(1, None, state=State.DEAD, pid=None, exit_code=-9), member(2), member(3)))
LONELY = Survey((member(1, "leader"), member(2, None), member(3, None)))
DARK = Survey((member(1, None), member(2, None), member(3, None)))


@pytest.mark.parametrize(
    ("survey", "word", "line"),
    [
        (WHOLE, Health.HEALTHY, "HEALTHY · leader n1 · term 7 · can lose 1 more of 3"),
        (ONE_DEAD, Health.DEGRADED, "DEGRADED · leader n1 · term 7 · can lose 0 more of 3"),
        (LONELY, Health.NO_QUORUM, "NO QUORUM · term 7 · 1 of 3 voters must come back before it can serve"),
        (DARK, Health.DOWN, "DOWN · 2 of 3 voters must come back before it can serve"),
    ],
)
def test_headline(survey: Survey, word: Health, line: str) -> None:
    assert health(survey) == word
    assert headline(survey) == line


def test_an_election_is_told_as_such() -> None:
    assert health(ELECTING) == Health.NO_LEADER
    assert headline(ELECTING).startswith("NO LEADER · term 7 · an election is running")


def test_the_leader_of_the_highest_term_is_believed() -> None:
    assert Survey((member(1, "leader", 6), member(2, "leader", 7))).leader == member(2, "leader", 7)


def test_the_lag_is_counted_from_the_highest_commit() -> None:
    assert [WHOLE.lag(node) for node in WHOLE.members] == [1, 2, 3]
    assert ONE_DEAD.lag(ONE_DEAD.members[2]) is None


FIVE = tuple(
    replace(node, word=replace(node.word, voters=("n1", "n2", "n3", "n4", "n5")))
    for node in (member(1, "leader"), *map(member, range(2, 6)))
    if node.word is not None
)


@pytest.mark.parametrize(
    ("cuts", "can_lose"),
    [
        (frozenset(), 2),
        (links.around(["n5"], WHOLE.names), 1),
        (links.around(["n5"], ["n1", "n2", "n3", "n4"]), 1),
        (links.between([["n1", "n2"], ["n3", "n4", "n5"]]), 0),
        (links.between([["n1", "n2"], ["n4", "n5"]]), 0),
        (links.between([["n1"], ["n2"], ["n3"], ["n4", "n5"]]), -1),
        (frozenset({("n5", "n1")}), 2),
    ],
    ids=["whole", "still hears n4", "isolated", "majority", "bridge", "splinters", "one way"],
)
def test_who_is_cut_off_is_not_there(cuts: frozenset[Link], can_lose: int) -> None:
    survey = Survey(FIVE, cuts)
    assert survey.can_lose == can_lose
    assert health(survey) == (Health.NO_QUORUM if can_lose < 0 else Health.DEGRADED if cuts else Health.HEALTHY)


def test_the_headline_of_splinters() -> None:
    told = headline(Survey(FIVE, links.between([["n1"], ["n2"], ["n3"], ["n4", "n5"]])))
    assert told.endswith("1 of 5 voters must be heard again or come back before it can serve")


@pytest.mark.parametrize(("voters", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_quorum(voters: int, needed: int) -> None:
    assert quorum(voters) == needed


def test_a_node_that_is_no_voter_yet_is_not_counted() -> None:
    joining = Survey((*WHOLE.members, member(4, "learner")))
    assert joining.can_lose == 1
    assert health(joining) == Health.DEGRADED


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (WHOLE, WHOLE, []),
        (WHOLE, ONE_DEAD, ["n3 was killed", headline(ONE_DEAD)]),
        (ONE_DEAD, WHOLE, ["n3 was started (pid 103)", headline(WHOLE)]),
        (
            WHOLE,
            ELECTING,
            [
                "n1 died (exit code -9): `dkv-harness logs n1` tells why",
                "no leader is known (it was n1)",
                headline(ELECTING),
            ],
        ),
        (
            WHOLE,
            Survey((member(1), member(2, "leader", 8), member(3))),
            ["n2 leads now (term 8)"],
        ),
        (WHOLE, Survey((member(1, "leader", pid=7), *WHOLE.members[1:])), ["n1 was restarted (pid 101 → 7)"]),
        (
            Survey((*WHOLE.members[:2], member(3, state=State.PAUSED))),
            WHOLE,
            ["n3 goes on (pid 103)"],
        ),
    ],
)
def test_changes(before: Survey, after: Survey, told: list[str]) -> None:
    assert changes(before, after) == told
