"""What befalls a world: crashes, pauses, partitions, slow parts, transfers, changes of the members.

Nothing here tells a story; but where a rule is needed only under rare conditions, the misfortune that brings them about
says which they are, and its chances and durations were chosen so that they come together in every tenth world or so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dkv.errors import DkvError
from dkv.kv.commands import Batch, encode_batch
from dkv.raft.contracts import NodeId
from dkv.raft.status import Role
from tests.sim.clients import Reply
from tests.sim.disk import Disk
from tests.sim.network import Link

if TYPE_CHECKING:
    from tests.sim.world import World

NODES_MAX = 8
"""More would only make a world slower."""
BURSTS = (5, 40, 120)
"""A message, a full window, and more than a checkpoint in the worlds with the smallest of them."""
STALL_MIN_S, STALL_MAX_S = 0.05, 2.0
"""Shorter and longer than an election; each order of magnitude is as likely."""


def crash_one(world: World) -> None:
    if (me := world.any_node()) is not None:
        world.crash(me)


def crash_shortly(world: World) -> None:
    """Back before anybody's patience is over, with what the network still carries for the former life.

    An answer of the former life does harm when the new one has asked as many questions as the former had, and lacks a
    write that was acknowledged in between: so lives must be short, and begin with readers (``READS_AFTER_START_S``).
    """
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
    links: list[Link] = []
    for a in ids:
        for b in ids:
            if (a in lonely) == (b in lonely) or (a not in lonely and not both):
                continue
            links.append((a, b))
            if not silent:
                world.network.disconnect(a, b, reset=world.rng.random() < 0.5)
    stall(world, links)


def stall_answers(world: World) -> None:
    """One link holds its messages back, if possible one to a leader, while all others work."""
    if len(world.nodes) > 1:
        receiver = world.any_node(leader=0.8) or world.founders[0]
        sender = world.rng.choice([me for me in world.nodes if me != receiver])
        stall(world, [(sender, receiver)])


def strand_leader(world: World) -> None:
    """The leader and at most one follower are alone for longer than an election; it is given much to write.

    Of five, the two are a minority: the follower acknowledges what the next leader will cut from its log. Such an
    acknowledgement stays untrue until the logs are as long again (hence much to write, and few elections that take
    long: the others often notice at once), and it is believed if the same leader is elected again before (hence
    transfers to anybody) and if it comes late (hence ``Network._old_answers_come``). Of three, the two are a majority
    whose answers may wait: what the leader has alone at last, and does not know to be committed, is as dangerous.
    """
    leader, follower = world.any_node(leader=1.0), world.any_node(leader=0.0)
    if leader is None or follower is None or not world.nodes[leader].replica.is_leader:
        return
    world.counts["partitions"] += 1
    company = {leader, follower}
    rest = [me for me in world.disks if me not in company]
    noticed = world.rng.random() < 0.7
    links = [link for other in rest for me in company for link in ((me, other), (other, me))]
    if world.rng.random() < 0.3:
        links.append((follower, leader))
    stall(world, links, at_least_s=world.options.election_timeout_max_s)
    for a, b in links:
        if noticed and b in company:
            world.network.disconnect(a, b, reset=True)
    burst(world, leader)
    if world.rng.random() < 0.3:
        world.clock.after(0.003 + world.network.delay_s * 3, lambda: _cut(world, leader, follower))


def _cut(world: World, leader: NodeId, follower: NodeId) -> None:
    if not world.calm:
        stall(world, [(leader, follower)])
        burst(world, leader)


def rush(world: World) -> None:
    """Much to write in peace: a follower then has many entries that it does not know to be committed yet."""
    if (me := world.any_node(leader=1.0)) is not None:
        burst(world, me)


def burst(world: World, me: NodeId) -> None:
    """Many writes at once, whose outcomes nobody awaits."""
    if me in world.nodes:
        for _ in range(world.rng.choice(BURSTS)):
            world.nodes[me].propose(encode_batch(Batch(0, [world.new_write()])), Reply(lambda _, __: None))


def stall(world: World, links: list[Link], at_least_s: float = STALL_MIN_S) -> None:
    """For a while nothing arrives on ``links``; what was sent meanwhile arrives then."""
    for link in links:
        world.network.stall(*link)
    duration_s = at_least_s * (STALL_MAX_S / at_least_s) ** world.rng.random()
    world.clock.after(duration_s, lambda: world.network.heal(links))


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
    """To whoever is furthest, or to a certain one."""
    if (me := world.any_node(leader=1.0)) is not None:
        target = world.rng.choice((None, *world.nodes))
        world.nodes[me].replica.transfer(target, Reply(lambda _, __: None))
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
    burst(world, leader)


MISFORTUNES: tuple[tuple[float, Callable[[World], None]], ...] = (
    (0.008, crash_one),
    (0.005, crash_shortly),
    (0.001, crash_all),
    (0.046, restart_one),
    (0.006, pause_one),
    (0.008, partition),
    (0.008, strand_leader),
    (0.006, stall_answers),
    (0.010, rush),
    (0.017, reset_link),
    (0.003, slow_disk),
    (0.005, slow_network),
    (0.006, transfer),
    (0.044, change_members),
)
"""Chances at each of ~90 draws a second, in a world without a bias."""
BIASES = (0.0, 0.5, 1.0, 3.0)
"""Each world draws one for each misfortune: what needs many of one kind and few of another happens in some worlds."""
UNBIASED = (restart_one, change_members)
"""Where nobody comes back, or the members never change though they could, there is little to be seen."""
