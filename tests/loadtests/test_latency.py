"""Microseconds in, microseconds out, also by way of a worker's report."""

from __future__ import annotations

import json

import pytest

from loadtests.kv.latency import LATENCY_MICROS_MAX, Latencies


def measured() -> Latencies:
    latencies = Latencies()
    for micros in range(1, 1001):
        latencies.succeeded("kv:get", micros / 1e6)
    latencies.failed("kv:set", "NO_LEADER")
    latencies.failed("kv:set", "NO_LEADER")
    return latencies


def test_the_table() -> None:
    head, gets, failed, by_code = measured().lines(seconds=10)
    assert gets.split() == ["kv:get", "1000", "100.0", "500", "900", "990", "999", "1000"]
    assert head.split()[0] == "succeeded"
    assert failed.split()[0] == "failed"
    assert by_code.split() == ["kv:set", "2", "NO_LEADER"]


def test_workers_add_up() -> None:
    sent = json.loads(json.dumps(measured().encode()))
    master = measured()
    master.add(sent)
    _, gets, _, by_code = master.lines(seconds=10)
    assert gets.split()[1:4] == ["2000", "200.0", "500"]
    assert by_code.split() == ["kv:set", "4", "NO_LEADER"]


@pytest.mark.parametrize(("seconds", "micros"), [(0.0, 1), (1e9, LATENCY_MICROS_MAX)])
def test_extremes_are_kept_within_bounds(seconds: float, micros: int) -> None:
    latencies = Latencies()
    latencies.succeeded("kv:get", seconds)
    assert int(latencies.lines(1)[1].split()[-1]) == pytest.approx(micros, rel=0.01)


def test_nothing_went_wrong() -> None:
    assert Latencies().lines(1)[-1] == "no failures"
