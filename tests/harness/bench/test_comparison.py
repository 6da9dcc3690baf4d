"""Two runs: what counts as a regression, what does not, and what is said about both."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
import pytest

from harness.bench import comparison
from harness.bench.comparison import FINE, REGRESSION, Comparison, Verdict, compare, text
from harness.bench.measurements import Figure, Loop, Sample
from harness.bench.recording import Recording
from tests.harness.bench import synthetic

CELLS = [synthetic.set_cell(64), synthetic.set_cell(64, operation="get", level="linearizable")]
BASE = tuple(synthetic.samples(Random(1), 7, ("dkv", "etcd"), CELLS))


def run(name: str, samples: tuple[Sample, ...] = BASE, figures: tuple[Figure, ...] = (), **manifest: Any) -> Recording:
    return Recording(name, synthetic.MANIFEST | manifest, samples, figures)


def scaled(factor: float, which: Callable[[Sample], bool] = lambda sample: True) -> tuple[Sample, ...]:
    """Rates of those samples times that."""
    return tuple(
        msgspec.structs.replace(sample, completed=round(sample.completed * factor)) if which(sample) else sample
        for sample in BASE
    )


def seen(found: Comparison, system: str = "dkv") -> list[Verdict]:
    return [row.verdict for row in found.rows if row.system == system]


def against(samples: tuple[Sample, ...], **manifest: Any) -> Comparison:
    return compare(run("a"), run("b", samples, **manifest), Random(1))


def ours(sample: Sample) -> bool:
    return sample.system == "dkv"


def test_a_run_and_itself() -> None:
    found = against(BASE)
    assert seen(found) == seen(found, "etcd") == [Verdict.SAME] * 2
    assert found.exit_code == FINE


def test_what_became_slower_is_a_regression() -> None:
    found = against(scaled(0.7, lambda sample: ours(sample) and sample.cell.operation == "get"))
    assert seen(found) == [Verdict.SAME, Verdict.SLOWER]
    assert found.exit_code == REGRESSION
    assert "dkv: slower in 1, faster in 0 of 2 that both runs have" in text(found)


def test_what_became_faster_is_none() -> None:
    found = against(scaled(1.5, ours))
    assert seen(found) == [Verdict.FASTER] * 2
    assert found.exit_code == FINE


def test_a_slower_machine_is_not_our_regression_but_is_told() -> None:
    found = against(scaled(0.6))
    assert seen(found) == [Verdict.SAME] * 2
    assert seen(found, "etcd") == [Verdict.SLOWER] * 2
    assert found.exit_code == FINE
    assert any("Peers changed too, in 2 rows" in warning for warning in found.warnings)


def test_a_faster_machine_does_not_hide_one() -> None:
    found = against(scaled(1.5, lambda sample: not ours(sample)))
    assert found.exit_code == REGRESSION


def test_without_a_common_peer_bare_rates_have_to_do() -> None:
    alone = tuple(filter(ours, BASE))
    found = compare(run("a", alone), run("b", tuple(filter(ours, scaled(0.6)))), Random(1))
    assert seen(found) == [Verdict.SLOWER] * 2
    assert "No peer is in both runs" in found.warnings[0]


@pytest.mark.parametrize("completed", [9_800, 10_200])
def test_two_percent_are_no_difference_however_sure(completed: int) -> None:
    steady = tuple(msgspec.structs.replace(sample, completed=10_000) for sample in BASE)
    other = tuple(msgspec.structs.replace(sample, completed=completed) if ours(sample) else sample for sample in steady)
    found = compare(run("a", steady), run("b", other), Random(1))
    assert found.rows[0].beside is not None
    assert (found.rows[0].beside.low, found.rows[0].beside.high) == pytest.approx((completed / 1e4, completed / 1e4))
    assert seen(found) == [Verdict.SAME] * 2


def test_two_rounds_are_not_judged() -> None:
    few = tuple(sample for sample in scaled(0.5, ours) if sample.round < 2)
    found = against(few)
    assert seen(found) == [Verdict.FEW] * 2
    assert found.exit_code == FINE


def test_open_loops_are_judged_by_p99() -> None:
    cell = synthetic.set_cell(loop=Loop.OPEN, offered_per_s=500)

    def taken(p99_ms: float) -> tuple[Sample, ...]:
        rng = Random(1)
        return tuple(
            synthetic.sample(rng, "dkv", cell, number, p99_ms=p99_ms * rng.uniform(0.95, 1.05)) for number in range(7)
        )

    found = compare(run("a", taken(4.0)), run("b", taken(8.0)), Random(1))
    assert (seen(found), found.rows[0].unit, found.exit_code) == ([Verdict.SLOWER], "ms p99", REGRESSION)


def figures(name: str, unit: str, value: float) -> tuple[Figure, ...]:
    rng = Random(1)
    return tuple(
        Figure(system="dkv", name=name, round=number, value=value * rng.uniform(0.97, 1.03), unit=unit)
        for number in range(7)
    )


@pytest.mark.parametrize(
    ("name", "unit", "more", "word"),
    [
        ("failover", "s", Verdict.SLOWER, "slower"),
        ("log-path-rate", "/s", Verdict.FASTER, "faster"),
        ("memory-per-key", "B", Verdict.SLOWER, "worse"),
        ("unheard-of", "ms", Verdict.SLOWER, "slower"),
    ],
)
def test_figures_know_which_way_is_better(name: str, unit: str, more: Verdict, word: str) -> None:
    there = compare(run("a", (), figures(name, unit, 1.0)), run("b", (), figures(name, unit, 2.0)), Random(1))
    assert seen(there) == [more]
    assert text(there).rstrip().endswith(word)
    back = compare(there.b, there.a, Random(1))
    assert {there.exit_code, back.exit_code} == {FINE, REGRESSION}


def test_other_hosts_and_versions_and_what_only_one_has_are_told() -> None:
    found = against(BASE[:14], versions={"dkv": "0.2.0"}, host={"processors": 8, "load_average_before": 9.0})
    told = "\n".join(found.warnings)
    assert "not taken in turn" in told
    assert "Different host: system Linux-6.18 → none, processors 2 → 8, memory_bytes 25769803776 → none." in told
    assert "Different versions: dkv 0.1.0 → 0.2.0, etcd 3.4.23 → none, zookeeper 3.8.0 → none." in told
    assert "Only A has: linearizable get at the leader, 64 connections." in told


def test_ours_comes_first_and_columns_line_up() -> None:
    found = against(BASE)
    assert [row.system for row in found.rows] == ["dkv", "dkv", "etcd", "etcd"]
    lines = text(found).splitlines()
    head = next(place for place, line in enumerate(lines) if line.startswith("what "))
    assert {line.index(word) for line, word in zip(lines[head:], ("verdict", *["no difference"] * 4), strict=True)} == {
        lines[head].index("verdict")
    }
    assert lines[:2] == ["A: a", "B: b"]


def test_nothing_in_common() -> None:
    found = compare(run("a", ()), run("b"), Random(1))
    assert (found.rows, found.exit_code) == ((), FINE)
    assert "nothing of dkv is in both" in text(found)
    assert comparison.HEAD[0] in text(found)
