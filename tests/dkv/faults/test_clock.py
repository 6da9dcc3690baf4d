"""Clocks that lie."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkv.clock import MonotonicClock
from dkv.errors import BadRequest
from dkv.faults.clock import ClockFaults, FaultyClock, FaultyWall


class Hand:
    """A true clock that the test moves."""

    def __init__(self, time=1000.0):
        self.time = time

    def now(self):
        return self.time

    def until(self, due):
        return max(0.0, due - self.time)


@pytest.mark.parametrize(
    ("jump_s", "rate", "shown"),
    [
        (0.0, 1.0, [1000.0, 1001.0, 1010.0]),
        (10.0, 1.0, [1010.0, 1011.0, 1020.0]),
        (0.0, 3.0, [1000.0, 1003.0, 1030.0]),
        (0.0, 0.5, [1000.0, 1000.5, 1005.0]),
        (10.0, 0.5, [1010.0, 1010.5, 1015.0]),
        (-5.0, 1.0, [1000.0, 1000.0, 1005.0]),  # stands still until the line has come up
        (-5.0, 2.0, [1000.0, 1000.0, 1015.0]),
    ],
)
def test_what_the_clock_shows_after_0_1_and_10_seconds(jump_s, rate, shown):
    hand = Hand()
    clock = FaultyClock(hand)
    clock.drift(jump_s, rate)
    seen = []
    for hand.time in (1000.0, 1001.0, 1010.0):
        seen.append(clock.now())
    assert seen == shown


@pytest.mark.parametrize(
    ("jump_s", "rate", "ahead_s", "real_s"),
    [(0.0, 1.0, 2.0, 2.0), (0.0, 4.0, 2.0, 0.5), (0.0, 0.5, 2.0, 4.0), (7.0, 2.0, 2.0, 1.0), (-6.0, 2.0, 2.0, 4.0)],
)
def test_how_long_to_sleep(jump_s, rate, ahead_s, real_s):
    hand = Hand()
    clock = FaultyClock(hand)
    clock.drift(jump_s, rate)
    due = clock.now() + ahead_s
    assert clock.until(due) == pytest.approx(real_s)
    hand.time += real_s
    assert clock.now() == pytest.approx(due)
    assert clock.until(due - 1) == 0.0


def test_changes_begin_where_the_clock_stands():
    hand = Hand()
    clock = FaultyClock(hand)
    clock.drift(5.0, 2.0)
    hand.time += 1  # 1007
    clock.drift(0.0, 1.0)
    hand.time += 1  # 1008
    assert (clock.now(), clock.offset_s, clock.rate) == (1008.0, 6.0, 1.0)
    clock.drift(-20.0, 1.0)
    clock.drift(3.0, 1.0)  # while it stands still: the line beneath jumps
    hand.time += 16.9
    assert clock.now() == 1008.0
    hand.time += 1.1
    assert clock.now() == pytest.approx(1009.0)


@settings(derandomize=True, max_examples=200)
@given(st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(-20.0, 20.0), st.sampled_from([0.01, 0.5, 1.0, 3.0, 100.0]))))
def test_it_never_goes_backwards(steps):
    hand = Hand()
    clock = FaultyClock(hand)
    before = clock.now()
    for pause_s, jump_s, rate in steps:
        hand.time += pause_s
        assert clock.now() >= before
        before = clock.now()
        clock.drift(jump_s, rate)
        assert clock.now() >= before
        before = clock.now()


def test_the_wall_jumps_in_both_directions_and_is_right_again_when_healed():
    hand = Hand(5000.0)
    wall = FaultyWall(hand.now)
    wall.drift(-100.0, 2.0)
    assert wall.now() == 4900.0
    hand.time += 10
    assert (wall.now(), wall.offset_s, wall.rate) == (4920.0, -90.0, 2.0)
    wall.heal()
    assert (wall.now(), wall.offset_s, wall.rate) == (5010.0, 0.0, 1.0)


def test_both_by_the_fault_port_s_words():
    hand, wall, told = Hand(), Hand(50.0), []
    faults = ClockFaults(hand, wall.now)
    faults.on_change.append(lambda: told.append(faults.monotonic.now()))
    faults.set({"monotonic": {"jump_s": 10, "rate": 3.0}, "wall": {"jump_s": -5}})
    hand.time += 1
    wall.time += 1
    assert faults.status() == {
        "monotonic": {"rate": 3.0, "offset_s": 12.0},
        "wall": {"rate": 1.0, "offset_s": -5.0},
    }
    assert faults.wall_ms() == 46_000
    faults.set({"wall": {"rate": 2.0}})
    assert faults.monotonic.rate == 1.0, "what is left out runs at its true rate again"
    faults.heal()
    assert faults.status() == {
        "monotonic": {"rate": 1.0, "offset_s": 12.0},
        "wall": {"rate": 1.0, "offset_s": 0.0},
    }
    assert told == [1010.0, 1013.0, 1013.0]


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"monotone": {}}, "unknown field `monotone`"),
        ({"monotonic": {"rate": 0}}, ">= 0.01"),
        ({"monotonic": {"jump_s": 1e9}}, "<= 86400"),
        ({"wall": {"jump_s": "much"}}, "Expected `float`"),
        ({"wall": 3}, "Expected `object`"),
    ],
)
def test_what_is_no_fault_of_a_clock(document, sentence):
    faults = ClockFaults()
    with pytest.raises(BadRequest, match=sentence):
        faults.set(document)
    assert faults.status()["monotonic"]["rate"] == 1.0


def test_the_machine_s_clock_knows_how_long_to_sleep():
    clock = MonotonicClock()
    assert clock.until(clock.now() - 1) == 0.0
    assert 0 < clock.until(clock.now() + 100) <= 100
