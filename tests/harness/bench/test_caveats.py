"""Caveats come from the data: none without a reason, and each with its own."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from harness.bench.caveats import caveats
from harness.bench.measurements import Loop, Sample
from harness.bench.recording import Recording
from tests.harness.bench import synthetic

CLOSED = "In a closed loop"


def told(*samples: Sample, **manifest: Any) -> list[str]:
    return list(caveats(Recording("run", synthetic.MANIFEST | manifest, samples, ())))


def rounds(count: int = 5, **changes: Any) -> list[Sample]:
    """Of one system, all alike."""
    fields = {"completed": 1_000, "generator_cores": 0.2} | changes
    return [synthetic.sample(Random(1), "dkv", synthetic.set_cell(), number, **fields) for number in range(count)]


def test_a_clean_run_has_only_what_every_closed_loop_has() -> None:
    (only,) = told(*rounds())
    assert only.startswith(CLOSED)
    open_cell = synthetic.set_cell(loop=Loop.OPEN, offered_per_s=500)
    assert told(*(synthetic.sample(Random(1), "dkv", open_cell, number) for number in range(5))) == []


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        (rounds(generator_cores=0.81), "set at the leader, 64 connections: dkv 0.810 cores"),
        (rounds(failed=2), "set at the leader, 64 connections: dkv 10 of 5,010"),
        (rounds(2), "dkv 2 rounds. From least to greatest of 2 values covers the true median with 50%"),
        (rounds(1), "dkv 1 round. From least to greatest of 1 value covers the true median with none at all"),
        (rounds(load_average=6.5), "load average 6.50 in the median, 6.50 at most, on 2 processors"),
        ([*rounds(4), *rounds(5, completed=1_400)[4:]], "set at the leader, 64 connections: dkv 40%"),
    ],
    ids=["generator", "failed", "two rounds", "one round", "load", "spread"],
)
def test_each_has_its_reason(samples: list[Sample], sentence: str) -> None:
    found = told(*samples)
    assert any(sentence in each for each in found), found
    assert len(found) == 2


def test_just_below_the_limits_nothing_is_told() -> None:
    assert len(told(*rounds(generator_cores=0.8, load_average=6.0))) == 1


def test_systems_of_one_cell_stand_together_and_many_are_counted() -> None:
    samples = synthetic.samples(Random(1), 2, ("dkv", "etcd"), [synthetic.set_cell(number) for number in range(1, 9)])
    (few,) = (sentence for sentence in told(*samples) if "Too few rounds" in sentence)
    assert "set at the leader, 1 connection: dkv 2 rounds, etcd (JSON) 2 rounds;" in few
    assert "; and 10 more." in few


def test_a_run_that_was_broken_off_says_so_first() -> None:
    found = told(*rounds(), ended="interrupted", remarks=["n1 of etcd was slow"])
    assert found[0].startswith("**The run did not come to its end** (interrupted)")
    assert found[1] == "N1 of etcd was slow."
