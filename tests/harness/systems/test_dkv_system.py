"""dkv as a system under test: three real nodes, from nothing to nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from harness import growth
from harness.cluster import Cluster
from harness.errors import Refused
from harness.history.records import NodeSample
from harness.roster import Place, new_roster, with_new_node
from harness.rundir import RunDir
from harness.systems import links
from harness.systems.base import Ability, Mismatch, Version
from harness.systems.dkv import DkvSystem

PORT_OFFSET = 1000 + os.getpid() % 30 * 100
ANSWER_S = 20.0
"""For an operation, or for a change to be seen: a busy machine may need long."""

Samples = Mapping[str, NodeSample]


async def until(system: DkvSystem, condition: Callable[[Samples], bool]) -> Samples:
    """The first observation of which the condition holds."""
    async with asyncio.timeout(ANSWER_S):
        while True:
            samples = {sample.node: sample for sample in await system.observe(digests=True)}
            if condition(samples):
                return samples
            await asyncio.sleep(0.05)


async def told(operation: Awaitable[object]) -> object:
    try:
        return await operation
    except Mismatch as mismatch:
        return mismatch.code


def leads(samples: Samples) -> str:
    return max((sample.term, sample.node) for sample in samples.values() if sample.role == "leader")[1]


@pytest.mark.slow
@pytest.mark.asyncio
async def test_from_start_to_stop(tmp_path: Path) -> None:
    system = DkvSystem(RunDir(tmp_path / "cluster"), 3, port_offset=PORT_OFFSET)
    try:
        await system.start()
        assert system.nodes == ("n1", "n2", "n3")
        await _operations(system)
        await _processes(system)
        await _cuts(system)
        await _points(system)
        await _members(system)
    finally:
        await system.stop()
    assert system.crashes() == []
    assert all(sample.process == "dead" for sample in await system.observe())
    await system.stop()  # again: never raises
    with pytest.raises(Refused, match="a run begins with nothing"):
        await DkvSystem(RunDir(tmp_path / "cluster"), 3).start()


async def _operations(system: DkvSystem) -> None:
    client = system.client(ANSWER_S)
    assert await client.read("k") == Version(None, 0)
    first = await client.write("k", "1")
    assert client.node in system.nodes
    assert await client.read("k") == first
    second = await client.cas("k", first, "2")
    assert second.token > first.token
    assert await told(client.cas("k", first, "3")) == "CAS_MISMATCH"
    assert await told(client.cas("new", Version(None, 0), "x")) != "CAS_MISMATCH"
    assert [await client.delete("k"), await client.delete("k")] == [True, False]
    await client.close()


async def _processes(system: DkvSystem) -> None:
    whole = await until(system, lambda samples: len({sample.digest for sample in samples.values()}) == 1)
    assert {sample.process for sample in whole.values()} == {"running"}
    assert {sample.leader for sample in whole.values()} == {leads(whole)}
    assert all(sample.voters == system.nodes and sample.last >= sample.commit > 0 for sample in whole.values())
    await system.kill(["n1"])
    await system.pause(["n2"])
    samples = {sample.node: sample for sample in await system.observe()}
    assert [(sample.process, sample.role) for sample in samples.values()][:2] == [("dead", ""), ("paused", "")]
    await system.resume(["n2"])
    await system.launch(["n1"])
    await until(system, lambda samples: all(sample.leader for sample in samples.values()))
    await system.terminate(["n3"])
    assert (await system.observe())[2].process == "dead"
    await system.launch(["n3"])
    await until(system, lambda samples: all(sample.leader for sample in samples.values()))


async def _cuts(system: DkvSystem) -> None:
    assert Ability.CUT in system.abilities
    leader = leads(await until(system, lambda samples: any(sample.role == "leader" for sample in samples.values())))
    cut = sorted(links.around([leader], system.nodes))
    await system.network.cut(cut)
    assert set((await system.network.passes(cut)).values()) == {False}
    others = [name for name in system.nodes if name != leader]
    await until(system, lambda samples: any(samples[name].role == "leader" for name in others))
    await system.network.heal()
    assert set((await system.network.passes(cut)).values()) == {True}
    await until(system, lambda samples: len({sample.leader for sample in samples.values()} - {""}) == 1)


async def _points(system: DkvSystem) -> None:
    """A node that was told to kill itself is no crash."""
    await system.ports.points("n2", {"fsync": 1})
    client = system.client(ANSWER_S)
    await client.write("k", "for an fsync")
    await client.close()
    await until(system, lambda samples: samples["n2"].process == "dead")
    assert system.crashes() == []
    await system.launch(["n2"])
    await until(system, lambda samples: all(sample.leader for sample in samples.values()))


async def _members(system: DkvSystem) -> None:
    assert await system.add() == "n4"
    assert system.nodes == ("n1", "n2", "n3", "n4")
    await system.transfer("n4")
    await system.leave("n1")
    await system.kill(["n2"])
    await system.remove("n2")
    assert system.nodes == ("n3", "n4")


@pytest.mark.asyncio
async def test_two_nodes_that_are_added_at_once_get_a_place_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir, prepared, used = RunDir(tmp_path / "cluster"), list[int](), list[str]()
    run_dir.save(new_roster(3, 0, ("dkv",)))
    system = DkvSystem(run_dir, 3)

    def place(number: int) -> Place:
        prepared.append(number)
        return Place(f"10.0.0.{number}")

    def add(cluster: Cluster, place: Place, timeout_s: float) -> list[str]:
        roster, node = with_new_node(cluster.run_dir.load() or pytest.fail("no roster"), 0, place)
        run_dir.save(roster)
        used.append(f"{node.name} at {place.host}")
        return []

    async def refresh() -> None: ...

    monkeypatch.setattr(system, "_place", place)
    monkeypatch.setattr(system, "_refresh", refresh)
    monkeypatch.setattr(growth, "add", add)
    assert await asyncio.gather(system.add(), system.add()) == ["n4", "n5"]
    assert (prepared, used) == ([4, 5], ["n4 at 10.0.0.4", "n5 at 10.0.0.5"])
