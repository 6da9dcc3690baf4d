"""Stories of members: clusters of one and of two; who joins, who leaves, and who comes back, from where."""

from __future__ import annotations

import pickle
from typing import Any
from unittest import mock

import pytest

from dkv.errors import DkvError, MembershipRefused
from dkv.raft.changes import Changes
from dkv.raft.contracts import Entry
from dkv.raft.guard import Guard
from dkv.raft.library import Library
from dkv.raft.messages import AppendEntries, BadMessage, PreVoteReply, RequestVote, Vote
from dkv.raft.status import Role
from tests.sim.stage import A, Ask, B, C, D, E, Stage, with_checkpoints


def led_by_a(*others: str, **options: Any) -> Stage:
    stage = Stage(A, *others, **options)
    stage.elect(A, *others)
    stage.run(0.5)
    return stage


def add(stage: Stage, node: str) -> Ask:
    ask = Ask()
    stage[A].add_voter(node, ask)
    return ask


def remove(stage: Stage, node: str) -> Ask:
    ask = Ask()
    stage[A].remove_voter(node, ask)
    return ask


# ---- how many


def test_one_voter_leads_at_once_and_commits_alone() -> None:
    stage = Stage(A)
    write = stage.write(A, "x")
    stage.turn(A)
    write = stage.write(A, "x")
    for _ in range(5):
        stage.turn(A)
    assert write.succeeded, "without time passing"
    read = stage.read(A, "x")
    stage.turn(A)
    assert read.succeeded
    stage.reckon()


def test_one_voter_never_confirms_before_its_own_disk_has_it() -> None:
    stage = led_by_a()
    write = stage.write(A, "x")
    stage[A].tick()
    stage[A].settle()
    assert not write.ended
    stage.run(0.2)
    assert write.succeeded
    stage.crash(A)
    stage.reckon()


def test_two_voters_need_both() -> None:
    stage = led_by_a(B)
    write = stage.write(A, "x")
    stage.run(0.3)
    assert write.succeeded
    stage.crash(B)
    alone = stage.write(A, "y")
    stage.run(0.5)
    assert not alone.ended
    stage.reckon()


def test_one_grows_to_three_and_shrinks_to_one() -> None:
    stage = led_by_a()
    for joiner in (B, C):
        stage.enter(joiner)
        ask = add(stage, joiner)
        stage.run(1.0)
        assert ask.succeeded
    assert set(stage[A].status().voters) == {A, B, C}
    stage.write(A, "x")
    stage.run(0.3)
    for leaver in (B, C):
        ask = remove(stage, leaver)
        stage.run(1.0)
        assert ask.succeeded
        assert stage[leaver].role() is Role.REMOVED
    write = stage.write(A, "x")
    stage.run(0.3)
    assert write.succeeded
    stage.crash(B, C)
    stage.reckon()


# ---- who


def add_one_that_never_catches_up() -> Stage:
    """Of A, B and C, C is dead; D is to be added and hears nothing."""
    stage = led_by_a(B, C)
    stage.crash(C)
    stage.enter(D)
    stage.isolate(D)
    add(stage, D)
    stage.run(1.0)
    return stage


def test_a_learner_that_never_catches_up_never_votes() -> None:
    stage = add_one_that_never_catches_up()
    write = stage.write(A, "x")
    stage.run(5.0)
    assert write.succeeded
    assert set(stage[A].status().voters) == {A, B, C}
    assert stage[A].status().learners == (D,)


def test_without_waiting_for_it_the_cluster_stops() -> None:
    with mock.patch.object(Changes, "_has_caught_up", return_value=True):
        stage = add_one_that_never_catches_up()
        write = stage.write(A, "x")
        stage.run(5.0)
        assert not write.succeeded


def test_a_second_change_waits_its_turn() -> None:
    stage = led_by_a(B, C)
    stage.enter(D)
    stage.enter(E)
    first, second = add(stage, D), add(stage, E)
    stage.turn(A)
    assert isinstance(second.error, MembershipRefused)
    stage.run(1.0)
    assert first.succeeded
    third = remove(stage, B)
    stage.run(1.0)
    assert third.succeeded
    assert set(stage[A].status().voters) == {A, C, D}
    stage.reckon()


def test_a_removal_does_not_wait_for_a_learner_that_never_comes() -> None:
    stage = add_one_that_never_catches_up()
    removed = remove(stage, C)
    stage.run(0.5)
    assert removed.succeeded
    assert set(stage[A].status().voters) == {A, B}
    assert stage[A].status().learners == (C,), "it would learn of its removal, if it lived"


def test_the_leader_is_not_removed() -> None:
    stage = led_by_a(B, C)
    refused = remove(stage, A)
    stage.turn(A)
    assert isinstance(refused.error, MembershipRefused)
    assert "transfer" in str(refused.error)
    assert A in stage[A].status().voters


def test_a_former_leader_is() -> None:
    stage = led_by_a(B, C)
    transfer = Ask()
    stage[A].transfer(B, transfer)
    stage.run(1.0)
    assert transfer.succeeded
    removed = Ask()
    stage[B].remove_voter(A, removed)
    stage.run(1.0)
    assert removed.succeeded
    assert stage[A].role() is Role.REMOVED
    stage.run(5.0)
    assert (stage[B].is_leader, stage[B].term) == (True, 2), "and does not disturb those who stay"
    stage.reckon()


def test_a_deposed_leader_forgets_a_change_that_it_began_alone() -> None:
    """Single-server changes: what the cut-off leader decided must not count against the majority's decision."""
    stage = led_by_a(B, C)
    stage.isolate(A)
    cut_off = remove(stage, B)
    stage.run(0.3)
    assert set(stage[A].status().voters) == {A, C}, "it counts from the moment it is in the log"
    stage.run(3.0)
    assert isinstance(cut_off.error, DkvError)
    stage.enter(D)
    (leader,) = (me for me in (B, C) if stage[me].is_leader)
    stage.stall((A, D), (D, A))
    added = Ask()
    stage[leader].add_voter(D, added)
    stage.run(1.0)
    assert added.succeeded
    stage.reckon()
    assert all(set(stage[me].status().voters) == {A, B, C, D} for me in (A, B, C, D))


# ---- what they are sent


class Bomb:
    """Unpickling it is heard."""

    heard: list[str] = []  # noqa: RUF012  # shared on purpose

    def __reduce__(self) -> tuple[Any, ...]:
        return Bomb.heard.append, ("boom",)


@pytest.mark.parametrize(
    "pickled",
    [
        pickle.dumps(["add", D]),
        pickle.dumps(["add", D], 2) + b".",
        pickle.dumps(["add", "not an identity"], 2),
        pickle.dumps(["add", D, Bomb()], 2),
        pickle.dumps(Bomb()),
        b"",
    ],
)
def test_a_pickle_from_the_network_never_reaches_the_library(pickled: bytes) -> None:
    stage = led_by_a(B, C)
    entry = Entry(b"\x02" + pickled, 3, 1)
    with mock.patch.object(Library, "deliver") as deliver, pytest.raises(BadMessage):
        stage[B].receive(A, AppendEntries(1, 2, 1, 2, [entry]))
    deliver.assert_not_called()
    assert Bomb.heard == []
    assert stage[B].status().last_index == 2


def test_without_the_rule_the_log_refuses_it_still() -> None:
    stage = led_by_a(B, C)
    entry = Entry(b"\x02" + pickle.dumps(Bomb()), 3, 1)
    with mock.patch.object(Guard, "check_entries"), pytest.raises(ValueError, match="canonical"):
        stage[B].receive(A, AppendEntries(1, 2, 1, 2, [entry]))
    assert Bomb.heard == []


@pytest.mark.parametrize(
    "entries",
    [
        [Entry(b"\x00x", 4, 1)],
        [Entry(b"\x00x", 3, 1), Entry(b"\x00x", 3, 1)],
        [Entry(b"\x00x", 3, 0)],
        [Entry(b"\x00x", 3, 2)],
        [Entry(b"\x03x", 3, 1)],
        [Entry(b"", 3, 1)],
    ],
)
def test_entries_that_cannot_be_are_refused(entries: list[Entry]) -> None:
    stage = led_by_a(B, C)
    with pytest.raises(BadMessage):
        stage[B].receive(A, AppendEntries(1, 2, 1, 2, entries))
    assert stage[B].status().last_index == 2
    stage.reckon()


def test_a_command_that_the_library_would_cut_in_pieces_is_refused() -> None:
    stage = led_by_a(B, C)
    stage.write(A, "x", padding=400)
    with pytest.raises(AssertionError, match="fragmented"):
        stage.turn(A)


# ---- who comes back


def test_a_snapshot_replaces_a_longer_log_of_another_term() -> None:
    """C led alone and has 60 entries that nobody else has; meanwhile the others have forgotten what it needs."""
    stage = Stage(A, B, C, options=with_checkpoints())
    stage.elect(C, A, B)
    stage.run(0.3)
    stage.isolate(C)
    lost = [stage.write(C, f"k{number}", "of term 1") for number in range(60)]
    stage.turn(C)
    stage.elect(A, B)
    for number in range(30):
        stage.write(A, f"k{number}", "of term 2")
        stage.run(0.1)
    assert stage[A].status().first_index > 3
    assert stage[A].status().last_index < stage[C].status().last_index
    stage.relink(A, C)
    stage.reckon()
    assert all(ask.error is not None for ask in lost)
    assert stage[C].status().first_index > 3
    stage.crash(C)
    stage.reckon()


def test_a_node_that_was_away_for_long_gets_a_snapshot_and_goes_on() -> None:
    stage = led_by_a(B, C, options=with_checkpoints())
    stage.crash(C)
    for number in range(50):
        stage.write(A, f"k{number % 9}", str(number))
        stage.run(0.1)
    stage.enter(C)
    stage.run(3.0)
    assert stage[C].status().first_index > 3
    assert stage[C].applied_index == stage[A].applied_index
    stage.crash(A, C)
    stage.reckon()


def test_a_wiped_node_comes_back_as_somebody_else() -> None:
    """Its new identity catches up and votes; the old one never again, not even when its old disk turns up."""
    stage = led_by_a(B, C)
    stage.write(A, "x")
    stage.run(0.3)
    stage.crash(C)
    stage.enter(D)
    added = add(stage, D)
    stage.run(1.0)
    assert added.succeeded
    removed = remove(stage, C)
    stage.run(1.0)
    assert removed.succeeded
    assert set(stage[D].status().voters) == {A, B, D}
    write = stage.write(A, "x", "again")
    stage.run(0.3)
    assert write.succeeded

    stage.crash(A)
    stage.stall((B, D), (D, B))
    stage.enter(C)
    stage.run(5.0)
    assert not [me for me in stage.players if stage[me].is_leader], "one voter of three, and C has no say"
    last = stage[C].status()
    asked = RequestVote(stage[B].term + 1, last.last_index, 1, transfer=True)
    stage[B].receive(C, asked)
    stage.turn(B)
    assert not [message for message in stage.deliver(B, C) if isinstance(message, Vote)]
    stage[B].receive(C, PreVoteReply(stage[B].term, stage[B].term + 1, granted=True))
    stage.run(2.0)
    assert not stage[B].is_leader

    del stage.disks[C]
    stage.crash(C)
    stage.reckon()
