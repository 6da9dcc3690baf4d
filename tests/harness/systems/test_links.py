"""Which links a partition cuts, what each node is told of them, and that it can be read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.systems import links
from harness.systems.base import Link, Shape
from harness.systems.links import Broken

NODES = ("n1", "n2", "n3", "n4")
PAIRS = [(a, b) for a in NODES for b in NODES if a != b]


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([["n1"], ["n2"]], {("n1", "n2"), ("n2", "n1")}),
        ([["n1", "n2"], ["n3"]], {("n1", "n3"), ("n3", "n1"), ("n2", "n3"), ("n3", "n2")}),
        ([["n1"], ["n2"], ["n3"]], {pair for pair in PAIRS if "n4" not in pair}),
        ([["n1", "n2"]], set()),
        ([], set()),
    ],
)
def test_between_groups(groups: list[list[str]], expected: set[Link]) -> None:
    assert links.between(groups) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["n1"], {pair for pair in PAIRS if "n1" in pair}),
        (["n1", "n2"], {pair for pair in PAIRS if "n1" in pair or "n2" in pair}),
        (NODES, set(PAIRS)),
        ([], set()),
    ],
)
def test_around_nodes(names: list[str], expected: set[Link]) -> None:
    assert links.around(names, NODES) == expected


def test_a_cut_is_told_to_both_ends_and_a_shape_to_the_sender() -> None:
    told = links.documents(NODES, [("n1", "n2")], {("n1", "n2"): Shape(delay_s=0.1), ("n3", "n1"): Shape(loss=0.5)})
    assert told == {
        "n1": {"n2": {"send": {"cut": True, "delay_s": 0.1}}},
        "n2": {"n1": {"receive": {"cut": True}}},
        "n3": {"n1": {"send": {"loss": 0.5}}},
        "n4": {},
    }


def test_nobody_is_told_of_a_node_that_is_not_there() -> None:
    assert links.documents(["n1"], [("n1", "n9"), ("n9", "n1")], {}) == {
        "n1": {"n9": {"send": {"cut": True}, "receive": {"cut": True}}}
    }


shapes = st.builds(
    Shape,
    delay_s=st.sampled_from([0.0, 0.05]),
    loss=st.sampled_from([0.0, 0.2]),
    rate_bytes_s=st.sampled_from([None, 1e6]),
)


@given(cuts=st.sets(st.sampled_from(PAIRS)), shaped=st.dictionaries(st.sampled_from(PAIRS), shapes))
def test_what_was_told_can_be_read_back(cuts: set[Link], shaped: dict[Link, Shape]) -> None:
    whole = {link: shape for link, shape in shaped.items() if shape != Shape()}
    assert links.understood(links.documents(NODES, cuts, shaped)) == Broken(frozenset(cuts), whole)


@given(cuts=st.sets(st.sampled_from(PAIRS)), silent=st.sampled_from(NODES))
def test_one_end_is_enough_to_know_of_a_cut(cuts: set[Link], silent: str) -> None:
    told = {node: document for node, document in links.documents(NODES, cuts, {}).items() if node != silent}
    assert links.understood(told).cuts == cuts


def test_defaults_that_a_node_spells_out_are_no_shape() -> None:
    spelt = {"cut": False, "delay_s": 0.0, "jitter_s": 0.0, "loss": 0.0, "rate_bytes_s": None}
    assert links.understood({"n1": {"n2": {"send": spelt, "receive": spelt}}}) == Broken()


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (Broken(), []),
        (Broken(frozenset({("n1", "n2"), ("n2", "n1"), ("n3", "n1")})), ["cut: n1 ↮ n2, n3 ↛ n1"]),
        (Broken(shapes={("n2", "n1"): Shape(delay_s=0.05)}), ["slower by 50 ms: n2 → n1"]),
        (Broken(shapes=dict.fromkeys(links.both_ways(["n1"], ["n2"]), Shape(loss=0.1))), ["shaped: n1 ↔ n2"]),
    ],
)
def test_as_a_person_reads_it(broken: Broken, expected: list[str]) -> None:
    assert broken.sentences() == expected


def test_as_a_program_reads_it() -> None:
    broken = Broken(frozenset({("n1", "n2")}), {("n2", "n1"): Shape(delay_s=0.05)})
    assert broken.document() == {"cut": [["n1", "n2"]], "shaped": [{"from": "n2", "to": "n1", "delay_s": 0.05}]}
