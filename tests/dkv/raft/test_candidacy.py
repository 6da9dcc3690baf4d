"""Standing for election and voting, message by message, beside a library that does as it is told."""

import random

import pytest

from dkv.raft.candidacy import Candidacy
from dkv.raft.changes import Learners
from dkv.raft.configuration import encode_change
from dkv.raft.contracts import Entry
from dkv.raft.guard import Guard
from dkv.raft.messages import HigherTerm, PreVote, PreVoteReply, RequestVote, TimeoutNow, Vote
from dkv.raft.options import Options
from tests.dkv.raft.doubles import A, B, C, D, FakeLibrary, Sent, log_of

TERM = 3
OPTIONS = Options()


class Stand:
    """A, with a log of two entries of terms 2 and 3; ``up``: it has a link to somebody."""

    def __init__(self, voters=(A, B, C), *, leader=None):
        self.time, self.up, self.sent = 100.0, True, Sent()
        self.log = log_of(2, TERM, voters=voters)
        self.library = FakeLibrary(A, term=TERM, leader=leader)
        self.learners = Learners(self.library, lambda node: False)
        self.candidacy = Candidacy(
            me=A,
            log=self.log,
            library=self.library,
            learners=self.learners,
            guard=Guard(A),
            clock=self,
            rng=random.Random(1),
            options=OPTIONS,
            is_connected=lambda: self.up,
            send=self.sent,
        )
        self.elections = self.candidacy.elections

    def now(self):
        return self.time

    def step(self, *, slept_s=0.0):
        self.candidacy.step(self.time, self.time - slept_s)
        return self.library.take_calls()

    def step_when_due(self):
        self.time = self.elections.deadline
        return self.step()


PRE_VOTE = PreVote(TERM, TERM + 1, 3, TERM)


def test_a_timer_that_ran_out_asks_every_voter_and_changes_nothing():
    stand = Stand()
    assert stand.step_when_due() == []
    assert stand.sent == [(B, PRE_VOTE), (C, PRE_VOTE)]
    assert stand.elections.deadline > stand.time


@pytest.mark.parametrize(
    ("reply", "campaigns"),
    [
        pytest.param(PreVoteReply(TERM, TERM + 1, True), True, id="granted"),
        pytest.param(PreVoteReply(TERM - 1, TERM + 1, True), True, id="granted by one who is behind"),
        pytest.param(PreVoteReply(TERM, TERM + 1, False), False, id="refused"),
        pytest.param(PreVoteReply(TERM, TERM, True), False, id="granted for another term"),
    ],
)
def test_a_pre_vote_of_a_majority_begins_the_election(reply, campaigns):
    stand = Stand()
    stand.step_when_due()
    stand.candidacy.on_pre_vote_reply(B, reply)
    assert stand.step() == ([("campaign",)] if campaigns else [])
    assert stand.step() == [], "once"


@pytest.mark.parametrize("role", ["leader", "learner"])
def test_who_leads_or_does_not_vote_never_stands(role):
    stand = Stand(leader=A) if role == "leader" else Stand((B, C), leader=B)
    stand.candidacy.on_timeout_now(stand.library.leader, TimeoutNow(TERM))
    assert stand.step_when_due() == []
    assert stand.sent == []
    stand.library.leader = B
    stand.log.append(Entry(encode_change("add", A), 4, TERM))
    assert stand.step() == [], "nor later, when it may"


def test_a_lone_voter_stands_at_once_and_needs_no_link():
    stand = Stand((A,))
    stand.up = False
    assert stand.step() == [("campaign",)]
    recovered_slowly = Stand((A,))
    assert recovered_slowly.step(slept_s=5.0) == [("campaign",)]


def test_without_a_link_nobody_stands():
    stand = Stand()
    stand.step_when_due()
    stand.candidacy.on_pre_vote_reply(B, PreVoteReply(TERM, TERM + 1, True))
    stand.up = False
    assert stand.step() == []


def test_after_a_long_sleep_the_timer_begins_anew():
    stand = Stand()
    stand.time = stand.elections.deadline + 5
    assert stand.step(slept_s=OPTIONS.election_timeout_min_s) == []
    assert stand.sent == []
    assert stand.elections.deadline > stand.time


@pytest.mark.parametrize(
    ("request_", "granted"),
    [
        pytest.param(PRE_VOTE, True, id="as good as ours"),
        pytest.param(PreVote(TERM, TERM + 1, 9, TERM), True, id="a longer log"),
        pytest.param(PreVote(TERM, TERM + 1, 2, TERM + 1), True, id="a shorter log of a later term"),
        pytest.param(PreVote(TERM, TERM + 1, 2, TERM), False, id="a shorter log"),
        pytest.param(PreVote(TERM, TERM + 1, 9, TERM - 1), False, id="a longer log of an earlier term"),
        pytest.param(PreVote(TERM - 1, TERM, 3, TERM), False, id="for a term that is there already"),
    ],
)
def test_a_pre_vote_is_answered_by_the_logs(request_, granted):
    stand = Stand()
    stand.candidacy.on_pre_vote(B, request_)
    assert stand.sent == [(B, PreVoteReply(TERM, request_.next_term, granted))]
    assert stand.library.calls == []


@pytest.mark.parametrize("loyal_to", [A, B])
def test_whoever_has_a_leader_refuses_pre_votes_and_votes(loyal_to):
    stand = Stand(leader=loyal_to)
    if loyal_to == B:
        stand.candidacy.heard_leader()
    stand.candidacy.on_pre_vote(C, PRE_VOTE)
    assert stand.sent == [(C, PreVoteReply(TERM, TERM + 1, False))]
    stand.candidacy.on_request_vote(C, RequestVote(TERM + 1, 3, TERM, transfer=False))
    assert stand.library.take_calls() == []
    wanted = RequestVote(TERM + 1, 3, TERM, transfer=True)
    stand.candidacy.on_request_vote(C, wanted)
    assert stand.library.take_calls() == [("deliver", C, wanted)], "the leader itself asked for this election"


def test_without_a_leader_a_vote_request_is_the_librarys_to_judge():
    stand, request = Stand(), RequestVote(TERM + 1, 3, TERM, transfer=False)
    stand.candidacy.on_request_vote(C, request)
    assert stand.library.take_calls() == [("deliver", C, request)]


def test_each_voters_vote_reaches_the_library_once():
    stand = Stand()
    for sender, vote in ((B, Vote(TERM)), (B, Vote(TERM)), (C, Vote(TERM - 1))):
        stand.candidacy.on_vote(sender, vote)
    assert stand.library.calls == [("deliver", B, Vote(TERM))]


@pytest.mark.parametrize(
    ("sender", "term", "stands"), [(B, TERM, True), (C, TERM, False), (B, TERM - 1, False), (B, TERM + 1, False)]
)
def test_only_the_present_leader_may_tell_to_stand(sender, term, stands):
    stand = Stand(leader=B)
    stand.candidacy.on_timeout_now(sender, TimeoutNow(term))
    assert stand.step() == ([("campaign",)] if stands else [])


def test_requests_of_a_transfer_say_so_and_those_after_it_do_not():
    stand = Stand(leader=B)
    request = RequestVote(TERM + 1, 3, TERM, transfer=False)
    stand.candidacy.sends(C, request)
    stand.candidacy.on_timeout_now(B, TimeoutNow(TERM))
    stand.step()
    stand.candidacy.sends(C, request)
    stand.candidacy.heard_leader()
    stand.candidacy.sends(C, request)
    assert [message.transfer for _, message in stand.sent] == [False, True, False]


def test_a_vote_that_is_given_puts_ones_own_candidacy_off():
    stand = Stand()
    stand.time += 50
    stand.candidacy.sends(B, Vote(TERM))
    assert stand.sent == [(B, Vote(TERM))]
    assert stand.elections.deadline >= stand.time + OPTIONS.election_timeout_min_s


@pytest.mark.parametrize(
    ("sender", "term", "adopted"),
    [
        pytest.param(B, TERM + 4, True, id="a voter's"),
        pytest.param(D, TERM + 4, True, id="a learner's"),
        pytest.param("z.00000009", TERM + 4, False, id="a stranger's"),
        pytest.param(B, TERM, False, id="no higher one"),
    ],
)
def test_higher_terms_are_adopted_from_those_who_have_a_say(sender, term, adopted):
    stand = Stand()
    stand.learners.attach(D)
    stand.candidacy.on_higher_term(sender, term)
    stand.candidacy.on_pre_vote_reply(sender, PreVoteReply(term, term + 1, False))
    assert stand.library.calls == ([("adopt_term", sender, term)] * 2 if adopted else [])


@pytest.mark.parametrize(("term", "refused"), [(TERM - 1, True), (TERM, False), (TERM + 1, False)])
def test_the_sender_of_an_old_term_is_told_that_its_time_is_over(term, refused):
    stand = Stand()
    assert stand.candidacy.refuses_old(B, term) is refused
    assert stand.sent == ([(B, HigherTerm(TERM))] if refused else [])
