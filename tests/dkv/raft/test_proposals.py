"""Proposals: handed over in order, ended once, told the truth when the leader is deposed."""

import pytest

from dkv.errors import LeadershipLost, Outcome
from dkv.raft.library import FAIL_REASON
from dkv.raft.proposals import Proposals
from tests.dkv.raft.doubles import A, FakeLibrary, Waiter


class Stand:
    def __init__(self):
        self.library = FakeLibrary(A, leader=A)
        self.proposals = Proposals(self.library, Waiter.finish)

    def add(self, command):
        waiter = Waiter()
        self.proposals.add(command, waiter)
        return waiter


@pytest.fixture
def stand():
    return Stand()


def test_what_waits_goes_to_the_library_once_and_in_order(stand):
    stand.add(b"one")
    stand.add(b"two")
    assert stand.library.calls == []
    stand.proposals.hand_over()
    stand.proposals.hand_over()
    assert stand.library.calls == [("propose", b"one"), ("propose", b"two")]


def test_each_ends_with_its_own_result(stand):
    one, two = stand.add(b"one"), stand.add(b"two")
    stand.proposals.hand_over()
    stand.library.end_proposal("first")
    assert (one.end, two.end) == (("first", None), None)
    stand.library.end_proposal("second")
    assert two.end == ("second", None)
    stand.proposals.deposed()
    assert two.end == ("second", None), "nobody ends twice"


@pytest.mark.parametrize(
    "reason", [FAIL_REASON.DISCARDED, FAIL_REASON.MISSING_LEADER, FAIL_REASON.NOT_LEADER, FAIL_REASON.QUEUE_FULL]
)
def test_what_the_library_refuses_is_in_no_log(stand, reason):
    waiter = stand.add(b"x")
    stand.proposals.hand_over()
    stand.library.end_proposal(None, reason)
    assert isinstance(waiter.error, LeadershipLost)
    assert (waiter.error.outcome, waiter.error.retryable) == (Outcome.NOT_APPLIED, True)


def test_a_deposed_leader_knows_nothing_of_what_it_handed_over_and_all_of_what_it_did_not(stand):
    handed = stand.add(b"handed")
    stand.proposals.hand_over()
    waiting = stand.add(b"waiting")
    stand.proposals.deposed()
    assert (handed.error.outcome, waiting.error.outcome) == (Outcome.UNKNOWN, Outcome.NOT_APPLIED)
    stand.proposals.hand_over()
    assert len(stand.library.proposals) == 1, "what was told to be not applied never reaches the library"


def test_an_end_after_the_fall_is_not_told_twice(stand):
    waiter = stand.add(b"x")
    stand.proposals.hand_over()
    stand.proposals.deposed()
    first = waiter.end
    stand.library.end_proposal("applied after all")
    assert waiter.end is first


def test_the_next_term_begins_with_nothing(stand):
    stand.add(b"old")
    stand.proposals.deposed()
    stand.proposals.deposed()
    again = stand.add(b"new")
    stand.proposals.hand_over()
    stand.library.end_proposal("done")
    assert again.end == ("done", None)
