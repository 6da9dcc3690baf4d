"""What the autopilot decides: each rule as a row, and the laws for whatever the world does."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkv.autopilot import Autopilot, Kind, Look, Options, Picture, refusal_to_remove
from dkv.gossip.wire.internal_queries import Status
from dkv.joining import MemberInfo
from dkv.sightings import Sighting

STABLE_S, DAY_S = 2.0, 86_400.0
NOW = 1_000_000.0
A, B, C, D, E = (f"{name}.0000000a" for name in "abcde")


def seen(identity: str, status: Status = Status.ALIVE, *, for_s: float = 100.0, cluster: str = "c1") -> Sighting:
    info = MemberInfo(identity, identity[0], "127.0.0.1:1", "127.0.0.1:2")
    return Sighting(info, cluster, status, NOW - for_s)


def picture(
    members: Sequence[str] = (A, B, C),
    voters: Sequence[str] | None = None,
    sightings: Sequence[Sighting] | None = None,
    dead: Collection[str] = (),
) -> Picture:
    """``a`` leads; everybody votes, is alive and answers unless it is said otherwise."""
    return Picture(
        me=A,
        cluster="c1",
        members=members,
        voters=members if voters is None else voters,
        linked=[node for node in members if node not in dead],
        live=[node for node in members if node not in dead],
        sightings=[seen(node) for node in members if node not in dead] if sightings is None else sightings,
    )


def look(now: Picture) -> Look:
    return Autopilot(STABLE_S, DAY_S).look(now, NOW)


def change(now: Picture) -> tuple[Kind, str] | None:
    decision = look(now).change
    return None if decision is None else (decision.kind, decision.member)


def test_a_quiet_cluster_needs_nothing() -> None:
    assert look(picture()) == Look(None, ())


@pytest.mark.parametrize(
    ("sighting", "linked", "promoted"),
    [
        pytest.param(seen(D), True, True, id="stable and reachable"),
        pytest.param(seen(D, for_s=STABLE_S), True, True, id="just stable"),
        pytest.param(seen(D, for_s=STABLE_S - 0.1), True, False, id="not yet stable"),
        pytest.param(seen(D), False, False, id="no link"),
        pytest.param(seen(D, Status.LEAVING), True, False, id="about to go"),
        pytest.param(seen(D, Status.FAILED), True, False, id="failed"),
        pytest.param(seen(D, cluster=""), True, False, id="does not know yet that it was let in"),
        pytest.param(seen(D, cluster="c2"), True, False, id="of another cluster"),
        pytest.param(seen("d.0000000b"), True, False, id="another incarnation"),
        pytest.param(None, True, False, id="unknown to gossip"),
    ],
)
def test_promotion(sighting: Sighting | None, linked: bool, promoted: bool) -> None:
    others = [seen(A), seen(B), seen(C)]
    now = picture((A, B, C, D), (A, B, C), [*others, *([sighting] if sighting else [])], dead=() if linked else (D,))
    assert change(now) == ((Kind.PROMOTE, D) if promoted else None)


def test_who_is_not_in_the_directory_is_left_alone() -> None:
    assert look(picture(sightings=[seen(A), seen(B), seen(C), seen(D), seen(E, Status.LEFT)])) == Look(None, ())


@pytest.mark.parametrize(
    ("sighting", "removed"),
    [
        pytest.param(seen(C, Status.LEFT, for_s=0.0), True, id="left"),
        pytest.param(seen("c.0000000b", Status.LEFT), False, id="another incarnation left"),
        pytest.param(seen(C, Status.LEFT, cluster="c2"), False, id="another cluster's left"),
        pytest.param(seen(C, Status.LEAVING), False, id="leaving"),
        pytest.param(seen(C, Status.FAILED, for_s=2 * DAY_S), False, id="failed: not before it was missed here"),
        pytest.param(None, False, id="unknown"),
    ],
)
def test_who_left_is_removed_at_once(sighting: Sighting | None, removed: bool) -> None:
    now = picture(sightings=[seen(A), seen(B), *([sighting] if sighting else [])], dead=(C,))
    assert change(now) == ((Kind.REMOVE, C) if removed else None)


def test_the_leader_does_not_remove_itself() -> None:
    assert change(picture(sightings=[seen(A, Status.LEFT), seen(B), seen(C)])) is None


def test_a_removal_that_would_cost_the_quorum_is_told_once_and_not_done() -> None:
    autopilot = Autopilot(STABLE_S, DAY_S)
    danger = picture(sightings=[seen(A), seen(B, Status.FAILED), seen(C, Status.LEFT)], dead=(B, C))
    first = autopilot.look(danger, NOW)
    assert first.change is None
    ((kind, member, reason),) = first.news
    assert (kind, member) == (Kind.KEEP, C)
    assert "it left, but" in reason
    assert "bring the others back" in reason
    assert autopilot.look(danger, NOW + 1) == Look(None, ())
    safe = picture(sightings=[seen(A), seen(B), seen(C, Status.LEFT)], dead=(C,))
    done = autopilot.look(safe, NOW + 2)
    assert done.change is not None
    assert done.news == (done.change,)
    assert done.change[:2] == (Kind.REMOVE, C)


@pytest.mark.parametrize("forgotten", [False, True])
def test_who_failed_is_removed_after_a_day(forgotten: bool) -> None:
    """Gossip may have forgotten it by then."""
    autopilot = Autopilot(STABLE_S, DAY_S)
    gone = picture(sightings=[seen(A), seen(B), *([] if forgotten else [seen(C, Status.FAILED)])], dead=(C,))
    assert autopilot.look(gone, NOW) == Look(None, ())
    assert autopilot.look(gone, NOW + DAY_S - 1) == Look(None, ())
    decided = autopilot.look(gone, NOW + DAY_S).change
    assert decided is not None
    assert decided[:2] == (Kind.REMOVE, C)
    assert "no sign of life for 86400 s" in decided.reason


def test_a_sign_of_life_begins_the_day_anew() -> None:
    autopilot = Autopilot(STABLE_S, DAY_S)
    gone = picture(sightings=[seen(A), seen(B), seen(C, Status.FAILED)], dead=(C,))
    answers = picture(sightings=[seen(A), seen(B), seen(C, Status.FAILED)])
    autopilot.look(gone, NOW)
    assert autopilot.look(answers, NOW + DAY_S) == Look(None, ())  # gossip is wrong, Raft knows better
    assert autopilot.look(gone, NOW + DAY_S + 1) == Look(None, ())
    assert autopilot.look(gone, NOW + 2 * DAY_S + 1).change is not None


def test_one_at_a_time_and_who_cannot_be_helped_goes_behind_the_others() -> None:
    autopilot = Autopilot(STABLE_S, DAY_S)
    two = picture((A, B, D, E), (A, B))
    tried = []
    for second in range(4):
        decided, news = autopilot.look(two, NOW + second)
        assert decided is not None
        tried.append(decided.member)
        assert news == ((decided,) if second < 2 else ()), "each was told once"
        autopilot.failed(decided)
    assert tried == [D, E, D, E]


def test_a_need_that_passed_is_told_again_when_it_comes_back() -> None:
    autopilot = Autopilot(STABLE_S, DAY_S)
    assert autopilot.look(picture((A, B, D), (A, B)), NOW).news
    autopilot.look(picture((A, B, D), (A, B), dead=(D,)), NOW)
    assert autopilot.look(picture((A, B, D), (A, B)), NOW).news


@pytest.mark.parametrize(
    ("voters", "live", "says"),
    [
        ("a", "a", "last voter"),
        ("ab", "ab", None),
        ("ab", "a", "only 0 are"),
        ("abc", "abc", None),
        ("abc", "bc", None),
        ("abc", "ab", "only 1 are"),
        ("abcd", "abc", None),
        ("abcd", "ab", "only 1 are"),
        ("abcde", "abc", "only 2 are"),
        ("abcde", "bcd", None),
    ],
)
def test_removal_keeps_a_live_majority(voters: str, live: str, says: str | None) -> None:
    refusal = refusal_to_remove("a", list(voters), set(live))
    assert (refusal is None) == (says is None)
    if says is not None:
        assert refusal is not None
        assert says in refusal


@pytest.mark.parametrize("wrong", [{"stabilization_s": -1.0}, {"remove_failed_after_s": 0.0}])
def test_options_that_make_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(AssertionError):
        Options(**wrong)


# ---- laws

NODES = [f"n{number}.0000000a" for number in range(1, 6)]
STRANGERS = ["n2.0000000b", "x.0000000a"]

sightings = st.builds(
    lambda identity, cluster, status, since: Sighting(
        MemberInfo(identity, identity.partition(".")[0], "h:1", "h:2"), cluster, status, since
    ),
    st.sampled_from(NODES + STRANGERS),
    st.sampled_from(["c1", "c1", "c1", "c2", ""]),
    st.sampled_from([Status.ALIVE, Status.LEAVING, Status.LEFT, Status.FAILED]),
    st.floats(0, 100),
)
subsets = st.lists(st.sampled_from(NODES), unique=True)


@st.composite
def worlds(draw: st.DrawFn) -> Picture:
    members = draw(subsets)
    return Picture(
        me=NODES[0],
        cluster="c1",
        members=members,
        voters=sorted({NODES[0], *draw(subsets)}),
        linked=draw(subsets),
        live={NODES[0], *draw(subsets)},
        sightings=draw(st.lists(sightings, max_size=6, unique_by=lambda each: each.member.identity)),
    )


@given(st.lists(st.tuples(worlds(), st.floats(0, 50), st.booleans()), max_size=12))
@settings(max_examples=300, derandomize=True, deadline=None)
def test_the_laws(steps: list[tuple[Picture, float, bool]]) -> None:
    stable_s, gone_s = 5.0, 60.0
    autopilot, now = Autopilot(stable_s, gone_s), 100.0
    unseen_since: dict[str, float] = {}
    for world, pause_s, fails in steps:
        now += pause_s
        decided, news = autopilot.look(world, now)
        ours = {each.member.identity: each for each in world.sightings if each.cluster == "c1"}
        alive = {node for node, each in ours.items() if each.status in (Status.ALIVE, Status.LEAVING)}
        signs = alive | {*world.live} | {*world.linked}
        unseen_since = {node: unseen_since.get(node, now) for node in set(world.members) - signs}
        assert all(decision.reason for decision in news), "no decision without its reason"
        assert {decision.member for decision in news} <= {*world.members} - {world.me}
        assert sum(decision.kind is not Kind.KEEP for decision in news) <= 1, "one change at a time"
        if decided is None:
            continue
        assert decided.member in world.members, "never another cluster's, nor another incarnation"
        assert decided.member != world.me
        if decided.kind is Kind.PROMOTE:
            sighting = ours[decided.member]
            assert sighting.status is Status.ALIVE
            assert now - sighting.since >= stable_s, "who comes and goes is never promoted"
            assert decided.member in world.linked
            assert decided.member not in world.voters
        else:
            assert decided.kind is Kind.REMOVE
            left = decided.member in ours and ours[decided.member].status is Status.LEFT
            assert left or now - unseen_since[decided.member] >= gone_s
            staying = [voter for voter in world.voters if voter != decided.member]
            if decided.member in world.voters:
                assert sum(voter in world.live for voter in staying) > len(staying) // 2, "never below a quorum"
        if fails:
            autopilot.failed(decided)
