"""Stories for rules that random worlds rarely need: each ends badly without its rule, and well with it.

Entry 2 is the first leader's own. A write of 250 bytes fills an append: two of them share it with nobody.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dkv.errors import FatalError
from tests.sim.mutants import applied
from tests.sim.stage import HEARTBEAT_S, A, Ask, B, C, D, E, Stage, with_checkpoints
from tests.sim.truth import Violation

BIG = 210
"""Padding that makes an entry of about 250 bytes."""


def deposed_with_a_longer_log() -> Stage:
    """A shares 3 and 4 with all, hears no answer, and has 5 and 6 alone; B leads term 2 with C's vote.

    B has its own 5 and 6, which C has not got yet. The links between A and B are new.
    """
    stage = Stage(A, B, C)
    stage.elect(A, B, C)
    stage.run(0.3)
    for key in ("three", "four"):
        stage.write(A, key, padding=BIG)
    stage.turn(A)
    stage.deliver(A, B)
    stage.deliver(A, C)
    for key in ("five", "six"):
        stage.write(A, key, "of term 1")
    stage.turn(A)
    stage.elect(B, C)
    for link in ((A, B), (B, A), (A, C), (C, A)):
        stage.relink(*link)
    stage.write(B, "six", "of term 2")
    stage.turn(B)
    assert (stage[A].status().last_index, stage[B].status().last_index) == (6, 6)
    return stage


def ask_for_what_a_lacks(stage: Stage) -> None:
    """A refuses B's heartbeat; with the next one B sends [3, 4] and, in a message behind it, [5, 6]."""
    stage.time += HEARTBEAT_S
    stage.turn(B)
    stage.deliver(B, A)
    stage.deliver(A, B)
    stage.time += HEARTBEAT_S
    stage.turn(B)


def a_leader_commits_what_this_follower_has_otherwise() -> None:
    """B has committed 6; the message with [3, 4] tells A so, whose own 5 and 6 were never committed."""
    stage = deposed_with_a_longer_log()
    stage.talk(B, C)
    assert stage[B].applied_index == 6
    stage.relink(B, A)
    ask_for_what_a_lacks(stage)
    stage.deliver(B, A, 1)
    stage.reckon()


def an_answer_claims_more_than_was_sent() -> None:
    """C gets nothing from B; A answers [3, 4] and has a 6, but not the 6 that B is about to confirm."""
    stage = deposed_with_a_longer_log()
    stage.stall((B, C))
    ask_for_what_a_lacks(stage)
    stage.deliver(B, A, 1)
    stage.deliver(A, B)
    stage.turn(B)
    stage.crash(B)
    stage.elect(A, C)
    stage.run(0.5)
    stage.reckon()


def an_answer_of_an_earlier_term_comes_late() -> None:
    """B acknowledges 3, 4, 5 of term 1, slowly; it is overruled in term 2; A leads term 3 and writes another 5."""
    stage = Stage(A, B, C, D, E)
    stage.elect(A, B, C)
    stage.run(0.3)
    stage.stall((B, A))
    for key in ("three", "four", "five"):
        stage.write(A, key, "of term 1")
    stage.turn(A)
    stage.deliver(A, B)  # the answer, "I have 5", is under way from now on
    for other in (C, D, E):
        stage.relink(A, other)
    stage.elect(C, D, E)
    stage.talk(A, C, D, E)
    stage.deliver(C, B)
    stage.deliver(B, C)
    stage.deliver(C, B)
    assert (stage[B].status().last_index, stage[B].status().vote) == (3, None)
    stage.elect(A, D, E)
    paid = stage.write(A, "five", "of term 3")
    stage.turn(A)
    stage.deliver(A, C)
    stage.deliver(C, A)
    assert not paid.ended, "two of five"
    stage.deliver(B, A, 1)
    stage.turn(A)
    stage.crash(A, C)
    for other in (D, E):
        stage.relink(B, other)
        stage.relink(other, B)
    stage.elect(B, D, E)
    stage.write(B, "five", "of term 4")
    stage.talk(B, D, E)
    stage.reckon()


def one_voter_votes_twice() -> None:
    """A has its own vote and B's, which the network doubles; C has its own, D's and E's."""
    stage = Stage(A, B, C, D, E)
    for candidate, electors in ((A, (B, D)), (C, (D, E))):
        stage.elections(candidate).deadline = stage.time
        stage.turn(candidate)
        for elector in electors:  # pre-votes only
            stage.deliver(candidate, elector, 1)
            stage.deliver(elector, candidate)
    assert (stage[A].term, stage[C].term) == (1, 1)
    stage.deliver(A, B)
    stage.wires[B, A].append(stage.wires[B, A][-1])
    stage.deliver(B, A)
    for elector in (D, E):
        stage.deliver(C, elector)
        stage.deliver(elector, C)
    assert stage[C].is_leader
    stage.reckon()


def a_deposed_leader_comes_back_with_one_entry_too_many() -> None:
    """It lacks several messages' worth; the answers to the first and to the later ones contradict each other."""
    stage = Stage(A, B, C)
    stage.elect(C, A, B)
    stage.run(0.3)
    stage.isolate(C)
    stage.write(C, "uncommitted", "of term 1")
    stage.turn(C)
    stage.elect(A, B)
    for number in range(12):
        stage.write(A, f"k{number}", padding=BIG)
    stage.run(0.5)
    stage.relink(A, C)
    stage.reckon()


def snapshot_older_than_the_log() -> tuple[Stage, Ask]:
    """B's log ends at 40 and A has counted on it, but B does not know that it is committed; C has nothing of it.

    A has no log any more that begins so early, so it will offer its snapshot at 26 or so. Also, one write that B lacks.
    """
    stage = Stage(A, B, C, options=with_checkpoints())
    stage.elect(A, B, C)
    stage.run(0.3)
    stage.isolate(C)
    writes = [stage.write(A, f"k{number}", padding=BIG) for number in range(38)]
    stage.turn(A)
    stage.deliver(A, B)
    stage.deliver(B, A, 24)
    stage.run(0.5, A)
    first = stage[A].status().first_index
    assert stage[B].status().commit_index < first < stage[B].status().last_index == 40
    stage.deliver(B, A)
    stage.turn(A)
    assert all(write.succeeded for write in writes)
    lost = stage.write(A, "one more")
    stage.turn(A)
    stage.relink(A, B)
    return stage, lost


def a_snapshot_is_older_than_what_the_follower_has() -> None:
    """A dies when B has installed it, or does not; what B had must not be gone."""
    stage, _ = snapshot_older_than_the_log()
    for _ in range(20):
        stage.time += HEARTBEAT_S
        stage.turn(A)
        stage.deliver(A, B)
        if stage[B].status().last_index < 40:
            break
        stage.deliver(B, A)
    stage.crash(A)
    stage.heal()
    stage.run(5.0)
    (leader,) = (me for me in (B, C) if stage[me].is_leader)
    stage.write(leader, "another")
    stage.run(0.5)
    stage.reckon()


def an_answer_to_a_question_of_an_earlier_life() -> None:
    """B asks the leader for a read index, dies and comes back, and asks again; the first answer is not the second's.

    Nothing but TCP, one lost connection and one kill -9 is needed. The leader's round began before the second write.
    """
    stage = Stage(A, B, C)
    stage.elect(A, B, C)
    first = stage.write(A, "x", "old")
    stage.run(0.5)
    assert first.succeeded

    stage.read(B, "x")
    stage.turn(B)
    stage.deliver(B, A)  # A begins a round at the first write's index, for B's question
    stage.relink(A, C)  # C's probe is lost with its connection, B's with B
    second = stage.write(A, "x", "new")
    stage.turn(A)
    stage.crash(B)
    stage.deliver(A, C)
    stage.deliver(C, A)
    stage.turn(A)
    assert second.succeeded

    stage.enter(B)
    stage.time += HEARTBEAT_S
    stage.turn(A)
    stage.deliver(A, B)  # who leads; but the log of B has a gap, so it learns of no new commit
    read = stage.read(B, "x")
    stage.turn(B)  # asks, under the number that its former life used
    stage.time += HEARTBEAT_S
    stage.turn(A)  # the old round is probed for again
    stage.deliver(A, C)
    stage.deliver(C, A)
    stage.deliver(A, B)
    stage.reckon()
    assert read.ended


STORIES: dict[Callable[[], None], tuple[str, str]] = {
    a_leader_commits_what_this_follower_has_otherwise: ("commit no further than proven", "something else at"),
    an_answer_claims_more_than_was_sent: ("an acknowledgement claims what was proven", "something else at|LOST"),
    an_answer_of_an_earlier_term_comes_late: ("replies of another term do not count", "something else at|LOST"),
    one_voter_votes_twice: ("one voter, one vote", "two leaders in term 1"),
    an_answer_to_a_question_of_an_earlier_life: ("an answer is one to a question of this life", "stale read"),
    a_deposed_leader_comes_back_with_one_entry_too_many: ("a refusal answers commit + 1", "LIVENESS"),
    a_snapshot_is_older_than_what_the_follower_has: (
        "no snapshot over a log that has its last entry",
        "something else at|LOST",
    ),
}
"""Story → the rule that it needs, and what is said without it."""


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_it_ends_well(story: Callable[[], None]) -> None:
    story()


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_without_the_rule_it_ends_badly(story: Callable[[], None]) -> None:
    rule, verdict = STORIES[story]
    with applied(rule), pytest.raises((Violation, FatalError), match=verdict):
        story()


def test_a_follower_that_does_not_want_the_snapshot_still_gets_on() -> None:
    """The leader offers it again and again, and B, the only other one alive, confirms no write any more."""
    stage, lost = snapshot_older_than_the_log()
    stage.run(10.0, A, B)
    assert lost.succeeded
