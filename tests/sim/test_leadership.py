"""Stories of leaders: who may become one, who stays one, how one goes, and what an old one still says."""

from __future__ import annotations

from unittest import mock

import pytest

from dkv.errors import DkvError, LeadershipLost, NotLeader
from dkv.raft.candidacy import Candidacy
from dkv.raft.messages import HigherTerm, PreVote, Vote
from tests.sim.mutants import applied
from tests.sim.stage import HEARTBEAT_S, STEP_S, A, Ask, B, C, D, E, Stage
from tests.sim.truth import Violation


def led_by_a(*others: str) -> Stage:
    stage = Stage(A, *others)
    stage.elect(A, *others)
    stage.run(0.5)
    assert stage[A].can_serve_reads
    return stage


def leadership_with_a_half_deaf_node() -> Stage:
    """B does not hear the leader A, but C, and everybody hears B."""
    stage = led_by_a(B, C)
    stage.stall((A, B))
    stage.run(10.0)
    return stage


def test_a_half_deaf_node_deposes_nobody() -> None:
    stage = leadership_with_a_half_deaf_node()
    assert (stage[A].is_leader, stage[A].term, stage[B].term) == (True, 1, 1)
    stage.reckon()
    assert stage[A].term == 1


def test_without_loyalty_a_half_deaf_node_deposes_the_leader() -> None:
    with mock.patch.object(Candidacy, "is_loyal", False):
        assert leadership_with_a_half_deaf_node()[B].term > 1


def test_a_node_that_hears_nobody_does_not_raise_its_term() -> None:
    """Pre-vote: however long it was away, its return costs no election."""
    stage = led_by_a(B, C)
    stage.isolate(B)
    stage.run(10.0)
    assert stage[B].term == 1
    stage.reckon()
    assert (stage[A].is_leader, stage[A].term) == (True, 1)


def test_a_node_that_slept_reads_its_post_before_it_stands() -> None:
    stage = led_by_a(B, C)
    stage.run(5.0, A, C)
    stage.turn(B)
    assert not [message for message in stage.deliver(B, C) if isinstance(message, PreVote)]
    stage.reckon()
    assert stage[A].term == 1


def test_a_shorter_log_wins_no_pre_vote() -> None:
    stage = led_by_a(B, C)
    stage.isolate(C)
    write = stage.write(A, "x")
    stage.run(0.5)
    assert write.succeeded
    stage.heal()
    stage.isolate(A)  # so C and B are left, and only B has the write
    stage.run(5.0)
    assert stage[B].is_leader
    stage.reckon()


def deposed_and_told() -> Stage:
    """B leads term 2 with C's vote; A hears nothing of B, but talks to C."""
    stage = led_by_a(B, C)
    stage.elect(B, C)
    stage.wires[B, A].clear()
    stage.stall((B, A))
    stage.time += HEARTBEAT_S
    stage.turn(A)
    stage.deliver(A, C)
    told = stage.deliver(C, A)
    assert stage[A].is_leader != any(isinstance(message, HigherTerm) for message in told)
    return stage


def test_a_deposed_leader_is_told_and_stops() -> None:
    stage = deposed_and_told()
    assert (stage[A].is_leader, stage[A].term) == (False, 2)
    refused = stage.write(A, "x")
    stage.turn(A)
    assert refused.error is not None
    stage.reckon()


def test_without_the_answer_it_goes_on_for_a_while() -> None:
    def silent(self: Candidacy, sender: str, term: int) -> bool:
        return term < self._library.term

    with mock.patch.object(Candidacy, "refuses_old", silent):
        assert deposed_and_told()[A].is_leader


def test_a_leader_that_nobody_answers_steps_down() -> None:
    stage = led_by_a(B, C)
    stage.isolate(A)
    unconfirmed = stage.write(A, "x")
    stage.run(2.0)
    assert not stage[A].is_leader
    assert isinstance(unconfirmed.error, LeadershipLost), "it cannot know"
    stage.reckon()


def test_a_deposed_leader_ends_its_proposals_in_their_order() -> None:
    """Otherwise a seed is another world in each process: whoever is told first acts first."""
    stage = led_by_a(B, C)
    stage.isolate(A)
    ended: list[int] = []

    class Numbered(Ask):
        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

        def fail(self, error: DkvError) -> None:
            ended.append(self.number)

    tickets = [Numbered(number) for number in range(50)]
    for ticket in sorted(tickets, key=lambda ticket: ticket.number % 7):
        stage[A].propose(b"", ticket)
    stage.run(2.0)
    assert ended == [number for rest in range(7) for number in range(rest, 50, 7)]


def test_writes_at_a_follower_are_refused_at_once() -> None:
    stage = led_by_a(B, C)
    refused = stage.write(B, "x")
    stage.turn(B)
    assert isinstance(refused.error, NotLeader)


def read_at_a_leader_that_slept() -> None:
    """A slept through its own deposition, so shortly that it does not notice; its state is old."""
    stage = led_by_a(B, C)
    old = stage.write(A, "x", "old")
    stage.run(0.5)
    stage.elect(B, C)
    new = stage.write(B, "x", "new")
    stage.turn(B)
    stage.talk(B, C)
    assert old.succeeded
    assert new.succeeded
    assert stage[A].is_leader
    read = stage.read(A, "x")
    stage.turn(A)
    stage.run(1.0)
    assert read.succeeded
    stage.reckon()


def test_a_leader_that_slept_answers_no_stale_read() -> None:
    read_at_a_leader_that_slept()


def test_without_a_round_it_does() -> None:
    with applied("a read needs a round"), pytest.raises(Violation, match="stale read"):
        read_at_a_leader_that_slept()


def test_reads_at_every_node_see_the_newest_write() -> None:
    stage = led_by_a(B, C)
    for number in range(5):
        write = stage.write(A, "x", str(number))
        stage.run(0.3)
        assert write.succeeded
        reads = [stage.read(me, "x") for me in (A, B, C)]
        stage.run(0.3)
        assert all(read.succeeded for read in reads)


def test_a_node_without_links_that_is_told_to_stand_does_not_stand_later() -> None:
    stage = led_by_a(B, C)
    for other in (A, C):
        stage.unlink(B, other)
    stage[A].transfer(B, Ask())
    stage.turn(A)
    stage.deliver(A, B)
    stage.run(1.0)
    for other in (A, C):
        stage.link(B, other)
    stage.turn(B)
    assert stage[B].term == 1
    stage.reckon()


@pytest.mark.parametrize("target", [None, B])
def test_a_transfer_under_load_succeeds_and_loses_nothing(target: str | None) -> None:
    stage = led_by_a(B, C)
    asks = []
    transfer = Ask()
    for step in range(100):
        if step == 30:
            stage[A].transfer(target, transfer)
        leaders = [me for me in (A, B, C) if stage[me].is_leader]
        asks += [stage.write(leader, f"k{step % 7}", str(step)) for leader in leaders]
        stage.run(STEP_S)
    stage.run(1.0)
    assert transfer.succeeded
    assert not stage[A].is_leader
    assert stage[target or B].is_leader or target is None
    assert all(ask.ended for ask in asks)
    assert sum(ask.succeeded for ask in asks) > 80
    stage.reckon()


def test_a_transfer_to_a_node_that_does_not_answer_is_given_up() -> None:
    stage = led_by_a(B, C)
    stage.isolate(B)
    behind = stage.write(A, "x")
    stage.run(0.3)
    transfer = Ask()
    stage[A].transfer(B, transfer)
    held_back = stage.write(A, "y")
    stage.run(0.5)
    assert behind.succeeded
    assert not held_back.ended, "so that B could catch up"
    stage.run(1.5)
    assert transfer.error is not None
    assert held_back.succeeded
    assert stage[A].is_leader
    stage.reckon()


def test_five_nodes_survive_two() -> None:
    stage = led_by_a(B, C, D, E)
    before = stage.write(A, "x", "1")
    stage.run(0.3)
    stage.crash(A, B)
    stage.run(5.0)
    (leader,) = (me for me in (C, D, E) if stage[me].is_leader)
    after = stage.write(leader, "x", "2")
    stage.run(0.3)
    assert before.succeeded
    assert after.succeeded
    stage.reckon()


def test_a_vote_of_another_term_elects_nobody() -> None:
    stage = Stage(A, B, C)
    stage.elections(A).deadline = stage.time
    stage.turn(A)
    stage.deliver(A, B)
    stage.deliver(B, A)
    assert stage[A].term == 1
    for term in (0, 2):
        stage[A].receive(B, Vote(term))
        assert not stage[A].is_leader
    stage[A].receive(B, Vote(1))
    assert stage[A].is_leader
