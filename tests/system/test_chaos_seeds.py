"""Chaos in short: five nodes, several seeds, and nothing may be wrong. What a push must survive."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.test_chaos import chaos

pytestmark = pytest.mark.slow

SEEDS = {
    101: ("register", "kill,pause,partition,power,members"),
    102: ("register", "kill,power"),
    103: ("append", "kill,pause,partition"),
}
"""Seed → workload and families of faults."""


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_acknowledged_is_lost_and_no_read_is_stale(seed: int, tmp_path: Path) -> None:
    workload, faults = SEEDS[seed]
    options = ("--nodes", "5", "--time", "20", "--rate", "150", "--seed", str(seed))
    code, told = chaos(tmp_path / "run", *options, "--workload", workload, "--faults", faults)
    print(f"network: {told['statistics']['network']}, faults: {told['statistics']['faults']}")
    assert (code, told["validity"]) == (0, "valid"), told
    assert sum(told["statistics"]["faults"].values()) >= 3
    assert told["statistics"]["ok"] >= 100
