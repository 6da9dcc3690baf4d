"""Tables of what each selector means."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import Refused, UsageError
from harness.selectors import ROLES, select

FIVE = ["n1", "n2", "n3", "n4", "n5"]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("n2", ["n2"]),
        ("n3,n1", ["n1", "n3"]),
        (" n1 , n1 ,", ["n1"]),
        ("leader", ["n3"]),
        ("leader,n1", ["n1", "n3"]),
        ("all", FIVE),
    ],
)
def test_selectors_without_chance(selector: str, expected: list[str]) -> None:
    assert select(selector, FIVE, "n3", random.Random(0)) == expected


@pytest.mark.parametrize(
    ("role", "members", "size"),
    [
        ("any", 5, 1),
        ("follower", 5, 1),
        ("minority", 5, 2),
        ("minority", 4, 1),
        ("minority", 3, 1),
        ("majority", 5, 3),
        ("majority", 4, 3),
        ("majority", 1, 1),
        ("all", 2, 2),
    ],
)
def test_sizes_of_roles(role: str, members: int, size: int) -> None:
    assert len(select(role, FIVE[:members], "n1", random.Random(0))) == size


@given(seed=st.integers(0, 2**32), leader=st.sampled_from(FIVE))
def test_a_follower_is_never_the_leader(seed: int, leader: str) -> None:
    assert select("follower", FIVE, leader, random.Random(seed)) != [leader]


@given(
    seed=st.integers(0, 2**32),
    role=st.sampled_from([role for role in ROLES if role != "leader"]),
    able=st.sets(st.sampled_from(FIVE), min_size=2),
)
def test_roles_are_drawn_from_those_that_are_able(seed: int, role: str, able: set[str]) -> None:
    chosen = select(role, FIVE, None, random.Random(seed), sorted(able))
    assert set(chosen) <= able
    assert chosen == sorted(chosen)


def test_the_same_seed_draws_the_same_nodes() -> None:
    assert select("majority", FIVE, None, random.Random(7)) == select("majority", FIVE, None, random.Random(7))


def test_a_name_wins_over_a_role() -> None:
    assert select("any", ["n1", "any"], "n1", random.Random(0)) == ["any"]


@pytest.mark.parametrize("selector", ["n9", "leaders", "n1,n9"])
def test_unknown_names_are_wrong_usage(selector: str) -> None:
    with pytest.raises(UsageError, match="no node and no role"):
        select(selector, FIVE, "n1", random.Random(0))


@pytest.mark.parametrize(
    ("selector", "members", "leader", "able"),
    [
        ("leader", FIVE, None, FIVE),
        ("leader", FIVE, "n1", ["n2"]),
        ("follower", ["n1"], "n1", ["n1"]),
        ("minority", ["n1", "n2"], "n1", ["n1", "n2"]),
        ("any", FIVE, "n1", []),
        (",", FIVE, "n1", FIVE),
    ],
)
def test_roles_that_nobody_has_are_refused(
    selector: str, members: list[str], leader: str | None, able: list[str]
) -> None:
    with pytest.raises(Refused):
        select(selector, members, leader, random.Random(0), able)
