"""The election timer, with seeded chance: when to stand, whom to be loyal to, when a pre-vote is won."""

import random

import pytest

from dkv.raft.elections import Elections, is_majority
from dkv.raft.options import Options
from tests.dkv.raft.doubles import A, B, C, D, E

OPTIONS = Options()
LOW_S, HIGH_S = OPTIONS.election_timeout_min_s, OPTIONS.election_timeout_max_s
NOW = 100.0


def elections(seed=1):
    return Elections(OPTIONS, random.Random(seed), NOW)


@pytest.mark.parametrize(
    ("agreeing", "voters", "expected"),
    [
        pytest.param({A}, (A,), True, id="alone"),
        pytest.param({A}, (A, B), False, id="one of two"),
        pytest.param({A, B}, (A, B), True, id="two of two"),
        pytest.param({A, B}, (A, B, C), True, id="two of three"),
        pytest.param({A, B}, (A, B, C, D), False, id="two of four"),
        pytest.param({A, D, E}, (A, B, C), False, id="strangers do not count"),
        pytest.param(set(), (), False, id="nobody of nobody"),
    ],
)
def test_a_majority_is_more_than_half_of_the_voters(agreeing, voters, expected):
    assert is_majority(agreeing, voters) is expected


def test_time_outs_are_spread_over_the_whole_range_and_replay_from_a_seed():
    timer, drawn = elections(), []
    assert NOW + LOW_S <= timer.deadline <= NOW + HIGH_S, "armed from the beginning"
    for _ in range(1000):
        timer.rearm(NOW)
        drawn.append(timer.deadline - NOW)
    width = HIGH_S - LOW_S
    assert LOW_S <= min(drawn) < LOW_S + 0.05 * width
    assert HIGH_S - 0.05 * width < max(drawn) <= HIGH_S
    again = elections()
    again.rearm(NOW)
    assert again.deadline - NOW == drawn[0]


def test_a_leader_that_is_heard_puts_the_election_off_and_ends_a_pre_vote():
    timer = elections()
    timer.begin_pre_vote(2, A, NOW)
    timer.granted(2, B)
    timer.heard_leader(NOW + 5)
    assert timer.deadline >= NOW + 5 + LOW_S
    assert timer.pre_vote_term is None
    assert not timer.pre_vote_won((A, B, C))


@pytest.mark.parametrize(
    ("heard_ago_s", "loyal"),
    [(0.0, True), (LOW_S * 0.99, True), (LOW_S * 1.01, False), (float("inf"), False)],
)
def test_loyalty_lasts_for_the_minimum_timeout(heard_ago_s, loyal):
    timer = elections()
    if heard_ago_s != float("inf"):
        timer.heard_leader(NOW - heard_ago_s)
    assert timer.is_loyal(NOW) is loyal


def test_a_leader_whose_process_ended_is_mourned_for_a_jitter_only():
    timer, deadlines = elections(), set()
    for _ in range(20):
        timer.heard_leader(NOW)
        timer.lost_leader(NOW)
        assert not timer.is_loyal(NOW)
        deadlines.add(timer.deadline)
    assert min(deadlines) >= NOW
    assert max(deadlines) <= NOW + OPTIONS.leader_lost_jitter_s
    assert len(deadlines) == 20


def test_losing_the_leader_never_puts_an_election_off():
    timer = elections()
    timer.deadline = NOW - 1
    timer.lost_leader(NOW)
    assert timer.deadline == NOW - 1


def test_a_pre_vote_runs_the_timer_anew_for_the_next_try():
    timer = elections()
    timer.begin_pre_vote(2, A, NOW + 50)
    assert NOW + 50 + LOW_S <= timer.deadline <= NOW + 50 + HIGH_S


@pytest.mark.parametrize(
    ("grants", "voters", "won"),
    [
        pytest.param([], (A,), True, id="alone: our own is enough"),
        pytest.param([], (A, B), False, id="our own is not half of two"),
        pytest.param([(2, B)], (A, B, C), True, id="two of three"),
        pytest.param([(2, B), (2, B)], (A, B, C, D, E), False, id="one twice is one"),
        pytest.param([(2, B), (2, C)], (A, B, C, D, E), True, id="three of five"),
        pytest.param([(1, B), (3, C)], (A, B, C), False, id="grants for other terms"),
        pytest.param([(2, D), (2, E)], (A, B, C), False, id="grants of strangers"),
        pytest.param([(2, B)], (B, C), False, id="we are no voter ourselves"),
    ],
)
def test_a_pre_vote_is_won_by_a_majority_of_the_voters_for_its_term(grants, voters, won):
    timer = elections()
    timer.begin_pre_vote(2, A, NOW)
    for term, node in grants:
        timer.granted(term, node)
    assert timer.pre_vote_won(voters) is won
    assert not timer.pre_vote_won(voters), "won twice"


def test_a_new_pre_vote_forgets_the_grants_of_the_last():
    timer = elections()
    timer.begin_pre_vote(2, A, NOW)
    timer.granted(2, B)
    timer.begin_pre_vote(2, A, NOW + 1)
    assert not timer.pre_vote_won((A, B, C))


def test_without_a_pre_vote_nothing_is_won():
    timer = elections()
    timer.granted(2, B)
    assert not timer.pre_vote_won((A,))
