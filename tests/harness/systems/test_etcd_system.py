"""etcd as a system under test, where it is installed."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from harness.errors import Refused
from harness.rundir import RunDir
from harness.systems import etcd
from harness.systems.base import Ability, Mismatch, NotApplied, Unknown, Version
from harness.systems.etcd import EtcdSystem

PORT_OFFSET = 1000 + os.getpid() % 30 * 100
ANSWER_S = 10.0
SERVING_S = 60.0


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(Refused, match="no program etcd-of-my-dreams"):
        etcd.find("etcd-of-my-dreams")


@pytest.mark.slow
@pytest.mark.asyncio
@pytest.mark.skipif(shutil.which("etcd") is None, reason="no etcd on PATH (Debian: etcd-server)")
async def test_from_start_to_stop(tmp_path: Path) -> None:
    system = EtcdSystem(RunDir(tmp_path / "cluster"), 3, port_offset=PORT_OFFSET)
    try:
        await system.start()
        assert system.abilities == {Ability.PROCESS}
        client = system.client(ANSWER_S)
        assert await client.read("k") == Version(None, 0)
        first = await client.write("k", "1")
        assert await client.read("k") == first
        second = await client.cas("k", first, "2")
        assert second.token > first.token
        with pytest.raises(Mismatch):
            await client.cas("k", first, "3")
        assert await client.cas("new", Version(None, 0), "x") == await client.read("new")
        assert [await client.delete("k"), await client.delete("k")] == [True, False]
        samples = await system.observe()
        assert [sample.node for sample in samples] == ["n1", "n2", "n3"]
        assert sorted(sample.role for sample in samples) == ["follower", "follower", "leader"]
        assert all(sample.voters == system.nodes and sample.applied > 0 for sample in samples)
        leader = samples[0].leader
        await system.kill([leader])
        assert [sample.node for sample in await system.observe() if sample.process == "dead"] == [leader]
        async with asyncio.timeout(SERVING_S):
            while not await _serves(client):
                pass
        await system.launch([leader])
        await client.close()
    finally:
        await system.stop()
    assert system.crashes() == []


async def _serves(client: etcd.EtcdClient) -> bool:
    try:
        await client.write("k", "after")
        return True
    except (NotApplied, Unknown):
        return False
