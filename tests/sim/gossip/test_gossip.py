"""Clusters under virtual time: whatever the network and the processes do, afterwards all believe the same, the truth.

The watchmen of ``Host`` and ``World`` look on all the time: events come in an order that makes sense, incarnations do
not fall, packets are bounded. ``python -m tests.sim.gossip`` measures; nothing here depends on a figure.
"""

from __future__ import annotations

import pytest

from dkv.gossip.memberlist.events import MemberFailed
from dkv.gossip.memberlist.profiles import LAN
from dkv.gossip.memberlist.suspicion import suspicion_min_s
from tests.sim.gossip.misfortunes import agree, unlucky
from tests.sim.gossip.settings import Settings, without_lifeguard
from tests.sim.gossip.world import World


@pytest.mark.parametrize("seed", range(20))
def test_after_misfortunes_all_agree(seed: int) -> None:
    agree(unlucky(seed))


@pytest.mark.parametrize("seed", range(3))
def test_a_member_that_leaves_never_fails(seed: int) -> None:
    world = World(Settings(members=6, seed=seed))
    world.run(10.0)
    host = world.running[0]
    world.leave(host)
    world.run(15.0)
    assert world.failures == []
    again = world.restart(host)
    agree(world)
    assert again.swim.ourselves.incarnation == 2, "it has to beat what the others remember"


@pytest.mark.parametrize("seed", range(3))
def test_a_crash_is_seen_by_all_within_the_formulas_bounds(seed: int) -> None:
    world = World(Settings(members=5, seed=seed))
    world.run(10.0)
    victim, began = world.rng.choice(world.running), world.now
    world.crash(victim)
    least = suspicion_min_s(LAN, 5)
    assert world.run(60.0, lambda: len(world.failures) == 4)
    first = min(at for at, *_ in world.failures) - began
    assert least <= first <= 5 * LAN.probe_interval_s + LAN.probe_interval_s + 6 * least
    assert {subject for _, _, subject, _ in world.failures} == {victim.name}


@pytest.mark.parametrize("seed", range(3))
def test_a_pause_of_three_seconds_is_refuted(seed: int) -> None:
    world = World(Settings(members=5, seed=seed))
    world.run(10.0)
    host = world.running[0]
    world.pause(host, 3.0)
    agree(world)
    assert world.failures == []


def test_a_long_pause_is_a_death_and_a_return() -> None:
    world = World(Settings(members=5, seed=1))
    world.run(10.0)
    host = world.running[0]
    world.pause(host, 28.0)
    world.run(29.0)
    assert {subject for _, _, subject, _ in world.failures} == {host.name}
    agree(world)
    assert host.swim.ourselves.incarnation > 1


def test_halves_that_forgot_each_other_find_each_other_again() -> None:
    world = World(Settings(members=6, seed=2))
    world.run(10.0)
    world.divide(world.running[:3])
    world.run(120.0)
    assert all(len(host.view()) == 3 for host in world.running)
    world.heal()
    agree(world)


def test_lost_datagrams_alone_kill_nobody_while_tcp_gets_through() -> None:
    world = World(Settings(members=12, seed=3, loss=0.15))
    world.run(90.0)
    assert world.failures == []


def test_lifeguard_makes_fewer_mistakes() -> None:
    deaths = []
    for profile in (LAN, without_lifeguard(LAN)):
        world = World(Settings(members=12, seed=4, profile=profile, loss=0.35, tcp=False, settled=True))
        world.run(30.0)
        deaths.append(len(world.failures))
    assert deaths[0] < deaths[1]


def test_gossip_reaches_all_of_a_hundred_and_ends() -> None:
    world = World(Settings(members=100, seed=5, settled=True, stream_bytes=False))
    world.run(5.0)
    payload = b"\x03an event"
    world.running[0].tell(payload)
    assert world.run(10.0, lambda: all(payload in host.heard for host in world.running))
    world.run(5.0)
    assert not any(len(host.user) for host in world.running), "a broadcast that never ends"
    before = world.packets
    world.run(4.0)
    assert world.packets - before <= 2 * 100 * (4 + 1), "a quiet cluster pings and acks, nothing else"


def test_the_same_seed_is_the_same_world() -> None:
    assert story_of(Settings(members=5, seed=6, loss=0.2)) == story_of(Settings(members=5, seed=6, loss=0.2))


def story_of(settings: Settings) -> list[tuple[float, str, str]]:
    """Every event, and at last what was sent."""
    world, story = World(settings), list[tuple[float, str, str]]()
    world.on_event = lambda host, event: story.append((world.now, host.name, repr(event)))
    world.run(10.0)
    world.crash(world.running[0])
    world.run(40.0)
    assert any(MemberFailed.__name__ in text for *_, text in story)
    return [*story, (world.now, str(world.packets), str(world.packet_bytes))]
