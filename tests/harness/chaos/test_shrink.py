"""Delta debugging: the smallest part, and the smallest plan of a bug that needs one particular fault."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.chaos.files import RunFiles
from harness.chaos.run import Run
from harness.chaos.shrink import Outcome, Shrinker, ddmin
from harness.history.records import Validity
from harness.plan.reduction import Pair
from tests.harness.chaos.runs import MANIFEST, planned
from tests.harness.fake_system import FakeSystem
from tests.harness.local_judge import LocalJudge
from tests.harness.virtual_time import run


@given(st.integers(1, 24), st.sets(st.integers(0, 23), max_size=4))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_ddmin_finds_exactly_what_is_needed(count: int, needed: set[int]) -> None:
    needed = {number for number in needed if number < count}
    tried = 0

    def fails(items: Sequence[int]) -> bool:
        nonlocal tried
        tried += 1
        return needed <= set(items)

    assert ddmin(range(count), fails) == sorted(needed)
    assert tried <= count * count + 3 * count + 1


def test_a_bug_that_needs_one_kind_of_fault_is_left_with_that_fault(tmp_path: Path) -> None:
    runs = 0

    def trial(pair: Pair) -> Outcome:
        nonlocal runs
        runs += 1

        async def body() -> Outcome:
            files = RunFiles(tmp_path / str(runs), MANIFEST, *pair)
            clock = asyncio.get_running_loop().time
            rig = FakeSystem(5, pair[0].seed, ["forgets"]).rig()
            verdict = await Run(rig, *pair, files, LocalJudge("register"), lambda _: None, now=clock).run()
            failed = verdict.validity is Validity.INVALID
            return Outcome(failed, verdict.statistics.get("violation_seen_s", pair[0].duration_s))

        return run(body())

    pairs = (planned(seed, "kill-all,partition", duration_s=15.0, rate=30.0) for seed in range(100))
    pair = next(pair for pair in pairs if [fault.kind for fault in pair[0].faults].count("kill-all") == 1)
    assert len(pair[0].faults) >= 3
    said: list[str] = []
    shrinker = Shrinker(trial, 1, said.append)
    best = shrinker.shrink(pair)
    assert best is not None
    plan, operations = best
    assert [fault.kind for fault in plan.faults] == ["kill-all"]
    assert plan.clients < pair[0].clients
    assert len(operations) < len(pair[1])
    assert shrinker.measure(best, 2) == 2
    assert said[-1] == "the smallest plan failed 2 of 2"


def test_what_does_not_fail_again_is_not_shrunk() -> None:
    shrinker = Shrinker(lambda _: Outcome(False), 3, lambda _: None)
    assert shrinker.shrink(planned(1, "kill")) is None
    assert shrinker.trials == 3


def test_when_the_time_is_over_the_best_so_far_counts() -> None:
    left = iter([True] * 4)
    shrinker = Shrinker(lambda _: Outcome(True, 20.0), 1, lambda _: None, lambda: next(left, False))
    pair = planned(4, "kill,partition", duration_s=25.0)
    best = shrinker.shrink(pair)
    assert best is not None
    assert len(best[0].faults) <= len(pair[0].faults)
    assert shrinker.trials == 4


@pytest.mark.parametrize("reruns", [1, 4])
def test_a_candidate_fails_if_one_of_its_runs_does(reruns: int) -> None:
    outcomes = iter([False, False, True])
    shrinker = Shrinker(lambda _: Outcome(next(outcomes, True), 99.0), reruns, lambda _: None)
    assert (shrinker.shrink(planned(1, "kill")) is not None) is (reruns == 4)
