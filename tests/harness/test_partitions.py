"""The verbs that break links, against fake nodes with fake fault ports."""

from __future__ import annotations

from typing import Any

import pytest

from harness import partitions
from harness.errors import WRONG_USAGE, UsageError
from tests.harness.command import Harness


def cut(document: dict[str, Any]) -> list[str]:
    return [f"{a}>{b}" for a, b in document["links"]["cut"]]


@pytest.mark.parametrize(("text", "seconds"), [("50ms", 0.05), ("1.5s", 1.5), ("0ms", 0.0), ("60s", 60.0)])
def test_durations(text: str, seconds: float) -> None:
    assert partitions.parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "50", "-1s", "fast", "61s", "5m"])
def test_no_durations(text: str) -> None:
    with pytest.raises(UsageError):
        partitions.parse_duration(text)


@pytest.mark.slow
def test_partition_isolate_slow_and_heal(harness: Harness) -> None:
    harness.up("3")
    assert cut(harness.run("-o", "json", "partition", "n1/n2,n3").last) == ["n1>n2", "n1>n3", "n2>n1", "n3>n1"]
    assert "cut: n1 ↮ n2, n1 ↮ n3" in harness.run("status").out
    assert cut(harness.run("-o", "json", "partition", "n2/n3").last) == ["n2>n3", "n3>n2"]
    assert len(cut(harness.run("-o", "json", "isolate", "n1").last)) == 6
    assert len(cut(harness.run("-o", "json", "partition", "n3").last)) == 4
    slowed = harness.run("-o", "json", "slow", "n1", "n2", "50ms").last
    assert slowed["links"]["shaped"] == [
        {"from": "n1", "to": "n2", "delay_s": 0.05},
        {"from": "n2", "to": "n1", "delay_s": 0.05},
    ]
    assert len(cut(slowed)) == 4
    assert len(harness.run("-o", "json", "slow", "n1", "1s").last["links"]["shaped"]) == 4
    assert len(harness.run("-o", "json", "slow", "n1", "n2", "0ms").last["links"]["shaped"]) == 2
    harness.run("kill", "n2")
    assert cut(harness.status()) == ["n1>n3", "n2>n3", "n3>n1", "n3>n2"]  # n3 knows, for both ends
    assert harness.run("-o", "json", "heal").last["links"] == {"cut": [], "shaped": []}
    assert harness.run("partition", "n1/n1,n2").code == WRONG_USAGE


@pytest.mark.slow
def test_without_fault_ports_nothing_is_broken(harness: Harness) -> None:
    harness.up("2", "--no-fault-port")
    done = harness.run("isolate", "n1")
    assert done.code == 1
    assert "started without a fault port" in done.err
    assert harness.status()["links"] == {"cut": [], "shaped": []}
