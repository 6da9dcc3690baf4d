"""Leadership transfer: refusals, the wait for somebody who is level, and each way in which it ends."""

import pytest

from dkv.errors import MembershipRefused, Timeout
from dkv.raft.handover import Handover
from dkv.raft.options import Options
from tests.dkv.raft.doubles import A, B, C, D, FakeLibrary, Waiter

TERM, NOW = 3, 10.0
DEADLINE = NOW + Options().election_timeout_max_s


class Stand:
    def __init__(self, target=B, voters=(A, B, C)):
        self.library = FakeLibrary(A, term=TERM, leader=A)
        self.handover = Handover(self.library, Options(), lambda ticket, error: ticket.finish(None, error))
        self.waiter = self.begin(target, voters)

    def begin(self, target, voters=(A, B, C)):
        waiter = Waiter()
        self.handover.begin(target, voters, A, waiter, NOW)
        return waiter

    def step(self, now=NOW):
        self.handover.step(now)
        return self.library.take_calls()


@pytest.mark.parametrize(
    ("target", "voters", "diagnosis"),
    [
        pytest.param(D, (A, B, C), f"{D} is not a voter", id="a stranger"),
        pytest.param(None, (A,), "no other voter", id="nobody else"),
    ],
)
def test_who_cannot_lead_is_refused(target, voters, diagnosis):
    stand = Stand(target, voters)
    assert isinstance(stand.waiter.error, MembershipRefused)
    assert diagnosis in stand.waiter.error.message
    assert not stand.handover.is_pending


def test_two_voters_are_enough():
    stand = Stand(B, (A, B))
    assert stand.step() == [("transfer", B)]


def test_a_transfer_to_the_leader_itself_is_done_already():
    stand = Stand(A)
    assert stand.waiter.succeeded
    assert not stand.handover.is_pending


def test_a_second_transfer_is_refused_and_the_first_goes_on():
    stand = Stand()
    second = stand.begin(C)
    assert isinstance(second.error, MembershipRefused)
    assert stand.step() == [("transfer", B)]


@pytest.mark.parametrize("target", [B, None])
def test_it_asks_until_somebody_is_level_and_then_no_more(target):
    stand = Stand(target)
    stand.library.somebody_is_level = False
    assert stand.step() == stand.step() == [("transfer", target)]
    stand.library.somebody_is_level = True
    assert stand.step() == [("transfer", target)]
    assert stand.step() == []
    assert stand.handover.is_pending


def test_it_succeeds_when_another_leader_is_known():
    stand = Stand()
    stand.step()
    stand.library.term, stand.library.leader = TERM + 1, None
    assert stand.step() == []
    assert stand.waiter.end is None, "deposed, but by whom?"
    stand.library.leader = B
    stand.step()
    assert stand.waiter.succeeded
    assert not stand.handover.is_pending


def test_it_is_given_up_at_its_deadline():
    stand = Stand()
    stand.step()
    stand.step(DEADLINE - 0.01)
    assert stand.waiter.end is None
    stand.step(DEADLINE)
    assert isinstance(stand.waiter.error, Timeout)
    assert not stand.handover.is_pending
    stand.step(DEADLINE + 1)


def test_a_new_one_may_follow():
    stand = Stand()
    stand.step(DEADLINE)
    second = stand.begin(C)
    assert stand.step() == [("transfer", C)]
    stand.library.term, stand.library.leader = TERM + 1, C
    stand.step()
    assert second.succeeded


def test_the_old_leaders_return_in_a_later_term_is_no_success():
    """The target fell in the middle of its election, which only raised the term; A was elected again."""
    stand = Stand()
    stand.step()
    stand.library.term, stand.library.leader = TERM + 2, A
    stand.step()
    assert not stand.waiter.succeeded
