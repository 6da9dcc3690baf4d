"""Hostile bytes at every door of a running agent: a seeded sample of them. All: ``agent_fuzz`` as a program."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tests.dkv.gossip.agent_fuzz import fuzz

SHARE = 0.01
GROWTH_BYTES_MAX = 256 * 1024 * 1024
"""A tenth of that is usual: bombs are taken up to the limits, one by one."""


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", [1, 2])
async def test_an_agent_under_fire_lives_and_loses_nobody(tmp_path: Path, seed: int) -> None:
    before = psutil.Process().memory_info().rss
    reports = await fuzz(tmp_path, seed, SHARE)
    assert all(report.cases > 100 for report in reports)
    assert psutil.Process().memory_info().rss - before < GROWTH_BYTES_MAX
