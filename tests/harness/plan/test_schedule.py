"""Plans: the same seed gives the same bytes, a majority is never away for long, everything is healed at the end."""

from __future__ import annotations

import itertools
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.faults.catalog import KINDS, chosen, possible
from harness.faults.fault import Family, Fault, Terrain
from harness.plan import schedule
from harness.plan.drawing import draw
from harness.plan.plan import Operation, Plan, from_json, from_lines, to_json, to_lines
from harness.systems.base import Ability

ALL = tuple(Ability)


def drawn(seed: int, nodes: int = 5, duration_s: float = 30.0, words: str = "all") -> tuple[Plan, list[Operation]]:
    return draw(
        seed=seed,
        duration_s=duration_s,
        nodes=nodes,
        kinds=possible(chosen(words.split(",")), ALL, nodes),
        workload="register",
        clients=4,
        rate=20.0,
    )


def lost_at(faults: tuple[Fault, ...], terrain: Terrain, time_s: float) -> list[int]:
    return [
        KINDS[fault.kind].lost(fault, terrain)
        for fault in faults
        if fault.start_s <= time_s < fault.end_s and KINDS[fault.kind].lost(fault, terrain)
    ]


@given(st.integers(0, 10**9), st.integers(1, 7), st.sampled_from([4.0, 20.0, 60.0]))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_majority_can_exist_but_for_short_outages(seed: int, nodes: int, duration_s: float) -> None:
    plan, _ = drawn(seed, nodes, duration_s)
    terrain = Terrain(nodes)
    for moment in [fault.start_s for fault in plan.faults]:  # what is lost changes upwards only when a fault begins
        lost = lost_at(plan.faults, terrain, moment)
        if sum(lost) > terrain.spare:
            assert len(lost) == 1, f"a total outage has company at {moment}: {plan.faults}"
    for fault in plan.faults:
        if KINDS[fault.kind].lost(fault, terrain) > terrain.spare:
            assert fault.duration_s <= schedule.TOTAL_S_MAX
            for other in plan.faults:
                if other is not fault and KINDS[other.kind].lost(other, terrain):
                    assert not schedule.overlaps(fault, other, schedule.RECOVER_S), (fault, other)


@given(st.integers(0, 10**9), st.integers(1, 7), st.sampled_from([4.0, 20.0, 60.0]))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_everything_is_healed_before_the_quiet_end(seed: int, nodes: int, duration_s: float) -> None:
    plan, operations = drawn(seed, nodes, duration_s)
    assert plan.quiet_s >= 1.5
    assert all(fault.end_s <= plan.duration_s - plan.quiet_s + 0.0015 for fault in plan.faults)
    assert all(fault.duration_s > 0 for fault in plan.faults)
    assert [fault.number for fault in plan.faults] == list(range(1, len(plan.faults) + 1))
    assert all(operation.time_s <= plan.duration_s for operation in operations)


def test_the_same_seed_gives_the_same_bytes() -> None:
    (plan, operations), (again, operations_again) = drawn(7), drawn(7)
    assert to_json(plan) == to_json(again)
    assert to_lines(operations) == to_lines(operations_again)
    assert to_json(drawn(8)[0]) != to_json(plan)


def test_seconds_may_be_written_either_way() -> None:
    assert to_json(drawn(7, duration_s=30)[0]) == to_json(drawn(7, duration_s=30.0)[0])


def test_settings_that_are_given_take_the_place_of_drawn_ones() -> None:
    arguments = {
        "seed": 3,
        "duration_s": 9.0,
        "nodes": 3,
        "kinds": (),
        "workload": "register",
        "clients": 2,
        "rate": 9.0,
    }
    drawn, _ = draw(**arguments)
    told, _ = draw(**arguments, settings={"keep_entries": 77})
    assert told.settings == {**drawn.settings, "keep_entries": 77}
    assert drawn.settings["keep_entries"] != 77
    assert msgspec.structs.replace(told, settings=drawn.settings) == drawn


def test_a_plan_is_read_back() -> None:
    plan, operations = drawn(7)
    assert from_json(to_json(plan)) == plan
    assert from_lines(to_lines(operations), plan.operations) == operations


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"format":"dkv-plan"'])
def test_what_is_no_plan_is_refused(content: bytes) -> None:
    with pytest.raises(UsageError, match="no plan"):
        from_json(content)


def test_another_list_of_operations_is_refused() -> None:
    plan, operations = drawn(7)
    with pytest.raises(UsageError, match="digest"):
        from_lines(to_lines(operations[:-1]), plan.operations)


@pytest.mark.parametrize("nodes", [3, 5])
def test_every_kind_comes_up_in_some_seed(nodes: int) -> None:
    allowed = possible(chosen(["all"]), ALL, nodes)
    seen = {fault.kind for seed in range(150) for fault in drawn(seed, nodes, 60.0)[0].faults}
    assert seen == set(allowed)


def test_each_seed_is_another_kind_of_day() -> None:
    mixes = {frozenset(drawn(seed)[0].mix["faults"]["epochs"][0]) for seed in range(20)}
    assert len(mixes) >= 15
    assert all(mixes), "each epoch keeps something"


@given(st.integers(0, 10**9))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_a_minute_may_have_every_family(seed: int) -> None:
    epochs = drawn(seed, duration_s=60.0)[0].mix["faults"]["epochs"]
    families = {KINDS[kind].family for epoch in epochs for kind in epoch}
    assert families == set(Family)
    assert all(len({KINDS[kind].family for kind in epoch}) == 5 for epoch in epochs)


@pytest.mark.parametrize("family", list(Family))
def test_a_family_alone_makes_a_plan(family: Family) -> None:
    faults = [fault for seed in range(5) for fault in drawn(seed, words=family, duration_s=30.0)[0].faults]
    assert faults
    assert {KINDS[fault.kind].family for fault in faults} == {family}


def test_no_faults_are_a_plan_too() -> None:
    plan, operations = draw(seed=1, duration_s=5, nodes=3, kinds=(), workload="set", clients=2, rate=10)
    assert plan.faults == ()
    assert len(operations) == 50


def test_a_fault_that_fits_only_later_waits() -> None:
    terrain, mix = Terrain(3), schedule.Mix(0.5, 10.0, ({"kill": 1.0},))
    faults = schedule.schedule(random.Random(1), mix, terrain, 60.0)
    assert len(faults) >= 5
    for one, next_one in itertools.pairwise(faults):
        assert next_one.start_s >= one.end_s + schedule.RECOVER_S - 0.001
