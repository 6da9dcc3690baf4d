"""Readers from the first word to the applied index, as leader, as follower, and in between."""

import pytest

from dkv.errors import NoLeader, Outcome
from dkv.raft.messages import ReadIndexReply, ReadIndexRequest, ReadProbe
from dkv.raft.options import Options
from dkv.raft.readers import Readers, no_leader
from tests.dkv.raft.doubles import A, B, C, D, Sent, Waiter

TERM = 5
OPTIONS = Options()
RESEND_S = 2 * OPTIONS.heartbeat_s
VOTERS = (A, B, C)


@pytest.fixture
def sent():
    return Sent()


@pytest.fixture
def readers(sent):
    return Readers(A, OPTIONS, sent, first_ticket=70)


def lead(readers, commit_index=9, voters=VOTERS, now=0.0):
    readers.lead(TERM, commit_index, voters, A, now)


def test_a_leader_asks_the_other_voters_and_serves_once_its_index_is_applied(readers, sent):
    waiter = Waiter()
    readers.begin(waiter, leading=True, now=0.0)
    lead(readers)
    assert sent.take() == [(B, ReadProbe(TERM, 1)), (C, ReadProbe(TERM, 1))]
    assert readers.take_served(100) == []
    readers.confirmed(B, 1)
    lead(readers, commit_index=12)
    assert readers.take_served(8) == [], "9 is not applied yet"
    assert readers.take_served(9) == [(waiter, 9)], "the commit index of the round's start"
    assert readers.take_served(10) == []


def test_a_lone_voter_needs_no_message(readers, sent):
    waiter = Waiter()
    readers.begin(waiter, leading=True, now=0.0)
    lead(readers, voters=(A,))
    assert (readers.take_served(9), sent) == ([(waiter, 9)], [])


def test_the_next_round_begins_in_the_step_that_serves_the_last(readers, sent):
    readers.begin(Waiter(), leading=True, now=0.0)
    lead(readers)
    readers.begin(Waiter(), leading=True, now=0.0)
    readers.confirmed(C, 1)
    sent.take()
    lead(readers)
    assert sent == [(B, ReadProbe(TERM, 2)), (C, ReadProbe(TERM, 2))]


def test_a_lost_probe_is_sent_again(readers, sent):
    readers.begin(Waiter(), leading=True, now=0.0)
    lead(readers)
    sent.take()
    lead(readers, now=RESEND_S * 0.9)
    assert sent == []
    lead(readers, now=RESEND_S)
    assert sent == [(B, ReadProbe(TERM, 1)), (C, ReadProbe(TERM, 1))]


def test_a_followers_question_shares_the_round_and_is_answered_with_its_ticket(readers, sent):
    waiter = Waiter()
    readers.begin(waiter, leading=True, now=0.0)
    readers.asked(D, 33)
    lead(readers)
    readers.confirmed(B, 1)
    sent.take()
    lead(readers)
    assert sent == [(D, ReadIndexReply(TERM, 33, 9))]
    assert readers.take_served(9) == [(waiter, 9)]


def test_a_follower_asks_its_leader_and_waits_until_so_much_is_applied(readers, sent):
    waiter = Waiter()
    readers.begin(waiter, leading=False, now=0.0)
    assert readers.follow(TERM, B, 0.0) == []
    assert sent == [(B, ReadIndexRequest(TERM, 71))]
    readers.answered(71, 20)
    assert readers.take_served(19) == []
    assert readers.take_served(20) == [(waiter, 20)]


def test_another_leader_is_asked_at_once(readers, sent):
    readers.begin(Waiter(), leading=False, now=0.0)
    readers.follow(TERM, B, 0.0)
    readers.follow(TERM + 1, C, 0.01)
    assert sent == [(B, ReadIndexRequest(TERM, 71)), (C, ReadIndexRequest(TERM + 1, 72))]
    readers.answered(71, 20)
    assert readers.take_served(100) == []


def test_without_a_leader_a_reader_waits_for_its_patience_only(readers, sent):
    early, late = Waiter(), Waiter()
    readers.begin(early, leading=False, now=0.0)
    readers.follow(TERM, B, 0.0)
    readers.begin(late, leading=False, now=0.5)
    sent.take()
    assert readers.follow(TERM, None, OPTIONS.read_patience_s - 0.01) == []
    assert readers.follow(TERM, None, OPTIONS.read_patience_s) == [early]
    readers.follow(TERM + 1, C, OPTIONS.read_patience_s)
    readers.answered(72, 4)
    assert readers.take_served(4) == [(late, 4)]


def test_a_deposed_leaders_own_readers_ask_the_next_one_and_its_rounds_count_no_more(readers, sent):
    waiter = Waiter()
    readers.begin(waiter, leading=True, now=0.0)
    readers.asked(D, 33)
    lead(readers)
    sent.take()
    readers.deposed(0.0)
    readers.confirmed(B, 1)
    readers.follow(TERM + 1, B, 0.0)
    assert sent == [(B, ReadIndexRequest(TERM + 1, 71))]
    assert readers.take_served(100) == []
    readers.answered(71, 20)
    assert readers.take_served(100) == [(waiter, 20)], "D asks again by itself"


def test_a_new_leaders_waiting_readers_take_part_in_its_rounds(readers, sent):
    asked, waiting = Waiter(), Waiter()
    readers.begin(asked, leading=False, now=0.0)
    readers.follow(TERM - 1, B, 0.0)
    readers.begin(waiting, leading=False, now=0.0)
    readers.crowned()
    readers.answered(71, 1)
    lead(readers)
    readers.confirmed(B, 1)
    lead(readers)
    assert readers.take_served(9) == [(asked, 9), (waiting, 9)]


def test_those_who_wait_for_an_index_are_served_in_the_order_of_their_indexes(readers):
    waiters = {index: Waiter() for index in (8, 5, 6, 9)}
    for index, waiter in waiters.items():
        readers.await_applied(index, waiter)
    assert readers.take_served(8) == [(waiters[5], 5), (waiters[6], 6), (waiters[8], 8)]
    assert readers.take_served(9) == [(waiters[9], 9)]


def test_no_leader_is_told_as_something_that_changed_nothing():
    error = no_leader()
    assert isinstance(error, NoLeader)
    assert (error.outcome, error.retryable) == (Outcome.NOT_APPLIED, True)
