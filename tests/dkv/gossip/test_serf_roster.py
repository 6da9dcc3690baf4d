"""Who is there: the accept and ignore rules of intents as a table, and the law that their order does not matter."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkv.gossip.memberlist import events
from dkv.gossip.serf import roster
from dkv.gossip.serf.events import MemberChange
from dkv.gossip.serf.intents import RECENT_INTENT_TIMEOUT_S, RECENT_INTENTS_MAX, Intent, RecentIntents, Verdict
from dkv.gossip.serf.lamport import LTIME_MAX, LamportClock, is_plausible
from dkv.gossip.serf.roster import Roster
from dkv.gossip.wire.internal_queries import Status
from dkv.gossip.wire.particulars import OUR_VERSIONS, Address
from dkv.gossip.wire.serf_messages import JoinIntent, LeaveIntent
from dkv.gossip.wire.tags import encode_tags

PRUNE_DELAY_S = 6.0


def told(name: str, meta: bytes = b"\xff\x80") -> events.Member:
    return events.Member(name=name, address=Address("10.0.0.1", 7946), meta=meta, incarnation=1, versions=OUR_VERSIONS)


def join(ltime: int, name: str = "x") -> JoinIntent:
    return JoinIntent(ltime=ltime, node=name)


def leave(ltime: int, name: str = "x", *, prune: bool = False) -> LeaveIntent:
    return LeaveIntent(ltime=ltime, node=name, prune=prune)


def with_x(status: Status, ltime: int = 5) -> Roster:
    """``x`` with a status, and an intent of that time."""
    members = Roster("us", PRUNE_DELAY_S)
    members.joined(told("us"))
    members.joined(told("x"))
    members.hear(join(ltime - 1), 0.0)
    if status is Status.FAILED:
        members.gone("x", 0.0)
        members.hear(join(ltime), 0.0)
    elif status is not Status.ALIVE:
        members.hear(leave(ltime), 0.0)
    if status is Status.LEFT:
        members.gone("x", 0.0)
    if status is Status.ALIVE:
        members.hear(join(ltime), 0.0)
    entry = members.get("x")
    assert entry is not None
    assert (entry.status, entry.status_ltime) == (status, ltime)
    return members


ALIVE, LEAVING, LEFT, FAILED = Status.ALIVE, Status.LEAVING, Status.LEFT, Status.FAILED


@pytest.mark.parametrize(
    ("before", "intent", "verdict", "after", "changes"),
    [
        (ALIVE, join(6), Verdict.STAMP, ALIVE, []),
        (ALIVE, leave(6), Verdict.BEGIN_LEAVING, LEAVING, []),
        (LEAVING, join(6), Verdict.REJOIN, ALIVE, []),
        (LEAVING, leave(6), Verdict.STAMP, LEAVING, []),
        (LEFT, join(6), Verdict.STAMP, LEFT, []),
        (LEFT, leave(6), Verdict.STAMP, LEFT, []),
        (FAILED, join(6), Verdict.STAMP, FAILED, []),
        (FAILED, leave(6), Verdict.TAKE_AS_LEFT, LEFT, [MemberChange.LEAVE]),
        (FAILED, leave(6, prune=True), Verdict.TAKE_AS_LEFT, None, [MemberChange.LEAVE, MemberChange.REAP]),
        (LEFT, leave(6, prune=True), Verdict.STAMP, None, [MemberChange.REAP]),
        *[(status, join(5), Verdict.IGNORE, status, []) for status in (ALIVE, LEAVING, LEFT, FAILED)],
        *[(status, leave(5, prune=True), Verdict.IGNORE, status, []) for status in (ALIVE, LEAVING, LEFT, FAILED)],
        (ALIVE, leave(0), Verdict.IGNORE, ALIVE, []),
    ],
)
def test_intents(before: Status, intent: Intent, verdict: Verdict, after: Status | None, changes: list[str]) -> None:
    members = with_x(before)
    said, happened = members.hear(intent, 1.0)
    assert (said, [event.change for event in happened]) == (verdict, changes)
    entry = members.get("x")
    assert (entry.status if entry else None) is after
    if entry and verdict is not Verdict.IGNORE:
        assert entry.status_ltime == 6


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        (ALIVE, FAILED, [MemberChange.FAILED]),
        (LEAVING, LEFT, [MemberChange.LEAVE]),
        (LEFT, LEFT, []),
        (FAILED, FAILED, []),
    ],
)
def test_swim_says_gone(before: Status, after: Status, changes: list[MemberChange]) -> None:
    members = with_x(before)
    assert [event.change for event in members.gone("x", 9.0)] == changes
    assert members.get("x").status is after  # type: ignore[union-attr]
    assert members.gone("nobody", 9.0) == []


@pytest.mark.parametrize("before", [ALIVE, LEAVING, LEFT, FAILED])
def test_swim_says_joined(before: Status) -> None:
    members = with_x(before)
    (event,) = members.joined(told("x"))
    assert (event.change, event.member.status) == (MemberChange.JOIN, ALIVE)
    assert members.get("x").status_ltime == 5  # type: ignore[union-attr]


def test_leave_intents_about_us() -> None:
    members = Roster("us", PRUNE_DELAY_S)
    members.joined(told("us"))
    assert members.hear(leave(3, "us"), 0.0) == (Verdict.REFUTE, [])
    assert members.hear(leave(0, "us"), 0.0) == (Verdict.IGNORE, [])
    assert members.get("us").status_ltime == 0  # type: ignore[union-attr]
    assert members.hear(leave(3, "us"), 0.0, staying=False) == (Verdict.BEGIN_LEAVING, [])


@pytest.mark.parametrize(
    ("intents", "status", "ltime"),
    [([leave(4)], LEAVING, 4), ([join(4)], ALIVE, 4), ([leave(4), join(5)], ALIVE, 5), ([join(5), leave(4)], ALIVE, 5)],
)
def test_intents_before_the_member(intents: list[Intent], status: Status, ltime: int) -> None:
    members = Roster("us", PRUNE_DELAY_S)
    for intent in intents:
        members.hear(intent, 0.0)
    members.joined(told("x"))
    entry = members.get("x")
    assert entry is not None
    assert (entry.status, entry.status_ltime) == (status, ltime)


def test_a_leaving_member_is_pruned_after_its_farewell_unless_it_stays() -> None:
    for stays in (False, True):
        members = with_x(ALIVE)
        assert members.hear(leave(6, prune=True), 1.0) == (Verdict.BEGIN_LEAVING, [])
        assert members.next_prune() == 1.0 + PRUNE_DELAY_S
        if stays:
            members.hear(join(7), 2.0)
        assert [event.change for event in members.prune(7.0)] == ([] if stays else [MemberChange.REAP])
        assert members.next_prune() is None


def test_reap() -> None:
    limits = {"failed_s": 100.0, "left_s": 10.0}
    for status, limit in ((FAILED, 100.0), (LEFT, 10.0)):
        members = with_x(status)
        assert members.reap(limit, **limits) == []
        assert [event.change for event in members.reap(limit + 1, **limits)] == [MemberChange.REAP]
    assert with_x(ALIVE).reap(1e9, **limits) == []


def test_those_gone_longest_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "MEMBERS_MAX", 3)
    members = Roster("us", PRUNE_DELAY_S)
    for name in ("us", "old", "young"):
        members.joined(told(name))
    members.gone("young", 2.0)
    members.gone("old", 1.0)
    assert [(event.change, event.member.node) for event in members.joined(told("new"))] == [
        (MemberChange.REAP, "old"),
        (MemberChange.JOIN, "new"),
    ]


def test_tags_and_versions() -> None:
    members = Roster("us", PRUNE_DELAY_S)
    members.joined(told("x", encode_tags({"a": "b"})))
    assert members.get("x").member.tags == {"a": "b"}  # type: ignore[union-attr]
    (event,) = members.updated(told("x", b"\xff\xc1"))
    assert (event.change, event.member.tags) == (MemberChange.UPDATE, {})
    assert members.updated(told("nobody")) == []


def test_recent_intents_are_bounded_and_expire() -> None:
    recent = RecentIntents()
    for number in range(RECENT_INTENTS_MAX + 10):
        assert recent.remember(join(1, f"n{number}"), float(number))
    assert len(recent) == RECENT_INTENTS_MAX
    assert not recent.remember(leave(1, "n10"), 9999.0)
    recent.expire(RECENT_INTENT_TIMEOUT_S + 100)
    assert recent.newest("n100") is None
    assert recent.newest("n101") is not None


INTENTS = st.lists(st.builds(join, st.integers(0, 9)) | st.builds(leave, st.integers(0, 9)), max_size=4)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(INTENTS, st.sampled_from([ALIVE, LEAVING]))
def test_the_order_of_intents_does_not_matter(intents: list[Intent], before: Status) -> None:
    """While SWIM sees the member, and each time has one intent only (Lamport times of one member's intents differ)."""
    intents = list({intent.ltime: intent for intent in intents}.values())
    outcomes = set()
    for order in permutations(intents):
        members = with_x(before)
        for intent in order:
            members.hear(intent, 0.0)
        entry = members.get("x")
        assert entry is not None
        outcomes.add((entry.status, entry.status_ltime))
    assert len(outcomes) == 1


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(0, LTIME_MAX - 1)))
def test_the_clock_is_later_than_all_that_was_heard(heard: list[int]) -> None:
    clock = LamportClock()
    for ltime in heard:
        before = clock.time
        clock.witness(ltime)
        assert clock.time >= before
        assert clock.time > ltime
    assert clock.time == max([*heard, 0]) + 1
    assert not is_plausible(LTIME_MAX)
