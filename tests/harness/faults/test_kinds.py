"""Every kind of fault against the fake system: drawn, injected, seen to work, taken back."""

from __future__ import annotations

import asyncio
import random
import re
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import Refused, UsageError
from harness.faults import overtaken, thin_majority
from harness.faults.catalog import KINDS, chosen, possible
from harness.faults.fault import Draft, Fault, Injection, Terrain
from harness.faults.figure_eight import WRITES
from harness.faults.targets import View, resolve
from harness.faults.world import World
from harness.systems.base import Ability
from tests.harness.fake_system import FakeSystem
from tests.harness.virtual_time import run

INVISIBLE = {"pause-blink", "kill-at-point", "lost-answers", "kill-at-install"}
"""Over before it is looked for; or the fake has no such point."""


def as_fault(kind: str, draft: Draft) -> Fault:
    return Fault(
        number=1,
        kind=kind,
        start_s=0.0,
        duration_s=draft.duration_s,
        targets=tuple(draft.targets),
        parameters=dict(draft.parameters),
    )


async def look(world: World) -> None:
    at_s = world.clock()
    samples = await world.system.observe()
    world.view = View(tuple(s.node for s in samples), {s.node: s for s in samples}, at_s)


async def watch(world: World) -> None:
    while True:
        await look(world)
        await asyncio.sleep(0.2)


async def write(system: FakeSystem) -> None:
    """So that points are met."""
    while True:
        if system.leader is not None:
            system.commit("k", "v")
        await asyncio.sleep(0.02)


async def life(
    kind: str, seed: int, system: FakeSystem, pressed: list[tuple[str, int]] | None = None
) -> tuple[Fault, Injection, bool | None, list[str]]:
    """The fault from draw to heal; what stood between."""
    rng = random.Random(seed)
    await system.start()
    world = system.rig().world(asyncio.get_running_loop().time)

    async def press(node: str, writes: int, size_bytes: int) -> None:
        (pressed if pressed is not None else []).append((node, writes))

    world.press, world.look = press, partial(look, world)
    background = [asyncio.ensure_future(watch(world)), asyncio.ensure_future(write(system))]
    await asyncio.sleep(0.5)
    fault = as_fault(kind, KINDS[kind].draw(rng, Terrain(len(system.nodes))))
    nodes = resolve(fault.targets, world.view, (), rng)
    injection = await KINDS[kind].inject(world, fault, nodes, rng)
    await asyncio.sleep(fault.duration_s)
    fired = await KINDS[kind].probe(world, fault, injection)
    during = [node.process for node in system.members.values()]
    await KINDS[kind].heal(world, fault, injection)
    await asyncio.sleep(3.0)
    for task in background:
        task.cancel()
    await asyncio.gather(*background, return_exceptions=True)
    return fault, injection, fired, during


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_fault_from_draw_to_heal(kind: str, seed: int) -> None:
    system = FakeSystem(5, seed)
    fault, injection, fired, _ = run(life(kind, seed, system))
    assert len(injection.nodes) == (5 if "all" in fault.targets else max(1, len(fault.targets)))
    assert fired is (None if kind in INVISIBLE else True), "a fault that is done is seen"
    assert len(system.nodes) == 5
    assert {node.process for node in system.members.values()} == {"running"}
    assert not system.cuts
    assert not system.shapes
    told = [node.fault for node in system.members.values()]
    assert not any(state.get("disk") or state.get("points") for state in told)
    assert all(drift["rate"] == 1.0 for state in told for drift in state.get("clock", {}).values())
    assert system.leader is not None, "the cluster is whole again"


def test_at_least_twenty_kinds_of_every_family() -> None:
    assert len(KINDS) >= 30
    assert all(kind.name == name for name, kind in KINDS.items())


@given(st.integers(0, 10**9), st.integers(1, 9), st.sampled_from(list(KINDS)))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_draws_are_plain_data_and_repeatable(seed: int, nodes: int, kind: str) -> None:
    if not possible([kind], frozenset(Ability), nodes):
        return
    terrain = Terrain(nodes)
    draft, again = (KINDS[kind].draw(random.Random(seed), terrain) for _ in range(2))
    assert draft == again
    assert draft.duration_s > 0
    assert len(draft.targets) <= nodes
    assert not set(draft.targets) - {"leader", "follower", "any", "all"}
    assert KINDS[kind].lost(draft, terrain) <= nodes
    as_fault(kind, draft)


def cuts(kind: str, nodes: int, seed: int = 1) -> tuple[set[tuple[str, str]], tuple[str, ...], str]:
    system = FakeSystem(nodes, seed)
    _, injection, _, _ = run(life(kind, seed, system))
    return set(injection.links), injection.nodes, kind


def heard(links: set[tuple[str, str]], nodes: int) -> dict[str, set[str]]:
    """Whom each node hears both ways, itself included."""
    names = [f"n{i}" for i in range(1, nodes + 1)]
    return {a: {b for b in names if (a, b) not in links and (b, a) not in links} for a in names}


@pytest.mark.parametrize("nodes", [4, 5, 6, 7, 9])
def test_in_a_ring_everybody_sees_another_majority(nodes: int) -> None:
    links, _, _ = cuts("partition-ring", nodes)
    seen = heard(links, nodes)
    assert all(len(names) > nodes // 2 for names in seen.values())
    assert len({frozenset(names) for names in seen.values()}) == nodes
    assert links


@pytest.mark.parametrize("nodes", [3, 5, 7])
def test_a_bridge_is_seen_by_both_sides(nodes: int) -> None:
    links, hit, _ = cuts("partition-bridge", nodes)
    seen = heard(links, nodes)
    assert len(seen[hit[0]]) == nodes
    assert all(len(names) < nodes for name, names in seen.items() if name != hit[0])


@pytest.mark.parametrize(
    ("kind", "nodes", "side"),
    [
        ("partition-halves", 5, 2),
        ("partition-halves", 4, 2),
        ("partition-minority-leader", 5, 2),
        ("partition-minority-leader", 3, 1),
        ("isolate-leader", 5, 1),
        ("isolate-follower", 5, 1),
    ],
)
def test_sides_are_apart_and_whole(kind: str, nodes: int, side: int) -> None:
    links, hit, _ = cuts(kind, nodes)
    assert len(hit) == side
    seen = heard(links, nodes)
    assert all(seen[name] == set(hit) for name in hit)


def test_one_way_is_one_way() -> None:
    for seed in range(8):
        links, hit, _ = cuts("one-way", 5, seed)
        assert links
        assert not {(b, a) for a, b in links} & links
        assert all(hit[0] in link for link in links)


@pytest.mark.parametrize("count", [3, 5])
def test_figure_eight_leaves_two_tails_and_lets_the_older_one_lead_between(count: int) -> None:
    """Which of the fake's nodes leads is chance: of the seeds those count in which it is the first one's turn again."""
    played = 0
    for seed in range(12):
        system = FakeSystem(count, seed)
        pressed: list[tuple[str, int]] = []
        _, injection, fired, during = run(life("figure-eight", seed, system, pressed))
        if injection.detail.startswith("nobody"):
            assert fired is None
            continue
        first, second, again = re.findall(r"n\d", injection.detail + " n0")[:3]
        assert pressed == [(first, WRITES)]
        assert first != second
        assert system.told[:3] == [f"pause {first}", f"kill {second}", f"kill {first}"]
        assert during.count("dead") == 1, "who came first waits to be started again"
        assert {node.process for node in system.members.values()} == {"running"}
        assert not system.cuts
        assert not system.shapes
        played += again == first
    assert played >= 3


def test_who_is_overtaken_has_a_tail_of_its_own_and_the_next_leader_a_longer_one() -> None:
    for seed in range(4):
        system, pressed = FakeSystem(3, seed), list[tuple[str, int]]()
        _, injection, fired, during = run(life("overtaken", seed, system, pressed))
        assert fired is True
        (first,), (second, *_) = injection.nodes, re.findall(r"n\d", injection.detail)
        assert first != second
        assert pressed == [(first, overtaken.SENT_WRITES), (second, overtaken.MORE_WRITES)]
        assert set(during) == {"running"}, "it takes no process"


@pytest.mark.parametrize("count", [3, 5])
def test_a_thin_majority_loses_its_leader_and_nobody_else(count: int) -> None:
    system, pressed = FakeSystem(count, 1), list[tuple[str, int]]()
    _, injection, fired, during = run(life("thin-majority", 1, system, pressed))
    (leader,) = re.findall(r"n\d", injection.detail)
    assert fired is True
    assert pressed == [(leader, thin_majority.WRITES)]
    assert system.told == [f"kill {leader}"]
    assert during.count("dead") == 1, "it waits to be started again"


def test_a_hasty_leader_is_cured_of_its_haste_and_the_links_of_their_delay() -> None:
    system = FakeSystem(3, 1)
    fault, injection, fired, _ = run(life("hasty-leader", 1, system))
    assert fired is True
    assert fault.parameters["rate"] >= 2.0
    assert system.members[injection.nodes[0]].fault["clock"]["monotonic"]["rate"] == 1.0
    assert not system.shapes


@pytest.mark.parametrize("name", ["figure-eight", "thin-majority"])
def test_some_need_all_nodes(name: str) -> None:
    async def body() -> None:
        system = FakeSystem(3)
        world = system.rig().world(asyncio.get_running_loop().time)
        await look(world)
        kind = KINDS[name]
        with pytest.raises(Refused, match="taken by another fault"):
            await kind.inject(
                world, as_fault(kind.name, kind.draw(random.Random(1), Terrain(3))), ("n1",), random.Random(1)
            )

    run(body())


def test_words_become_kinds() -> None:
    assert chosen(["all"]) == tuple(KINDS)
    assert chosen(["kill"]) == ("kill", "stop", "restart-all", "kill-all", "slow-election", "leader-hunt")
    assert chosen(["pause", "delay"]) == ("pause", "pause-followers", "pause-blink", "delay")
    assert chosen([]) == ()
    with pytest.raises(UsageError, match="no fault is called 'flood'"):
        chosen(["flood"])


def test_only_what_a_system_can_suffer() -> None:
    able = frozenset({Ability.PROCESS, Ability.CUT})
    kinds = possible(chosen(["all"]), able, 5)
    assert "kill" in kinds
    assert "one-way" in kinds
    assert not {"delay", "clock-jump", "power-loss", "add"} & set(kinds)
    assert "partition-ring" not in possible(chosen(["all"]), able, 3)
