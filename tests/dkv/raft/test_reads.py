"""Rounds of the leader and questions of the followers: whom which confirmation serves, and whom it must not."""

import pytest

from dkv.raft.reads import ReadRounds, RemoteReads
from tests.dkv.raft.doubles import A, B, C, D, E

VOTERS = (A, B, C)
PATIENCE_S = 0.2


def rounds_with(*readers):
    rounds = ReadRounds(A)
    for reader in readers:
        rounds.begin(reader)
    return rounds


def test_a_round_serves_all_who_came_before_it_with_the_commit_index_of_its_start():
    rounds = rounds_with("first", "second")
    assert rounds.next_round(7, 0.0) == 1
    rounds.confirm(B, 1)
    assert rounds.take_served(VOTERS) == (7, ["first", "second"])
    assert rounds.idle


def test_a_late_reader_waits_for_the_next_round():
    rounds = rounds_with("early")
    rounds.next_round(7, 0.0)
    rounds.begin("late")
    assert rounds.next_round(8, 0.0) is None, "one round at a time"
    rounds.confirm(B, 1)
    assert rounds.take_served(VOTERS) == (7, ["early"])
    assert not rounds.idle
    assert rounds.next_round(9, 0.1) == 2
    rounds.confirm(B, 2)
    assert rounds.take_served(VOTERS) == (9, ["late"])


@pytest.mark.parametrize(
    ("confirmations", "voters", "served"),
    [
        pytest.param([], (A,), True, id="a lone voter"),
        pytest.param([], VOTERS, False, id="nobody"),
        pytest.param([(B, 2)], VOTERS, True, id="two of three"),
        pytest.param([(B, 1)], VOTERS, False, id="an answer to an old round"),
        pytest.param([(B, 3)], VOTERS, False, id="an answer to no round of ours"),
        pytest.param([(D, 2), (E, 2)], VOTERS, False, id="only voters count"),
        pytest.param([(B, 2), (B, 2)], (A, B, C, D, E), False, id="one voter counts once"),
        pytest.param([(B, 2)], (B, C), False, id="we have no vote ourselves"),
    ],
)
def test_a_majority_of_the_voters_confirms_this_very_round(confirmations, voters, served):
    rounds = rounds_with("old")
    rounds.next_round(6, 0.0)
    rounds.confirm(B, 1)
    rounds.take_served(VOTERS)
    rounds.begin("reader")
    assert rounds.next_round(7, 0.0) == 2
    for node, number in confirmations:
        rounds.confirm(node, number)
    assert rounds.take_served(voters) == ((7, ["reader"]) if served else None)


def test_without_readers_there_is_no_round():
    rounds = rounds_with()
    rounds.confirm(B, 0)
    assert rounds.next_round(7, 0.0) is None
    assert rounds.resend(100.0, PATIENCE_S) is None
    assert rounds.take_served(VOTERS) is None


def test_a_round_without_majority_is_sent_again_under_its_number():
    rounds = rounds_with("reader")
    rounds.next_round(7, 0.0)
    times = (0.1, 0.2, 0.3, 0.4)
    assert [rounds.resend(now, PATIENCE_S) for now in times] == [None, 1, None, 1]
    rounds.confirm(B, 1)
    assert rounds.take_served(VOTERS) == (7, ["reader"])


def test_a_deposed_leader_gives_all_its_readers_back_and_its_round_serves_nobody():
    rounds = rounds_with("running")
    rounds.next_round(7, 0.0)
    rounds.begin("waiting")
    assert rounds.take_all() == ["running", "waiting"]
    assert rounds.idle
    rounds.begin("later")
    rounds.confirm(B, 1)
    assert rounds.next_round(8, 0.0) == 2, "numbers are not used again"
    rounds.confirm(B, 1)
    assert rounds.take_served(VOTERS) is None


def remote_with(*readers, ticket=40):
    remote = RemoteReads(ticket)
    for reader in readers:
        remote.begin(reader, 0.0)
    assert remote.idle is (not readers)
    return remote


def test_one_question_serves_all_who_came_before_it():
    remote = remote_with("first", "second")
    assert remote.next_question(0.0, PATIENCE_S) == 41
    remote.begin("late", 0.0)
    assert remote.next_question(0.1, PATIENCE_S) is None, "one question at a time"
    assert remote.answered(41) == ["first", "second"]
    assert remote.next_question(0.1, PATIENCE_S) == 42
    assert remote.answered(42) == ["late"]
    assert remote.idle


@pytest.mark.parametrize("ticket", [40, 0, 1, 42])
def test_an_answer_to_another_question_or_of_an_earlier_life_serves_nobody(ticket):
    remote = remote_with("reader")
    remote.next_question(0.0, PATIENCE_S)
    assert remote.answered(ticket) == []
    assert remote.answered(41) == ["reader"]
    assert remote.answered(41) == [], "once"


def test_a_lost_answer_is_asked_for_again():
    remote = remote_with("early")
    remote.next_question(5.0, PATIENCE_S)
    assert remote.next_question(5.1, PATIENCE_S) is None
    remote.begin("late", 5.1)
    again = remote.next_question(5.3, PATIENCE_S)
    assert again is not None
    assert "early" in remote.answered(again)


def test_links_slower_than_the_patience_delay_an_answer_but_do_not_prevent_it():
    """60 ms each way: question, probe, its reply and the answer take 240 ms, more than two heartbeats."""
    remote, under_way = remote_with("reader"), []
    for step in range(100):
        now = step * 0.02
        question = remote.next_question(now, PATIENCE_S)
        if question is not None:
            under_way.append((now + 0.24, question))
        if under_way and under_way[0][0] <= now and remote.answered(under_way.pop(0)[1]):
            return
    raise AssertionError("two seconds, and no answer counted")


def test_another_leader_is_asked_anew_and_the_old_ones_answer_serves_nobody():
    remote = remote_with("asked")
    remote.next_question(0.0, PATIENCE_S)
    remote.begin("waiting", 0.0)
    remote.ask_again()
    assert remote.answered(41) == []
    assert remote.next_question(0.0, PATIENCE_S) == 42
    assert remote.answered(42) == ["asked", "waiting"]


def test_who_waits_too_long_for_a_leader_gives_up():
    remote = RemoteReads(0)
    for time, reader in ((1.0, "old"), (2.0, "young")):
        remote.begin(reader, time)
    assert remote.take_older_than(0.9) == []
    assert remote.take_older_than(1.0) == ["old"]
    assert remote.take_older_than(1.0) == [], "once"
    assert remote.take_all() == ["young"]


def test_a_new_leader_takes_all_its_readers_over():
    remote = remote_with("asked")
    remote.next_question(0.0, PATIENCE_S)
    remote.begin("waiting", 0.0)
    assert remote.take_all() == ["asked", "waiting"]
    assert remote.idle
    assert remote.answered(41) == []
