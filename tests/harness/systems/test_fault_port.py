"""The fault ports' client, and the network that is made of them."""

from __future__ import annotations

import pytest

from harness.errors import Refused
from harness.systems.base import Shape
from harness.systems.fault_port import FaultPorts
from harness.systems.network_hook import HookNetwork
from tests.harness.fake_fault_port import FakeFaultPort, fresh

Fakes = dict[str, FakeFaultPort]
WHOLE = {(a, b): True for a in ("n1", "n2", "n3") for b in ("n1", "n2", "n3") if a != b}


@pytest.mark.asyncio
async def test_each_seam_is_told_in_its_own_words(fakes: Fakes, ports: FaultPorts) -> None:
    await ports.clock("n1", {"wall": {"jump_s": 60}})
    await ports.disk("n1", {"volatile": True})
    await ports.points("n1", {"fsync": 3})
    await ports.links("n1", {"n2": {"send": {"cut": True}}})
    assert fakes["n1"].requests == [
        ("/faults/clock", {"wall": {"jump_s": 60}}),
        ("/faults/disk", {"volatile": True}),
        ("/faults/points", {"fsync": {"kill_at": 3}}),
        ("/faults/links", {"n2": {"send": {"cut": True}}}),
    ]
    assert (await ports.state("n1"))["disk"] == {"volatile": True}
    await ports.heal("n1")
    assert fakes["n1"].told == fresh()


@pytest.mark.asyncio
async def test_what_may_end_a_node_is_noted_first(fakes: Fakes) -> None:
    armed: list[tuple[str, str]] = []
    ports = FaultPorts(lambda name: fakes[name].address, arm=lambda name, by: armed.append((name, by)))
    await ports.points("n1", {"fsync": 1})
    await ports.points("n1", {})
    await ports.disk("n2", {"io_error": True})
    await ports.disk("n2", {"fsync_delay_s": 0.1})
    await ports.disk("n3", {})
    assert armed == [("n1", "points"), ("n2", "disk")]


@pytest.mark.asyncio
async def test_what_can_go_wrong_is_said(fakes: Fakes, ports: FaultPorts) -> None:
    with pytest.raises(Refused, match="n9 has no fault port"):
        await ports.state("n9")
    fakes["n2"].refusal = "no such point"
    with pytest.raises(Refused, match=r"n2 refused PUT /faults/points.*no such point"):
        await ports.points("n2", {"lunch": 1})
    fakes["n3"].shutdown()
    fakes["n3"].server_close()
    with pytest.raises(Refused, match="n3 does not answer at its fault port"):
        await ports.state("n3")


@pytest.mark.asyncio
async def test_a_cut_is_known_at_both_ends_and_taken_back(fakes: Fakes, ports: FaultPorts) -> None:
    network = HookNetwork(ports, lambda: tuple(fakes))
    await network.cut([("n1", "n2")])
    await network.shape({("n2", "n3"): Shape(delay_s=0.1)})
    assert [fake.told["links"] for fake in fakes.values()] == [
        {"n2": {"send": {"cut": True}}},
        {"n1": {"receive": {"cut": True}}, "n3": {"send": {"delay_s": 0.1}}},
        {},
    ]
    assert await network.passes(list(WHOLE)) == {**WHOLE, ("n1", "n2"): False}
    await network.heal()
    assert [fake.told["links"] for fake in fakes.values()] == [{}, {}, {}]
    assert await network.passes(list(WHOLE)) == WHOLE


@pytest.mark.asyncio
async def test_a_node_that_does_not_run_is_passed_over_and_told_again(fakes: Fakes, ports: FaultPorts) -> None:
    network = HookNetwork(ports, lambda: tuple(fakes))
    fakes["n1"].refusal = "I am not up yet"
    await network.cut([("n1", "n2")])
    assert set(network.untold) == {"n1"}
    assert await network.passes([("n1", "n2")]) == {("n1", "n2"): False}  # the other end knows
    fakes["n1"].refusal = ""
    await network.cut([("n1", "n2")])
    assert network.untold == {}
    assert fakes["n1"].told["links"] == {"n2": {"send": {"cut": True}}}


@pytest.mark.asyncio
async def test_nobody_knows_of_a_link_between_two_that_are_silent(ports: FaultPorts) -> None:
    network = HookNetwork(ports, lambda: ("n8", "n9"))
    assert await network.passes([("n8", "n9")]) == {("n8", "n9"): None}
