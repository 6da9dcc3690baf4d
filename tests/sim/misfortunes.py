"""What befalls a world: crashes, pauses, partitions, slow parts, transfers, changes of the members."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dkv.errors import DkvError
from dkv.kv.commands import Batch, encode_batch
from dkv.raft.contracts import NodeId
from dkv.raft.status import Role
from tests.sim.clients import Reply
from tests.sim.disk import Disk

if TYPE_CHECKING:
    from tests.sim.world import World

NODES_MAX = 8
"""More would only make a world slower."""


def crash_one(world: World) -> None:
    if (me := world.any_node()) is not None:
        world.crash(me)


def crash_shortly(world: World) -> None:
    """Back before anybody's patience is over, with what the network still carries for the former life."""
    if (me := world.any_node()) is not None:
        world.crash(me)
        world.clock.after(0.005 + world.rng.random() * 0.025, lambda: _start_again(world, me))


def _start_again(world: World, me: NodeId) -> None:
    if me in world.disks and me not in world.nodes:
        world.start(me)


def crash_all(world: World) -> None:
    for me in list(world.nodes):
        world.crash(me)


def restart_one(world: World) -> None:
    down = [me for me in world.disks if me not in world.nodes]
    if down:
        world.start(world.rng.choice(down))


def pause_one(world: World) -> None:
    if (me := world.any_node()) is None:
        return
    world.paused.add(me)
    world.counts["pauses"] += 1

    def wake() -> None:
        world.paused.discard(me)
        if me in world.nodes:
            world.nodes[me].wake()
            world.rng.choice(world.clients).read_at(world.nodes[me])

    world.clock.after(world.rng.random() * 1.5, wake)


def partition(world: World) -> None:
    """Cut one node off, in one direction or both; or two halves. Silently, or with resets."""
    if not world.nodes:
        return
    world.counts["partitions"] += 1
    ids = list(world.disks)
    lonely = {world.any_node() or ids[0]}
    if world.rng.random() < 0.4:
        lonely = set(world.rng.sample(ids, len(ids) // 2))
    both, silent = world.rng.random() < 0.6, world.rng.random() < 0.5
    for a in ids:
        for b in ids:
            if (a in lonely) == (b in lonely) or (a not in lonely and not both):
                continue
            world.network.stall(a, b)
            if not silent:
                world.network.disconnect(a, b, reset=world.rng.random() < 0.5)


def stall_answers(world: World) -> None:
    """One link holds its messages back, if possible one to a leader, while all others work."""
    if len(world.nodes) > 1:
        receiver = world.any_node(leader=0.8) or world.founders[0]
        sender = world.rng.choice([me for me in world.nodes if me != receiver])
        world.network.stall(sender, receiver)


def strand_leader(world: World) -> None:
    """The leader's last appends reach one follower, whose answers, and all else, wait; then it writes on alone."""
    leader, follower = world.any_node(leader=1.0), world.any_node(leader=0.0)
    if leader is None or follower is None or leader == follower:
        return
    world.counts["partitions"] += 1
    for other in world.disks:
        if other != leader:
            world.network.stall(other, leader)
            if other != follower:
                world.network.stall(leader, other)
    burst(world, leader, 5)
    world.clock.after(0.003 + world.network.delay_s * 3, lambda: _cut(world, leader, follower))


def _cut(world: World, leader: NodeId, follower: NodeId) -> None:
    if not world.calm:
        world.network.stall(leader, follower)
        burst(world, leader, 40)


def burst(world: World, me: NodeId, count: int) -> None:
    """Many writes at once, whose outcomes nobody awaits."""
    if me in world.nodes:
        for _ in range(count):
            world.nodes[me].propose(encode_batch(Batch(0, [world.new_write()])), Reply(lambda _, __: None))


def heal_links(world: World) -> None:
    world.network.heal()


def reset_link(world: World) -> None:
    if len(world.nodes) > 1:
        a, b = world.rng.sample(list(world.nodes), 2)
        world.network.disconnect(a, b, reset=world.rng.random() < 0.5)


def slow_disk(world: World) -> None:
    if (me := world.any_node()) is not None:
        world.nodes[me].slow_disk = not world.nodes[me].slow_disk


def slow_network(world: World) -> None:
    world.network.delay_s = world.rng.choice((0.0005, 0.001, 0.001, 0.005, 0.03))


def transfer(world: World) -> None:
    if (me := world.any_node(leader=1.0)) is not None:
        world.nodes[me].replica.transfer(None, Reply(lambda _, __: None))
        world.counts["transfers"] += 1


def change_members(world: World) -> None:
    """Ask whoever says that it leads to add a new node or to remove one."""
    me = world.any_node(leader=1.0)
    if not world.profile.members or me is None or not world.nodes[me].replica.is_leader:
        return
    replica = world.nodes[me].replica
    voters = replica.status().voters
    outside = [node for node in world.disks if node not in voters and node in world.nodes]
    if len(voters) < 3 or (len(voters) < 5 and world.rng.random() < 0.5):
        again = outside and (len(world.disks) >= NODES_MAX or world.rng.random() < 0.3)
        node = world.rng.choice(outside) if again else _join(world)
        replica.add_voter(node, Reply(lambda _, error: _changed(world, "adds", error)))
    else:
        node = world.rng.choice(voters)
        replica.remove_voter(node, Reply(lambda _, error: _changed(world, "removes", error)))


def _join(world: World) -> NodeId:
    """A new identity with an empty disk. In a full world, those whom nobody counts any more are switched off."""
    me = world.new_identity()
    world.disks[me] = Disk(world.founders)
    world.start(me)
    states = [node.replica.status() for node in world.nodes.values()]
    counted = {member for state in states for member in (*state.voters, *state.learners)}
    for old in list(world.nodes):
        if len(world.disks) >= NODES_MAX and old not in counted and world.nodes[old].replica.role() is Role.REMOVED:
            world.crash(old)
            del world.disks[old]
    return me


def _changed(world: World, what: str, error: DkvError | None) -> None:
    if error is None:
        world.counts[what] += 1


def last_act(world: World) -> None:
    """Often peace finds a former leader with entries of its own, and far behind: it must get on all the same."""
    leader = world.any_node(leader=1.0)
    if leader is None or world.rng.random() < 0.5:
        return
    for other in world.disks:
        for link in ((leader, other), (other, leader)):
            world.network.stall(*link)
            world.network.disconnect(*link, reset=False)
    burst(world, leader, 5)


MISFORTUNES: tuple[tuple[float, Callable[[World], None]], ...] = (
    (0.008, crash_one),
    (0.013, crash_shortly),
    (0.014, crash_all),
    (0.060, restart_one),
    (0.066, pause_one),
    (0.074, partition),
    (0.079, strand_leader),
    (0.085, stall_answers),
    (0.105, heal_links),
    (0.122, reset_link),
    (0.125, slow_disk),
    (0.130, slow_network),
    (0.136, transfer),
    (0.180, change_members),
)
"""Cumulative chances at each of ~90 draws a second."""
