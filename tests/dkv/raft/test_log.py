"""The log against a twin that keeps plain lists, its laws as assertions, and what the disk makes of its calls."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dkv.raft.configuration import encode_change, fold
from dkv.raft.contracts import GENESIS, NO_OP, Entry, LoggedState
from dkv.raft.log import Log, LogPosition
from tests.dkv.raft.doubles import A, B, C, D, E, entries_of, log_of
from tests.sim.disk import Disk

CHANGES = st.builds(encode_change, st.sampled_from(["add", "rem"]), st.sampled_from([B, C, D, E]))
COMMANDS = st.one_of(st.just(NO_OP), CHANGES, st.binary(max_size=3).map(lambda data: b"\x00" + data))


class LogAndTwin(RuleBasedStateMachine):
    """The twin keeps every entry from the first on, and folds the whole history for the voters."""

    @initialize()
    def open(self):
        self.disk = Disk((A, B, C))
        self.log = Log(self.disk, self.disk.load())
        self.history, self.first = list(GENESIS), 0

    @rule(command=COMMANDS)
    def append(self, command):
        entry = Entry(command, len(self.history), self.log.term)
        self.log.append(entry)
        self.history.append(entry)

    @rule(data=st.data())
    def truncate(self, data):
        lowest = max(self.log.commit_index + 1, self.first + 2)
        index = data.draw(st.integers(lowest, max(lowest, len(self.history) + 1)))
        self.log.truncate_from(index)
        del self.history[index:]

    @rule(data=st.data())
    def commit(self, data):
        index = data.draw(st.integers(self.log.commit_index, len(self.history) - 1))
        self.log.set_commit_index(index)

    @rule(data=st.data())
    def trim(self, data):
        index = data.draw(st.integers(0, self.log.commit_index))
        self.log.trim_to(index)
        self.first = max(self.first, min(index, len(self.history) - 2))

    @precondition(lambda self: len(self.history) < 40)
    @rule(beyond=st.integers(1, 5), command=COMMANDS)
    def install(self, beyond, command):
        """A snapshot of a history that goes on where ours ends."""
        for index in range(len(self.history), len(self.history) + beyond + 1):
            self.history.append(Entry(command, index, self.log.term))
        self.log.reset(self.history[-2:], fold((A, B, C), self.history))
        self.log.set_commit_index(len(self.history) - 1)
        self.first = len(self.history) - 2

    @rule(vote=st.sampled_from([None, A, B]))
    def begin_term(self, vote):
        self.log.set_hard_state(self.log.term + 1, vote)

    @rule()
    def restart(self):
        self.disk.commit()
        self.log = Log(self.disk, self.disk.load())

    @invariant()
    def equals_its_twin(self):
        log, kept = self.log, self.history[self.first :]
        assert log.entries == kept
        assert (log.first_index, log.last_index) == (self.first, len(self.history) - 1)
        assert log.last_position == LogPosition(kept[-1].term, kept[-1].index)
        assert log.size_bytes == sum(len(entry.command) for entry in kept)
        for index in range(self.first, len(self.history)):
            assert set(log.voters_at(index)) == set(fold((A, B, C), self.history[: index + 1])), index
        assert log.voters == log.voters_at(log.last_index)
        assert log.term_at(self.first - 1) is log.term_at(len(self.history)) is None


TestLogAndTwin = LogAndTwin.TestCase


@pytest.mark.parametrize(
    ("diagnosis", "call"),
    [
        ("entry 8 does not follow 6", lambda log: log.append(Entry(NO_OP, 8, 3))),
        ("entry 6 does not follow 6", lambda log: log.append(Entry(NO_OP, 6, 3))),
        ("truncation at 4 would drop committed", lambda log: log.truncate_from(4)),
        ("9 is not in 0..6", lambda log: log.entry(9)),
        ("not a base", lambda log: log.reset(entries_of(3, 3)[::-1], (A,))),
        ("the term went back from 3 to 2", lambda log: log.set_hard_state(2, None)),
        ("a second vote in term 3: .*, then b", lambda log: log.set_hard_state(3, B)),
        ("a second vote in term 3: .*, then None", lambda log: log.set_hard_state(3, None)),
    ],
)
def test_a_broken_law_is_an_assertion_with_a_diagnosis(diagnosis, call):
    log = log_of(1, 2, 3, 3, 3)
    log.set_commit_index(4)
    log.set_hard_state(3, A)
    with pytest.raises(AssertionError, match=diagnosis):
        call(log)


def test_the_base_is_never_truncated():
    log = log_of(1, 1, 1, 1)
    log.trim_to(3)
    with pytest.raises(AssertionError, match="would drop the base of 3"):
        log.truncate_from(4)


def test_a_log_on_disk_has_its_base():
    with pytest.raises(AssertionError, match="at least its two base entries"):
        Log(Disk((A,)), LoggedState([GENESIS[0]], 0, None, 0, (A,)))


@pytest.mark.parametrize(
    ("change", "voters"),
    [(("add", D), (A, B, C, D)), (("rem", B), (A, C)), (("add", B), (A, B, C)), (("rem", D), (A, B, C))],
)
def test_a_configuration_counts_from_its_append_and_not_beyond_its_truncation(change, voters):
    log = log_of(1)
    log.append(Entry(encode_change(*change), 3, 1))
    assert log.voters == voters
    log.truncate_from(3)
    assert log.voters == (A, B, C)


def test_truncating_behind_the_end_touches_nothing():
    disk = Disk((A,))
    log = log_of(1, 1, disk=disk)
    log.truncate_from(4)
    disk.commit()
    assert log.entries == disk.durable.entries == [*GENESIS, *entries_of(1, 1)]


@pytest.mark.parametrize(("trim_to", "first"), [(0, 0), (2, 2), (4, 4), (5, 4), (100, 4)])
def test_two_entries_stay_however_much_is_trimmed(trim_to, first):
    log = log_of(1, 1, 1, 1)
    log.trim_to(trim_to)
    assert (log.first_index, log.last_index) == (first, 5)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        pytest.param(LogPosition(3, 5), LogPosition(2, 9), id="a later term"),
        pytest.param(LogPosition(3, 6), LogPosition(3, 5), id="a longer log of the same term"),
    ],
)
def test_positions_compare_as_raft_compares_logs(better, worse):
    assert better > worse
