"""Faults at their times: they do not meet on one node, refusals are recorded, what was begun is taken back."""

from __future__ import annotations

import asyncio
from typing import Any

from harness.chaos.nemesis import Nemesis
from harness.faults.fault import Fault
from harness.faults.targets import View
from harness.history.records import FaultRecord, Phase
from tests.harness.fake_system import FakeSystem
from tests.harness.virtual_time import run


def fault(number: int, kind: str, start_s: float, duration_s: float, *targets: str, **parameters: Any) -> Fault:
    return Fault(
        number=number, kind=kind, start_s=start_s, duration_s=duration_s, targets=targets, parameters=parameters
    )


def tormented(faults: list[Fault], system: FakeSystem | None = None) -> tuple[list[FaultRecord], FakeSystem]:
    system = system or FakeSystem(5, 1)
    records: list[FaultRecord] = []

    async def look(nemesis: Nemesis) -> None:
        while True:
            at_s = nemesis.world.clock()
            samples = await system.observe()
            nemesis.world.view = View(tuple(s.node for s in samples), {s.node: s for s in samples}, at_s)
            await asyncio.sleep(0.1)

    async def body() -> None:
        await system.start()
        clock = asyncio.get_running_loop().time
        nemesis = Nemesis(system.rig().world(clock), 1, clock, records.append)
        looking = asyncio.ensure_future(look(nemesis))
        await asyncio.sleep(0.2)
        await nemesis.run(faults)
        looking.cancel()
        assert nemesis.active == {}
        assert nemesis.world.claims == {}

    run(body())
    return records, system


def of(records: list[FaultRecord], number: int, phase: Phase) -> FaultRecord:
    return next(record for record in records if (record.fault, record.phase) == (number, phase))


def test_a_fault_is_injected_probed_and_healed_at_its_time() -> None:
    records, _ = tormented([fault(1, "kill", 1.0, 2.0, "leader")])
    assert [record.phase for record in records] == [Phase.INJECT, Phase.PROBE, Phase.HEAL]
    assert round(records[0].began_s, 3) == 1.0
    assert round(records[1].began_s, 3) == 3.0
    assert records[1].fired is True
    assert len({record.nodes for record in records}) == 1


def test_two_faults_never_have_the_same_node_for_themselves() -> None:
    faults = [fault(number, "pause", 1.0, 2.0, "leader") for number in (1, 2)]
    records, _ = tormented(faults)
    assert of(records, 1, Phase.INJECT).nodes != of(records, 2, Phase.INJECT).nodes


def test_a_cut_may_meet_anything() -> None:
    records, system = tormented([fault(1, "pause", 1.0, 2.0, "leader"), fault(2, "isolate-leader", 1.1, 1.0, "leader")])
    assert of(records, 2, Phase.PROBE).fired is True
    assert not system.cuts


def test_when_nobody_is_free_the_fault_does_not_fire() -> None:
    records, _ = tormented([fault(1, "kill-all", 1.0, 9.0, "all"), fault(2, "kill", 1.2, 0.5, "any")])
    refused = of(records, 2, Phase.INJECT)
    assert refused.fired is False
    assert "taken" in refused.detail
    assert [record.phase for record in records if record.fault == 2] == [Phase.INJECT]


def test_a_refused_change_is_recorded_and_what_was_begun_is_mended() -> None:
    system = FakeSystem(3, 1)
    faults = [fault(1, "kill-all", 1.0, 20.0, "all"), fault(2, "add", 1.5, 1.0)]
    records, system = tormented(faults, system)
    refused = of(records, 2, Phase.INJECT)
    assert refused.fired is False
    assert "no leader" in refused.detail
    assert len(system.nodes) == 3
    assert {node.process for node in system.members.values()} == {"running"}


def test_the_same_fault_hits_the_same_nodes_again() -> None:
    faults = [fault(7, "partition-halves", 1.0, 1.0, "any", "any")]
    (first, *_), _ = tormented(faults)
    (again, *_), _ = tormented(faults, FakeSystem(5, 1))
    assert first.nodes == again.nodes
    assert first.links == again.links
