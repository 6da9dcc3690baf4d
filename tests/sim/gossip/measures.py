"""How fast, how wrong and how loud a cluster is, beside the formulas that memberlist and the papers give for it."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from statistics import median

from dkv.gossip.memberlist.events import Event, Refuted
from dkv.gossip.memberlist.suspicion import suspicion_min_s
from dkv.gossip.wire.particulars import Address
from dkv.gossip.wire.push_pull import NodeState, PushPull, State
from dkv.gossip.wire.streams import encode_stream
from tests.sim.gossip.host import Host
from tests.sim.gossip.settings import Settings
from tests.sim.gossip.world import World

WARM_UP_S = 6.0
"""Everybody announces itself when it starts; after this the settled world is quiet."""

PROBED_AFTER = math.e / (math.e - 1)
"""SWIM's expected number of probe intervals until anybody probes a given member of a large cluster."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    measured: str
    expected: str = ""


def settled(settings: Settings) -> World:
    """A world in which all know each other, after the noise of its start."""
    world = World(replace(settings, settled=True))
    world.run(WARM_UP_S)
    return world


def spread(settings: Settings, events: int = 5) -> list[Row]:
    """User events, one after another: when so many of the living have heard each.

    Gossip stops after its number of retransmissions: now and then a member is missed, until it exchanges states.
    """
    world, times = settled(settings), defaultdict[float, list[float]](list)
    for number in range(events):
        payload, began = bytes((3, number)) * 20, world.now
        world.rng.choice(world.running).tell(payload)
        for share in (0.5, 0.99, 1.0):
            wanted = math.ceil(share * len(world.running))
            if world.run(8.0, lambda payload=payload, wanted=wanted: _heard(world, payload, wanted)):  # type: ignore[misc]
                times[share].append(world.now - began)
    return [
        Row(f"event heard by {share:.0%}", _seconds(seen, events), _logistic(settings, share))
        for share, seen in times.items()
    ]


def crash(settings: Settings, crashes: int = 10) -> list[Row]:
    """Members that die at the same time: when the first one, and when each one, reports each death."""
    first: list[float] = []
    seen: list[float] = []
    wanted = mistaken = number = 0
    while len(first) < crashes and number < crashes:
        world = settled(replace(settings, seed=settings.seed + number))
        number += 1
        victims = world.rng.sample(world.running, max(1, min(crashes, settings.members // 10)))
        began = world.now
        for victim in victims:
            world.crash(victim)
        expected = len(victims) * len(world.running)
        world.run(200.0, lambda world=world, expected=expected: len(world.failures) >= expected)  # type: ignore[misc]
        deaths = defaultdict[str, list[float]](list)
        for at, _, subject, alive in world.failures:
            if not alive:
                deaths[subject].append(at - began)
        first += [min(times) for times in deaths.values()]
        seen += [at for times in deaths.values() for at in times]
        wanted += expected
        mistaken += sum(alive for *_, alive in world.failures)
    return _crash_rows(settings, first, seen, wanted, mistaken)


def _crash_rows(settings: Settings, first: list[float], seen: list[float], wanted: int, mistaken: int) -> list[Row]:
    interval_s = settings.profile.probe_interval_s
    expected = (PROBED_AFTER + 1) * interval_s + suspicion_min_s(settings.profile, settings.members)
    return [
        Row("crash detected by the first", _seconds(first), f"{expected:.1f} s, if it is confirmed at once"),
        Row("crash known to a member", _seconds(seen, wanted), f"{expected:.1f} s + spreading"),
        Row("the last member to know", f"{max(seen):.1f} s"),
        Row("deaths of the living meanwhile", str(mistaken), "0"),
    ]


def bandwidth(settings: Settings, seconds: float = 20.0) -> list[Row]:
    """A quiet cluster's datagrams; and what its exchanges of state weigh."""
    world = settled(settings)
    packets, packet_bytes = world.packets, world.packet_bytes
    world.run(seconds)
    each = seconds * settings.members
    host = world.running[0]
    state_bytes = len(encode_stream(host.swim.push_pull_state(False, world.now), dialling=True))
    every_s = settings.profile.scaled_push_pull_s(settings.members)
    return [
        Row("datagrams sent by a member", f"{(world.packets - packets) / each:.2f} /s", "2 /s: a ping and an ack"),
        Row("in bytes", f"{(world.packet_bytes - packet_bytes) / each:.0f} B/s"),
        Row("one state over TCP", f"{state_bytes:,} B", f"{_entry_bytes()} B a member, meta apart"),
        Row("sent in exchanges by a member", f"{2 * state_bytes / every_s:,.0f} B/s", f"two states in {every_s:.0f} s"),
    ]


def mistakes(settings: Settings, seconds: float, *, slow: int = 0, pause_s: float = 0.0, run_s: float = 0.0) -> Row:
    """Deaths of running members, under the settings' loss, with ``slow`` members that run ``run_s`` every so often."""
    world, refuted = settled(settings), 0

    def observe(host: Host, event: Event) -> None:
        nonlocal refuted
        refuted += isinstance(event, Refuted)

    world.on_event = observe
    sick = world.rng.sample(world.running, slow)
    for host in sick:
        _keep_pausing(world, host, pause_s, run_s)
    world.run(seconds)
    names = {host.name for host in sick}
    healthy = {(subject, round(at / 10)) for at, _, subject, alive in world.failures if alive and subject not in names}
    ill = {(subject, round(at / 10)) for at, _, subject, alive in world.failures if alive and subject in names}
    what = f"{slow} pause {pause_s:g} s, run {run_s:g} s" if slow else f"loss {settings.loss:.0%}"
    refusals = f"; {refuted} refutations"
    return Row(what, f"{len(healthy)} healthy" + (f", {len(ill)} slow" if slow else "") + " declared dead" + refusals)


def _keep_pausing(world: World, host: Host, pause_s: float, run_s: float) -> None:
    def again() -> None:
        world.pause(host, pause_s * world.rng.uniform(0.8, 1.2))
        world.at(host.paused_until + run_s, again)

    world.at(world.now + world.rng.uniform(0, pause_s), again)


def _heard(world: World, payload: bytes, wanted: int) -> bool:
    return sum(payload in host.heard for host in world.by_name.values()) >= wanted


def _logistic(settings: Settings, share: float) -> str:
    """The epidemic's logistic curve, each contact counted half (it may meet one who knows)."""
    profile, n = settings.profile, settings.members
    wanted = min(share, 1 - 0.5 / n)
    rate = profile.gossip_nodes * (1 - settings.loss) / 2
    rounds = math.log((n + 1) * wanted / (1 - wanted)) / rate
    return f"{rounds * profile.gossip_interval_s:.2f} s (logistic)"


def _seconds(times: list[float], wanted: int = 0) -> str:
    if not times:
        return "never"
    ordered = sorted(times)
    missing = f" ({len(times)} of {wanted})" if len(times) < wanted else ""
    return f"median {median(ordered):.2f} s, p99 {ordered[math.ceil(0.99 * len(ordered)) - 1]:.2f} s{missing}"


def _entry_bytes() -> int:
    """What one member with a short name and no tags adds to a state."""
    node = NodeState(incarnation=1, node="m123", address=Address("10.0.0.1", 7946), state=State.ALIVE)
    one, two = (encode_stream(PushPull(join=False, nodes=(node,) * n), dialling=True) for n in (1, 2))
    return len(two) - len(one)
