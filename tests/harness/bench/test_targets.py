"""The table of what was asked for, and how a run is read against it."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from harness.bench import matrix, names, numerals, targets
from harness.bench.measurements import Cell, Figure, Sample
from harness.bench.readings import Outcome, Reading, measured, readings
from harness.bench.recording import Recording
from harness.bench.targets import Alone, Beside, Grown, Of, Once, Target
from tests.harness.bench import synthetic

CELL = synthetic.set_cell()
OTHER = synthetic.set_cell(16)


def recording(samples: list[Sample] | None = None, figures: list[Figure] | None = None) -> Recording:
    return Recording("run", {}, tuple(samples or ()), tuple(figures or ()))


def block(system: str, rates: list[float], cell: Cell = CELL, **changes: Any) -> list[Sample]:
    """A round a rate, of one second each."""
    return [
        synthetic.sample(Random(1), system, cell, number, completed=round(rate), duration_s=1.0, **changes)
        for number, rate in enumerate(rates)
    ]


def times(system: str, values: list[float], name: str = "failover", **changes: Any) -> list[Figure]:
    return [
        Figure(system=system, name=name, round=number, value=value, unit="s", **changes)
        for number, value in enumerate(values)
    ]


def read(target: Target, run: Recording) -> Reading:
    (reading,) = readings(run, Random(1), (target,))
    return reading


TWICE = Target("sets", Beside((CELL, OTHER), "etcd"), 2.0)


@pytest.mark.parametrize(
    ("ours", "outcome", "remark"),
    [
        ([210.0, 220, 230, 240, 250], Outcome.MET, ""),
        ([180.0, 190, 210, 240, 250], Outcome.MET, "the interval holds the target"),
        ([100.0, 110, 120, 130, 140], Outcome.MISSED, ""),
        ([150.0, 160, 190, 210, 220], Outcome.MISSED, "the interval holds the target"),
        ([300.0, 300], Outcome.MET, "2 rounds only"),
    ],
)
def test_a_ratio(ours: list[float], outcome: Outcome, remark: str) -> None:
    found = read(TWICE, recording(block("dkv", ours) + block("etcd", [100.0] * 5)))
    assert (found.outcome, found.remark) == (outcome, remark)
    assert found.value == pytest.approx(sorted(ours)[len(ours) // 2] / 100)


def test_the_first_cell_that_has_both_counts() -> None:
    samples = block("dkv", [100.0] * 5) + block("dkv", [300.0] * 5, OTHER) + block("etcd", [100.0] * 5, OTHER)
    assert read(TWICE, recording(samples)).value == 3.0
    alone = read(TWICE, recording(block("dkv", [100.0] * 5)))
    assert (alone.outcome, alone.detail) == (Outcome.NOT_MEASURED, "100 /s, and no etcd (JSON) beside it")
    assert read(TWICE, recording(block("etcd", [100.0] * 5))).outcome is Outcome.NOT_MEASURED


def test_a_latency_beside_a_peers_is_better_when_it_is_less() -> None:
    target = Target("p99", Beside((CELL,), "etcd", Of.P99), 1.0, at_least=False)
    run = recording(block("dkv", [9.0] * 5, p99_ms=4.0) + block("etcd", [9.0] * 5, p99_ms=8.0))
    found = read(target, run)
    assert (found.outcome, found.value, found.detail) == (
        Outcome.MET,
        0.5,
        "4.00 ms beside 8.00 ms; pair by pair 0.500",
    )


def test_a_system_that_answered_nothing_is_not_the_faster_one() -> None:
    target = Target("p99", Beside((CELL,), "etcd", Of.P99), 1.0, at_least=False)
    run = recording(block("dkv", [0.0] * 5, p99_ms=0.0) + block("etcd", [9.0] * 5, p99_ms=8.0))
    assert read(target, run).outcome is Outcome.MISSED


def test_a_rate_of_our_own() -> None:
    run = recording(block("dkv", [100.0] * 5))
    assert read(Target("sets", Alone((CELL,)), 90), run).outcome is Outcome.MET
    assert read(Target("sets", Alone((OTHER,)), 90), run).outcome is Outcome.NOT_MEASURED


def test_many_keys_against_few_of_the_same_round() -> None:
    few = times("dkv", [100.0, 200.0, 300.0, 100.0, 100.0], "rate-by-keys", keys=1_000)
    many = times("dkv", [95.0, 190.0, 285.0, 95.0, 95.0, 9.0], "rate-by-keys", keys=1_000_000)
    target = Target("keys", Grown("rate-by-keys", "/s", 1_000_000, 1_000), 0.9)
    found = read(target, recording(figures=few + many))
    assert (found.outcome, found.value) == (Outcome.MET, 0.95)
    assert found.values is not None
    assert found.values.count == 5, "nothing was beside the sixth"
    assert read(target, recording(figures=many)).outcome is Outcome.NOT_MEASURED
    assert read(target, recording(figures=few)).outcome is Outcome.NOT_MEASURED


def test_who_is_not_at_hand_is_told_of() -> None:
    found = read(Target("sets", Beside((CELL,), "seed"), 1.0), recording(block("dkv", [100.0] * 5)))
    assert (found.outcome, found.remark.startswith("Go seed is not at hand")) == (Outcome.NOT_MEASURED, True)


def test_what_was_not_measured_in_one_part_says_so() -> None:
    target = Target("failover", Once("failover", "s", peer="etcd"), 1.0, at_least=False)
    ours = times("dkv", [1.0] * 5, part=2)
    apart = read(target, recording(figures=ours + times("etcd", [2.0] * 5, part=3)))
    assert (apart.parts, apart.remark) == ((2, 3), "not all measured in one part of the run")
    assert read(target, recording(figures=ours + times("etcd", [2.0] * 5, part=2))).remark == ""


def test_figures_by_their_median_and_beside_a_peers() -> None:
    run = recording(figures=times("dkv", [0.1, 0.2, 0.3, 0.9, 9.0]) + times("zookeeper", [0.4] * 5))
    assert read(Target("failover", Once("failover", "s"), 0.4, at_least=False), run).outcome is Outcome.MET
    beside = read(Target("failover", Once("failover", "s", peer="zookeeper"), 1.0, at_least=False), run)
    assert beside.outcome is Outcome.MET
    assert beside.value == pytest.approx(0.75)
    assert beside.remark == "the interval holds the target"
    absent = Target("failover", Once("failover", "s", peer="etcd"), 1.0, at_least=False)
    assert read(absent, run).outcome is Outcome.NOT_MEASURED


def test_figures_of_another_size_are_not_taken_for_it() -> None:
    target = Target("restart", Once("restart", "s", keys=1_000_000), 5, at_least=False)
    assert read(target, recording(figures=times("dkv", [1.0], "restart", keys=100_000))).outcome is Outcome.NOT_MEASURED
    found = read(target, recording(figures=times("dkv", [6.0], "restart", keys=1_000_000)))
    assert (found.outcome, found.remark) == (Outcome.MISSED, "1 round only")


def test_figures_of_a_cluster_of_another_size_are_not_either() -> None:
    target = Target("start", Once("first-write", "s", nodes=5), 1.5, at_least=False)
    three, five = times("dkv", [1.0] * 5, "first-write"), times("dkv", [2.0] * 5, "first-write", nodes=5)
    assert read(target, recording(figures=three)).outcome is Outcome.NOT_MEASURED
    assert read(target, recording(figures=three + five)).outcome is Outcome.MISSED


def test_a_single_false_election_is_one_too_many() -> None:
    (target,) = (each for each in targets.TARGETS if "false elections" in each.what)
    for count, outcome in ((0.0, Outcome.MET), (1.0, Outcome.MISSED)):
        run = recording(figures=times("dkv", [count], "false-elections"))
        assert read(target, run).outcome is outcome


def test_an_empty_run_measures_nothing() -> None:
    found = readings(recording(), Random(1))
    assert len(found) == len(targets.TARGETS)
    assert {reading.outcome for reading in found} == {Outcome.NOT_MEASURED}
    assert {measured(reading) for reading in found} == {numerals.NOTHING}


def test_every_figure_that_a_target_asks_for_has_a_name_and_the_same_direction() -> None:
    for target in targets.TARGETS:
        if isinstance(target.measure, Once | Grown):
            assert target.measure.name in names.FIGURES
            assert names.FIGURES[target.measure.name].more_is_better is target.at_least


@pytest.mark.parametrize("target", targets.TARGETS, ids=lambda target: f"{target.what} {target.wanted}")
def test_the_full_matrix_has_what_the_targets_ask_for(target: Target) -> None:
    measure = target.measure
    if isinstance(measure, Beside | Alone):
        assert set(matrix.full()) & set(measure.cells)
    peer = getattr(measure, "peer", "")
    assert not peer or peer in names.SYSTEMS


def test_the_quick_matrix_is_what_the_speed_table_asks_for() -> None:
    quick = set(matrix.quick())
    asked = [target.measure for target in targets.TARGETS if isinstance(target.measure, Beside | Alone)]
    assert [measure for measure in asked if not quick & set(measure.cells)] == []
