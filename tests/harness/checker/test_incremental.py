"""Judged while it goes on: the same as judged at once, and an invalid history never heals."""

from __future__ import annotations

import random

import pytest

from harness.checker.checker import Checker, check
from harness.history.events import Event, EventType
from harness.history.records import Validity
from tests.harness.checker.histories import arbitrary, events, simulated

MODELS = ("register", "kv", "append", "set", "counter")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("cut_after", [1, 4, 1000])
def test_equal_to_the_batch_at_every_look(model: str, cut_after: int) -> None:
    invalid = 0
    for seed in range(120):
        rng = random.Random(f"{model}{seed}")
        unique, unknown = rng.random() < 0.5, rng.choice([0, 0.1, 0.3])
        operations = arbitrary(rng, model, rng.randrange(10, 30), rng.randrange(1, 5), unique, unknown)
        history = events(operations, vanish=rng.random() < 0.2)
        checker = Checker(model, cut_after=cut_after)
        broken = False
        for number, event in enumerate(history, 1):
            checker.feed(event)
            if rng.random() < 0.3 or number == len(history):
                found = checker.verdict().validity
                assert found is check(history[:number], model).validity, f"seed {seed}, event {number}"
                assert not broken or found is Validity.INVALID, "an extension of an invalid history is invalid"
                broken = found is Validity.INVALID
        invalid += broken
    assert invalid > 10


def test_cuts_leave_little_to_judge_again() -> None:
    history = events(simulated(random.Random(1), "register", 2_000, 4, unknown=0.01))
    checker = Checker("register")
    steps, width = 0, 0
    for number, event in enumerate(history, 1):
        checker.feed(event)
        if number % 50 == 0:
            (key,) = checker.verdict().keys.values()
            assert key.validity is Validity.VALID
            steps, width = steps + key.steps, max(width, key.width)
    whole = check(history, "register").keys["k"].steps
    assert steps < 12 * whole, "80 looks at everything would cost 40 times as much"


def test_only_touched_keys_are_judged() -> None:
    checker = Checker("register")
    for event in events(simulated(random.Random(1), "register", 50, 3)):
        checker.feed(event)
    first = checker.verdict().keys["k"]
    assert checker.verdict().keys["k"] is first


def test_a_hard_key_hides_no_violation_on_another() -> None:
    hard = simulated(random.Random(3), "register", 400, 40, unique=False, unknown=0.2)
    easy = simulated(random.Random(4), "register", 30, 3, plain=True)
    read = next(operation for operation in easy if operation.f == "read" and operation.known)
    read.result = "thin air"
    for operation in easy:
        operation.key, operation.process = "easy", operation.process + 10_000
    checker = Checker("register", steps_max=4_000)
    for event in (*events(hard), *events(easy)):
        checker.feed(event)
    judgement = checker.verdict()
    assert judgement.validity is Validity.INVALID
    assert judgement.keys["easy"].validity is Validity.INVALID
    undecided = judgement.keys["k"]
    assert undecided.validity is Validity.UNKNOWN
    assert undecided.window is not None
    assert undecided.window[0] > 0
    assert undecided.overlap > 20
    assert "fewer clients" in undecided.advice
    assert checker.verdict(steps_max=8_000).keys["k"].steps > undecided.steps, "a larger budget is tried"


def test_what_was_found_before_a_cut_says_nothing_of_what_comes_after_it() -> None:
    """A false alarm of an earlier version: the read of nothing is over at the cut, and says nothing of the delete."""

    def event(process: int, type: str, f: str, value: object = None) -> Event:
        return Event(process=process, type=EventType(type), f=f, key="k", value=value)

    checker = Checker("register", cut_after=1)
    for told in (
        event(1, "invoke", "read"),
        event(2, "invoke", "cas", [None, 1]),
        event(2, "ok", "cas", [None, 1]),
        event(3, "invoke", "read"),
        event(1, "ok", "read"),
        event(4, "invoke", "delete"),
        event(5, "invoke", "cas", [None, 1]),
        event(3, "ok", "read", 1),
    ):
        checker.feed(told)
        assert checker.verdict().validity is Validity.VALID
