"""What a bad link makes of what is put on it, under a virtual clock."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkv.faults.pipe import OVERTAKEN_S, STRAIGHT, Kind, Pipe, Shape


class Draws(random.Random):
    """Random numbers as the author has them."""

    def __init__(self, *numbers):
        super().__init__(0)
        self.numbers = list(numbers)

    def random(self):
        return self.numbers.pop(0) if self.numbers else 0.999


def drained(pipe, now=0.0):
    """(time, thing) of all that comes out, without anybody changing the shape."""
    out = []
    while (due := pipe.next_due()) != float("inf"):
        now = max(now, due)
        out += [(now, thing) for thing in pipe.take_due(now)]
    return out


def test_a_straight_pipe_lets_everything_out_at_once_and_in_order():
    pipe = Pipe(random.Random(0))
    assert pipe.is_straight
    for thing in "abc":
        pipe.put(thing, 10, 5.0)
    assert not pipe.is_straight, "something is under way, which must not be overtaken"
    assert pipe.waiting_bytes == 30
    assert list(pipe.take_due(5.0)) == ["a", "b", "c"]
    assert (pipe.waiting_bytes, pipe.is_straight, pipe.effects) == (0, True, {})


def test_delay():
    pipe = Pipe(random.Random(0), Shape(delay_s=2.0))
    pipe.put("a", 1, 10.0)
    assert list(pipe.take_due(11.9)) == []
    assert drained(pipe) == [(12.0, "a")]
    assert pipe.effects == {"delayed": 1}


def test_jitter_keeps_the_order():
    #            lost doubled overtaken jitter, each
    rng = Draws(0.9, 0.9, 0.9, 1.0, 0.9, 0.9, 0.9, 0.0)
    pipe = Pipe(rng, Shape(delay_s=1.0, jitter_s=0.5))
    pipe.put("late", 1, 0.0)
    pipe.put("early", 1, 0.1)
    assert drained(pipe) == [(1.5, "late"), (1.5, "early")]


def test_what_is_overtaken_comes_later_and_nothing_else_does():
    rng = Draws(0.9, 0.9, 0.0, 0.0, 0.5, 0.9, 0.9, 0.9, 0.0)
    pipe = Pipe(rng, Shape(reorder=0.5))
    pipe.put("first", 1, 0.0)
    pipe.put("second", 1, 0.0)
    assert drained(pipe) == [(0.0, "second"), (OVERTAKEN_S / 2, "first")]
    assert pipe.effects == {"overtaken": 1, "delayed": 1}


def test_duplicates_and_losses():
    pipe = Pipe(random.Random(0), Shape(duplicate=1.0))
    pipe.put("a", 1, 0.0)
    assert drained(pipe) == [(0.0, "a"), (0.0, "a")]
    pipe.reshape(Shape(loss=1.0), 1.0)
    pipe.put("b", 1, 1.0)
    assert drained(pipe) == []
    assert pipe.effects == {"doubled": 1, "lost": 1}


@pytest.mark.parametrize(
    ("kind", "worst", "arrives"),
    [
        (Kind.MESSAGE, Shape(loss=1.0), 0),
        (Kind.SIGN, Shape(loss=1.0), 0),
        (Kind.STREAM, Shape(loss=1.0), 1),
        (Kind.MESSAGE, Shape(duplicate=1.0, reorder=1.0), 2),
        (Kind.SIGN, Shape(duplicate=1.0, reorder=1.0), 1),
        (Kind.STREAM, Shape(duplicate=1.0, reorder=1.0), 1),
    ],
)
def test_what_may_happen_to_which_kind(kind, worst, arrives):
    pipe = Pipe(random.Random(0), worst)
    pipe.put("it", 1, 0.0, kind)
    assert len(drained(pipe)) == arrives


def test_a_cut_holds_everything_and_the_heal_lets_it_out_in_order():
    pipe = Pipe(random.Random(0), Shape(delay_s=1.0))
    pipe.put("under way", 1, 0.0)
    pipe.reshape(Shape(cut=True), 0.5)
    pipe.put("sent meanwhile", 1, 5.0)
    assert pipe.next_due() == float("inf")
    assert list(pipe.take_due(100.0)) == []
    assert (len(pipe), pipe.waiting_bytes, pipe.effects) == (2, 2, {"delayed": 1, "held": 1})
    pipe.reshape(STRAIGHT, 100.0)
    pipe.put("sent after", 1, 100.0)
    assert drained(pipe, 100.0) == [(100.0, "under way"), (100.0, "sent meanwhile"), (100.0, "sent after")]


def test_a_cut_that_comes_while_things_are_taken_out_counts_at_once():
    pipe = Pipe(random.Random(0))
    pipe.put("a", 1, 0.0)
    pipe.put("b", 1, 0.0)
    taken = pipe.take_due(0.0)
    assert next(taken) == "a"
    pipe.reshape(Shape(cut=True), 0.0)
    assert list(taken) == []
    assert len(pipe) == 1


def test_a_rate_that_is_lifted_no_longer_counts_for_what_waits():
    pipe = Pipe(random.Random(0), Shape(rate_bytes_s=1.0))
    for thing in range(3):
        pipe.put(thing, 100, 0.0)
    assert pipe.next_due() == 100.0
    pipe.reshape(STRAIGHT, 7.0)
    assert drained(pipe) == [(7.0, 0), (7.0, 1), (7.0, 2)]


def test_a_cleared_pipe_is_empty():
    pipe = Pipe(random.Random(0), Shape(cut=True))
    pipe.put("a", 1, 0.0)
    pipe.clear()
    pipe.reshape(STRAIGHT, 1.0)
    assert drained(pipe) == []
    assert pipe.is_straight


# ---- by property

shapes = st.builds(
    Shape,
    cut=st.booleans(),
    delay_s=st.sampled_from([0.0, 0.01, 1.0]),
    jitter_s=st.sampled_from([0.0, 0.3]),
    rate_bytes_s=st.sampled_from([None, 50.0, 1e6]),
)
"""Those that neither lose nor reorder."""

steps = st.lists(st.tuples(st.floats(0.0, 2.0), st.one_of(st.integers(0, 500), shapes)), max_size=40)
"""(pause, a size to put in or a shape to change to)."""


@settings(derandomize=True, max_examples=300)
@given(steps, st.integers(0, 2**32))
def test_without_loss_and_reorder_all_comes_once_and_in_order_however_the_shape_changes(steps, seed):
    pipe, now, count, out = Pipe(random.Random(seed)), 0.0, 0, []
    for pause_s, step in steps:
        now += pause_s
        out += pipe.take_due(now)
        if isinstance(step, Shape):
            pipe.reshape(step, now)
        else:
            pipe.put(count, step, now)
            count += 1
    pipe.reshape(STRAIGHT, now)
    out += pipe.take_due(now)
    assert out == list(range(count)), "healed, hence all of it, at once"
    assert pipe.is_straight
    assert pipe.waiting_bytes == 0


@settings(derandomize=True, max_examples=200)
@given(
    st.lists(st.tuples(st.floats(0.0, 1.0), st.integers(1, 1000)), min_size=1, max_size=40),
    st.floats(10.0, 1e5),
    st.integers(0, 2**32),
)
def test_a_rate_is_obeyed(frames, rate, seed):
    pipe, now, sizes = Pipe(random.Random(seed), Shape(rate_bytes_s=rate, delay_s=0.5)), 0.0, []
    for pause_s, size in frames:
        now += pause_s
        sizes.append(size)
        pipe.put(size, size, now)
    out = drained(pipe)
    assert [size for _, size in out] == sizes
    for (one, _), (other, size) in pairwise(out):
        assert other - one >= size / rate * (1 - 1e-9) - 1e-9, "a thing is on the line for its size"
    assert out[0][0] >= frames[0][0] + 0.5 + sizes[0] / rate - 1e-9


@settings(derandomize=True, max_examples=100)
@given(st.integers(0, 2**32), st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_nothing_comes_that_was_not_sent_nor_before_its_time_nor_more_than_twice(seed, loss, duplicate, reorder):
    shape = Shape(loss=loss, duplicate=duplicate, reorder=reorder, delay_s=0.1, jitter_s=0.05)
    pipe = Pipe(random.Random(seed), shape)
    for number in range(50):
        pipe.put(number, 10, number * 0.01)
    out = drained(pipe)
    things = [thing for _, thing in out]
    lost, doubled = pipe.effects.get("lost", 0), pipe.effects.get("doubled", 0)
    assert len(things) == 50 - lost + doubled
    assert len(set(things)) == 50 - lost
    assert all(thing * 0.01 + 0.1 <= time <= thing * 0.01 + 0.15 + OVERTAKEN_S + 0.05 for time, thing in out)


def test_reordering_is_true_and_as_frequent_as_asked():
    pipe = Pipe(random.Random(1), Shape(reorder=0.3))
    for number in range(1000):
        pipe.put(number, 10, number * 0.001)
    out = [thing for _, thing in drained(pipe)]
    assert sorted(out) == list(range(1000))
    behind = sum(later < earlier for earlier, later in pairwise(out))
    assert 100 < behind < 400
    assert 250 < pipe.effects["overtaken"] < 350
