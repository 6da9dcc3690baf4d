"""The guard's rules as tables: what the library is shown, what is refused, what ends the process, what replies say."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkv.errors import FatalError
from dkv.raft.configuration import encode_change
from dkv.raft.contracts import NO_OP, Entry
from dkv.raft.guard import Guard, Judged
from dkv.raft.messages import AppendEntries, AppendReply, BadMessage
from tests.dkv.raft.doubles import A, B, C, D, entries_of

TERM = 9
"""The leader's, and ours, where nothing else is said."""


class Terms:
    """A log that knows nothing but its terms."""

    def __init__(self, *terms, first=0):
        self.first_index, self.last_index, self._terms = first, first + len(terms) - 1, terms

    def term_at(self, index):
        return self._terms[index - self.first_index] if self.first_index <= index <= self.last_index else None


def append(previous, previous_term, terms=(), commit=0):
    return AppendEntries(TERM, previous, previous_term, commit, entries_of(*terms, first=previous + 1))


WHOLE = Terms(0, 0, 1, 1, 2, 2)
"""Entries 0 .. 5; committed up to 3."""
COMPACTED = Terms(3, 3, 4, first=10)
"""Entries 10 .. 12; committed up to 11."""
COMMITTED = Terms(0, 0, 1, 1)
"""Entries 0 .. 3; all committed."""
OURS = {WHOLE: 3, COMPACTED: 11, COMMITTED: 3}


@pytest.mark.parametrize(
    ("log", "message", "shown", "proven"),
    [
        pytest.param(WHOLE, append(5, 2, [2], 5), append(5, 2, [2], 5), 6, id="news"),
        pytest.param(WHOLE, append(5, 2, [2], 8), append(5, 2, [2], 6), 6, id="commit no further than proven"),
        pytest.param(WHOLE, append(5, 2, [], 4), append(5, 2, [], 4), 5, id="a heartbeat at our end"),
        pytest.param(WHOLE, append(3, 1, [], 8), append(5, 2, [], 3), 3, id="a heartbeat behind our end cuts nothing"),
        pytest.param(WHOLE, append(2, 1, [1, 2], 8), append(5, 2, [], 4), 4, id="a repetition cuts nothing"),
        pytest.param(WHOLE, append(3, 1, [2, 2, 3], 4), append(5, 2, [3], 4), 6, id="a repetition and news"),
        pytest.param(WHOLE, append(3, 1, [3, 3], 4), append(3, 1, [3, 3], 4), 5, id="a conflict at once"),
        pytest.param(WHOLE, append(3, 1, [2, 3], 4), append(4, 2, [3], 4), 5, id="a conflict behind what matches"),
        pytest.param(COMPACTED, append(5, 2, [2], 6), append(12, 4, [], 6), 6, id="all before our log"),
        pytest.param(COMPACTED, append(9, 3, [3, 3, 4, 5], 13), append(12, 4, [5], 13), 13, id="partly before our log"),
        pytest.param(COMPACTED, append(9, 3, [3, 3, 5], 12), append(11, 3, [5], 12), 12, id="conflict above our base"),
    ],
)
def test_an_append_is_shown_from_its_first_difference(log, message, shown, proven):
    assert Guard(A).judge_append(message, log, OURS[log]) == Judged(shown, proven, mismatch=False)


@pytest.mark.parametrize(
    ("log", "message"),
    [
        pytest.param(WHOLE, append(6, 2, [2], 6), id="a gap"),
        pytest.param(WHOLE, append(5, 3, [3], 5), id="another term before the entries"),
        pytest.param(COMPACTED, append(13, 4, [], 13), id="a gap behind a compacted log"),
    ],
)
def test_a_mismatch_is_shown_as_it_is_and_proves_nothing(log, message):
    judged = Guard(A).judge_append(message, log, OURS[log])
    assert judged.mismatch
    assert judged.message is message


@pytest.mark.parametrize(
    ("log", "message", "index"),
    [
        pytest.param(WHOLE, append(3, 2, [2]), 3, id="another term at a committed index"),
        pytest.param(WHOLE, append(1, 0, [1, 2]), 3, id="another entry at a committed index"),
        pytest.param(COMMITTED, append(2, 1, [2]), 3, id="another last entry"),
        pytest.param(COMPACTED, append(10, 2, []), 10, id="another term at our first entry"),
        pytest.param(COMPACTED, append(8, 2, [3, 3, 5]), 11, id="another entry behind the base"),
    ],
)
def test_a_contradiction_of_what_is_committed_ends_the_process(log, message, index):
    with pytest.raises(FatalError, match=f"contradicts entry {index}, which is committed here"):
        Guard(A).judge_append(message, log, OURS[log])


class Kinds:
    """Commands by what they are."""

    REGULAR, CHANGE = b"\x00x", encode_change("add", D)
    PICKLE = b"\x02" + pickle.dumps(["add", D], 4)
    BOMB = b"\x02cos\nsystem\n(S'true'\ntR."


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([], id="none"),
        pytest.param([Entry(Kinds.REGULAR, 5, 3), Entry(NO_OP, 6, 4), Entry(Kinds.CHANGE, 7, TERM)], id="each kind"),
    ],
)
def test_entries_that_follow_each_other_pass(entries):
    Guard(A).check_entries(AppendEntries(TERM, 4, 3, 0, entries))


@pytest.mark.parametrize(
    ("entries", "diagnosis"),
    [
        pytest.param([Entry(NO_OP, 6, 3)], "entry 6 of term 3 does not follow 4 of term 3", id="a gap"),
        pytest.param([Entry(NO_OP, 4, 3)], "does not follow 4", id="an overlap"),
        pytest.param([Entry(NO_OP, 5, 3), Entry(NO_OP, 5, 3)], "does not follow 5", id="an index twice"),
        pytest.param([Entry(NO_OP, 5, 2)], "of term 2 does not follow 4 of term 3", id="a term below the one before"),
        pytest.param([Entry(NO_OP, 5, 4), Entry(NO_OP, 6, 3)], "does not follow", id="a term that falls"),
        pytest.param([Entry(NO_OP, 5, TERM + 1)], "does not follow", id="a term above the leader's"),
        pytest.param([Entry(b"", 5, 3)], "entry 5 is of no known kind", id="an empty command"),
        pytest.param([Entry(b"\x03\x80", 5, 3)], "of no known kind", id="the library's version entry"),
        pytest.param([Entry(Kinds.PICKLE, 5, 3)], "not a canonical change", id="a real pickle"),
        pytest.param([Entry(Kinds.BOMB, 5, 3)], "not a canonical change", id="a pickle that runs a program"),
        pytest.param([Entry(Kinds.CHANGE + b".", 5, 3)], "not a canonical change", id="a change and one byte more"),
    ],
)
def test_entries_that_the_library_must_not_see_are_refused(entries, diagnosis):
    with pytest.raises(BadMessage, match=diagnosis):
        Guard(A).check_entries(AppendEntries(TERM, 4, 3, 0, entries))


JUDGED = Judged(append(5, 2), 7, mismatch=False)


@pytest.mark.parametrize(
    ("reply", "judged", "sent"),
    [
        pytest.param((99, True, False), JUDGED, (8, True, False), id="an acknowledgement claims what was proven"),
        pytest.param((5, False, True), JUDGED, (4, False, True), id="a refusal answers commit + 1"),
        pytest.param((5, False, False), JUDGED, (5, False, False), id="neither"),
        pytest.param((5, True, False), None, (5, True, False), id="no append is being answered"),
    ],
)
def test_a_reply_claims_no_more_than_it_may(reply, judged, sent):
    assert Guard(A).judge_reply(AppendReply(TERM, *reply), judged, 3) == AppendReply(TERM, *sent)


@pytest.mark.parametrize(
    ("term", "sender", "accepted"),
    [
        pytest.param(TERM, B, True, id="of this leadership"),
        pytest.param(TERM - 1, B, False, id="of an earlier one"),
        pytest.param(TERM + 1, B, False, id="of a later one"),
        pytest.param(TERM, D, False, id="of a stranger"),
    ],
)
def test_only_answers_to_this_leadership_count(term, sender, accepted):
    assert Guard(A).accepts_reply(AppendReply(term, 5, True, False), sender, TERM, {B, C}) is accepted


def test_one_voter_has_one_vote_a_term():
    guard = Guard(A)
    ballots = [(5, B), (5, B), (5, C), (5, B), (4, C), (6, C)]
    counted = [ballot for ballot in ballots if guard.accepts_vote(*ballot, 5)]
    assert counted == [(5, B), (5, C)]
    assert [guard.accepts_vote(6, sender, 6) for sender in (B, B, C)] == [True, False, True]
    assert not guard.accepts_vote(5, B, 6)


@pytest.mark.parametrize(
    ("index", "term", "applied", "wanted"),
    [
        pytest.param(8, 2, 3, True, id="beyond our log"),
        pytest.param(5, 3, 3, True, id="beside our log"),
        pytest.param(5, 2, 3, False, id="our log has its last entry"),
        pytest.param(3, 9, 3, False, id="applied already"),
    ],
)
def test_only_a_snapshot_that_is_news_is_wanted(index, term, applied, wanted):
    assert Guard(A).wants_snapshot(Entry(b"\x00", index, term), WHOLE, applied) is wanted


@st.composite
def histories(draw):
    """(leader's terms, follower's terms, committed, a slice of the leader's): logs that agree where Raft says so."""
    common = [0, 0, *sorted(draw(st.lists(st.integers(1, 3), max_size=5)))]
    leader = common + sorted(draw(st.lists(st.sampled_from([4, 6]), max_size=5)))
    follower = common + sorted(draw(st.lists(st.sampled_from([3, 5]), max_size=5)))
    if len(follower) > len(common) and len(leader) == len(common):
        follower = follower[: len(common)] + [5] * (len(follower) - len(common))
    commit = draw(st.integers(1, len(common) - 1))
    start = draw(st.integers(0, len(leader) - 1))
    end = draw(st.integers(start, len(leader) - 1))
    return leader, follower, commit, start, end, draw(st.integers(0, len(leader) - 1))


@given(histories())
def test_with_the_guard_before_it_the_library_does_what_figure_2_says(history):
    leader, ours, commit, start, end, leader_commit = history
    message = append(start, leader[start], leader[start + 1 : end + 1], leader_commit)
    judged = Guard(A).judge_append(message, Terms(*ours), commit)
    if start >= len(ours) or ours[start] != leader[start]:
        assert judged.mismatch
        return
    conflicts = [index for index in range(start + 1, end + 1) if index < len(ours) and ours[index] != leader[index]]
    kept = ours[: conflicts[0]] if conflicts else ours
    figure_2 = kept + leader[len(kept) : end + 1]
    shown = judged.message
    assert ours[shown.previous_index] == shown.previous_term
    assert ours[: shown.previous_index + 1] + [entry.term for entry in shown.entries] == figure_2
    assert (judged.proven_index, shown.commit_index) == (end, min(leader_commit, end))
