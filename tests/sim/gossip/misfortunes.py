"""Everything that may go wrong with a cluster, at random, and what must be true when it is over."""

from __future__ import annotations

import random

from dkv.gossip.memberlist.profiles import LAN, LOCAL
from dkv.gossip.wire.encryption import Keyring
from dkv.gossip.wire.packets import Envelope
from tests.sim.gossip.settings import Settings
from tests.sim.gossip.world import World

QUIET_S = 600.0
"""At most: Serf calls the failed every 30 s, one at a time; gossip that died out waits for an exchange of states."""


def agree(world: World) -> None:
    """All believe the truth, sooner or later."""
    end = world.now + QUIET_S
    while True:
        world.run(20.0)
        try:
            world.assert_agreement()
        except AssertionError:
            if world.now >= end:
                raise
        else:
            return


def unlucky(seed: int) -> World:
    """A cluster to which a few things happened, and whose network is well again."""
    rng = random.Random(seed)
    world = World(
        Settings(
            members=rng.randint(3, 7),
            seed=seed,
            profile=rng.choice([LAN, LOCAL]),
            envelope=Envelope(b"label", Keyring(bytes(16))) if seed % 4 == 0 else Envelope(),
            compressed=seed % 4 == 1,
            loss=rng.choice([0.0, 0.1, 0.3]),
            duplicate=rng.choice([0.0, 0.2]),
            delay_s=rng.choice([(0.0001, 0.001), (0.01, 0.3)]),
            packets_first=rng.random() < 0.7,
        )
    )
    for _ in range(8):
        world.run(rng.uniform(0.0, 8.0))
        misfortune(world, rng)
    world.heal()
    return world


def misfortune(world: World, rng: random.Random) -> None:
    running = world.running
    match rng.randrange(7):
        case 0 if len(running) > 2:
            world.crash(rng.choice(running))
        case 1 if len(running) > 2:
            world.leave(rng.choice(running))
        case 2 if crashed := [host for host in world.by_name.values() if not host.running]:
            world.restart(rng.choice(crashed))
        case 3:
            world.start()
        case 4:
            world.pause(rng.choice(running), rng.uniform(0.5, 12.0))
        case 5:
            world.divide(rng.sample(running, len(running) // 2))
        case _:
            host = rng.choice(running)
            host.swim.update_meta(rng.randbytes(8), world.now)
