"""memberlist's accept and ignore rules, as tables; and the law that makes members agree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkv.gossip.memberlist.rules import Verdict, incompatibility, judge_alive, judge_dead, judge_suspect
from dkv.gossip.wire.messages import Alive, Dead, Suspect
from dkv.gossip.wire.particulars import OUR_VERSIONS, U32_MAX, Address, Versions
from dkv.gossip.wire.push_pull import NodeState, State

HERE, THERE = Address("10.0.0.1", 7946), Address("10.0.0.2", 7946)
ALIVE, SUSPECT, DEAD, LEFT = State
IGNORE, ACCEPT, REFUTE, CONFIRM, CONFLICT = Verdict


def node(
    state: State = ALIVE, incarnation: int = 5, name: str = "b", versions: Versions | None = OUR_VERSIONS
) -> NodeState:
    return NodeState(incarnation=incarnation, node=name, address=HERE, state=state, meta=b"m", versions=versions)


def alive(
    incarnation: int, address: Address = HERE, meta: bytes = b"m", versions: Versions | None = OUR_VERSIONS
) -> Alive:
    return Alive(incarnation=incarnation, node="b", address=address, meta=meta, versions=versions)


@pytest.mark.parametrize(
    ("known", "claim", "verdict"),
    [
        (None, alive(1), ACCEPT),
        (None, alive(0), IGNORE),
        (None, alive(1, versions=None), ACCEPT),
        (None, alive(1, versions=Versions(0, 5, 2, 2, 5, 5)), IGNORE),
        (None, alive(1, versions=Versions(3, 2, 2, 2, 5, 5)), IGNORE),
        (None, alive(U32_MAX), ACCEPT),
        (node(ALIVE), alive(4), IGNORE),
        (node(ALIVE), alive(5), IGNORE),
        (node(ALIVE), alive(5, meta=b"other"), IGNORE),
        (node(ALIVE), alive(6), ACCEPT),
        (node(SUSPECT), alive(5), IGNORE),
        (node(SUSPECT), alive(6), ACCEPT),
        (node(DEAD), alive(5), IGNORE),
        (node(DEAD), alive(6), ACCEPT),
        (node(LEFT), alive(5), IGNORE),
        (node(LEFT), alive(6), ACCEPT),
        (node(ALIVE), alive(9, THERE), CONFLICT),
        (node(SUSPECT), alive(9, THERE), CONFLICT),
        (node(DEAD), alive(9, THERE), CONFLICT),
        (node(LEFT), alive(1, THERE), ACCEPT),
        (node(ALIVE), alive(9, Address(HERE.host, 1)), CONFLICT),
    ],
)
def test_alive_about_another(known: NodeState | None, claim: Alive, verdict: Verdict) -> None:
    assert judge_alive(known, claim, about_us=False, leaving=False, reclaimable=False) is verdict


def test_the_name_of_the_long_dead_may_move() -> None:
    assert judge_alive(node(DEAD), alive(1, THERE), about_us=False, leaving=False, reclaimable=True) is ACCEPT


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        (alive(4), IGNORE),
        (alive(5), IGNORE),
        (alive(5, meta=b"other"), REFUTE),
        (alive(5, versions=None), REFUTE),
        (alive(6), REFUTE),
        (alive(6, THERE), CONFLICT),
        (alive(U32_MAX), REFUTE),
    ],
)
def test_alive_about_us(claim: Alive, verdict: Verdict) -> None:
    assert judge_alive(node(), claim, about_us=True, leaving=False, reclaimable=False) is verdict
    assert judge_alive(node(), claim, about_us=True, leaving=True, reclaimable=False) is IGNORE


@pytest.mark.parametrize(
    ("known", "incarnation", "other", "ours"),
    [
        (None, 5, IGNORE, IGNORE),
        (node(ALIVE), 4, IGNORE, IGNORE),
        (node(ALIVE), 5, ACCEPT, REFUTE),
        (node(ALIVE), 6, ACCEPT, REFUTE),
        (node(ALIVE), U32_MAX, ACCEPT, REFUTE),
        (node(SUSPECT), 4, IGNORE, IGNORE),
        (node(SUSPECT), 5, CONFIRM, CONFIRM),
        (node(SUSPECT), 6, CONFIRM, CONFIRM),
        (node(DEAD), 6, IGNORE, IGNORE),
        (node(LEFT), 6, IGNORE, IGNORE),
    ],
)
def test_suspect(known: NodeState | None, incarnation: int, other: Verdict, ours: Verdict) -> None:
    claim = Suspect(incarnation=incarnation, node="b", from_node="c")
    assert judge_suspect(known, claim, about_us=False) is other
    assert judge_suspect(known, claim, about_us=True) is ours


@pytest.mark.parametrize(
    ("known", "incarnation", "other", "ours"),
    [
        (None, 5, IGNORE, IGNORE),
        (node(ALIVE), 4, IGNORE, IGNORE),
        (node(ALIVE), 5, ACCEPT, REFUTE),
        (node(SUSPECT), 5, ACCEPT, REFUTE),
        (node(SUSPECT), 4, IGNORE, IGNORE),
        (node(ALIVE), U32_MAX, ACCEPT, REFUTE),
        (node(DEAD), 9, IGNORE, IGNORE),
        (node(LEFT), 9, IGNORE, IGNORE),
    ],
)
def test_dead(known: NodeState | None, incarnation: int, other: Verdict, ours: Verdict) -> None:
    claim = Dead(incarnation=incarnation, node="b", from_node="c")
    assert judge_dead(known, claim, about_us=False, leaving=False) is other
    assert judge_dead(known, claim, about_us=True, leaving=False) is ours
    leaving = ACCEPT if ours is REFUTE else IGNORE
    assert judge_dead(known, claim, about_us=True, leaving=True) is leaving


@given(st.sampled_from(State), st.integers(1, 9), st.integers(0, 9))
def test_nobody_believes_less_than_it_knows(state: State, known: int, claimed: int) -> None:
    """A claim from the same address is believed only if its incarnation is not lower: views can only converge."""
    entry = node(state, known)
    verdicts = [
        judge_alive(entry, alive(claimed), about_us=False, leaving=False, reclaimable=False),
        judge_suspect(entry, Suspect(incarnation=claimed, node="b", from_node="c"), about_us=False),
        judge_dead(entry, Dead(incarnation=claimed, node="b", from_node="c"), about_us=False, leaving=False),
    ]
    assert claimed >= known or set(verdicts) == {IGNORE}


@pytest.mark.parametrize(
    ("theirs", "word"),
    [
        ([node(name="c")], ""),
        ([node(name="c", versions=None)], ""),
        ([node(name="c", versions=Versions(1, 5, 2, 2, 4, 4))], "Serf protocol 5"),
        ([node(DEAD, name="c", versions=Versions(1, 5, 2, 2, 4, 4))], ""),
        ([node(name="c", versions=Versions(3, 5, 4, 2, 5, 5))], "memberlist protocol 2"),
        ([node(DEAD, name="c", versions=Versions(1, 5, 9, 2, 5, 5))], "c speaks memberlist protocol 9"),
    ],
)
def test_every_member_speaks_what_all_the_living_understand(theirs: list[NodeState], word: str) -> None:
    refusal = incompatibility([node()], theirs)
    assert word in refusal
    assert bool(refusal) == bool(word)
