"""One change of the voters at a time, and learners: what the library is told, when, and what the asker hears."""

import pytest

from dkv.errors import LeadershipLost, MembershipRefused, Outcome
from dkv.raft.changes import CAUGHT_UP_ENTRIES, Changes, Learners
from dkv.raft.configuration import encode_change
from dkv.raft.contracts import Entry
from dkv.raft.library import FAIL_REASON
from dkv.raft.options import Options
from tests.dkv.raft.doubles import A, B, C, D, E, FakeLibrary, Waiter, log_of

OPTIONS = Options()
NOW = 10.0
ADD_D = [("disconnected", D, True), ("connected", D, False), ("propose", encode_change("add", D))]
REMOVE_C = ("propose", encode_change("rem", C))


class Stand:
    """A leads B and C; D has a link, E has none."""

    def __init__(self, voters=(A, B, C)):
        self.library = FakeLibrary(A, leader=A)
        self.library.commit_index = 100
        self.log = log_of(1, voters=voters)
        self.learners = Learners(self.library, lambda node: node != E)
        self.changes = Changes(
            A, self.log, self.library, self.learners, OPTIONS, lambda ticket, error: ticket.finish(None, error)
        )

    def begin(self, op, node):
        waiter = Waiter()
        self.changes.begin(op, node, waiter, NOW)
        return waiter

    def step(self, now=NOW, **matches):
        self.library.matches.update({D if name == "d" else E: index for name, index in matches.items()})
        self.changes.step(now)
        return self.library.take_calls()


@pytest.fixture
def stand():
    return Stand()


@pytest.mark.parametrize(
    ("op", "node", "voters", "diagnosis"),
    [
        pytest.param("rem", A, (A, B, C), "transfer its leadership first", id="the leader itself"),
        pytest.param("rem", B, (B,), "last voter cannot leave", id="the last voter"),
    ],
)
def test_an_unsafe_change_is_refused(op, node, voters, diagnosis):
    stand = Stand(voters)
    waiter = stand.begin(op, node)
    assert isinstance(waiter.error, MembershipRefused)
    assert diagnosis in waiter.error.message
    assert stand.step() == []


@pytest.mark.parametrize(("op", "node"), [("add", B), ("rem", D)])
def test_what_is_so_already_needs_no_entry(stand, op, node):
    assert stand.begin(op, node).succeeded
    assert stand.step() == []


@pytest.mark.parametrize("second", [("add", E), ("rem", B), ("rem", C)])
def test_while_one_is_under_way_another_is_refused(stand, second):
    stand.begin("rem", C)
    stand.step()
    waiter = stand.begin(*second)
    assert isinstance(waiter.error, MembershipRefused)
    assert f"under way (rem {C})" in waiter.error.message


def test_a_removal_is_proposed_at_once_and_the_removed_voter_learns_of_it(stand):
    waiter = stand.begin("rem", C)
    assert stand.step() == [REMOVE_C]
    assert stand.step() == [], "once"
    stand.library.end_proposal()
    assert waiter.succeeded
    assert stand.library.take_calls() == [("disconnected", C, False), ("connected", C, True)]
    assert stand.step(NOW + OPTIONS.farewell_s - 0.1) == []
    assert stand.step(NOW + OPTIONS.farewell_s) == [("disconnected", C, True), ("connected", C, False)]


def test_a_joiner_gets_the_log_first_and_its_vote_when_it_caught_up(stand):
    waiter = stand.begin("add", D)
    assert stand.step() == [("disconnected", D, False), ("connected", D, True)]
    assert stand.step(d=0) == stand.step(d=100 - CAUGHT_UP_ENTRIES - 1) == []
    assert stand.step(d=100 - CAUGHT_UP_ENTRIES) == ADD_D, "detached before its promotion is appended"
    assert D not in stand.learners
    assert waiter.end is None
    stand.library.end_proposal()
    assert waiter.succeeded


def test_in_a_young_cluster_a_joiner_must_have_answered(stand):
    stand.library.commit_index = 3
    stand.begin("add", D)
    stand.step()
    assert stand.step(d=0) == []
    assert stand.step(d=1) == ADD_D


def test_a_joiner_without_progress_is_given_up(stand):
    waiter = stand.begin("add", D)
    stand.step(NOW)
    stand.step(NOW + 20, d=5)
    assert stand.step(NOW + 20 + OPTIONS.learner_patience_s, d=5) == []
    assert stand.step(NOW + 21 + OPTIONS.learner_patience_s, d=5) == [
        ("disconnected", D, True),
        ("connected", D, False),
    ]
    assert isinstance(waiter.error, MembershipRefused)
    assert not stand.changes.is_pending


def test_a_removal_does_not_wait_for_a_joiner(stand):
    joining = stand.begin("add", E)
    stand.step()
    leaving = stand.begin("rem", C)
    assert isinstance(joining.error, MembershipRefused)
    assert stand.step() == [REMOVE_C]
    assert leaving.end is None


def test_a_refused_removal_leaves_the_joiner_alone(stand):
    joining = stand.begin("add", D)
    assert isinstance(stand.begin("rem", A).error, MembershipRefused)
    assert joining.end is None


def test_what_is_denied_before_the_terms_first_entry_is_tried_again(stand):
    waiter = stand.begin("rem", C)
    stand.step()
    stand.library.end_proposal(None, FAIL_REASON.REQUEST_DENIED)
    assert waiter.end is None
    assert stand.step() == [REMOVE_C]


def test_what_a_new_leader_overruled_is_told_as_lost(stand):
    waiter = stand.begin("rem", C)
    stand.step()
    stand.library.end_proposal(None, FAIL_REASON.DISCARDED)
    assert isinstance(waiter.error, LeadershipLost)
    assert not stand.changes.is_pending


def test_a_deposed_leader_lets_go_of_its_learners_and_knows_nothing(stand):
    waiter = stand.begin("rem", C)
    stand.step()
    stand.learners.attach(D)
    stand.library.take_calls()
    stand.changes.deposed()
    assert waiter.error.outcome is Outcome.UNKNOWN
    assert stand.library.take_calls() == [("disconnected", D, True), ("connected", D, False)]
    first = waiter.end
    stand.library.end_proposal()
    assert waiter.end is first


def test_a_change_that_is_in_the_log_but_not_committed_is_not_done_yet(stand):
    stand.library.commit_index = 2
    stand.log.append(Entry(encode_change("add", D), 3, 1))
    assert not stand.begin("add", D).succeeded


def test_a_learner_without_a_link_is_attached_when_the_link_comes(stand):
    stand.learners.attach(E)
    assert E in stand.learners
    stand.learners.detach(E)
    assert (stand.library.calls, stand.learners.all()) == ([], ())


def test_a_farewell_that_is_attached_again_for_good_does_not_expire(stand):
    stand.learners.attach(D, until=NOW)
    stand.learners.attach(D)
    stand.learners.detach_expired(NOW + 1000)
    assert stand.learners.all() == (D,)
    stand.learners.detach_all()
    stand.learners.detach_all()
    assert stand.library.calls == [
        ("disconnected", D, False),
        ("connected", D, True),
        ("disconnected", D, True),
        ("connected", D, False),
    ]
