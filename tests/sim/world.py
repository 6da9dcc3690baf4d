"""A cluster in a box: replicas, disks, links, clients and misfortune, all from one seed.

``World(seed).run()`` returns figures or raises ``Violation`` (or whatever the replica itself asserted). The seed also
draws the profile: how many nodes, how nasty the network, whether members change, how large messages may be.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from dkv.errors import DkvError, Outcome
from dkv.kv.commands import Batch, Code, Command, Op, Result, encode_batch
from dkv.raft.contracts import NodeId
from dkv.raft.status import Role
from tests.sim.clock import VirtualClock
from tests.sim.disk import Disk
from tests.sim.network import Network
from tests.sim.node import Node, fast_options
from tests.sim.truth import Truth, Violation

KEYS = tuple(f"k{number}" for number in range(6))
CLIENTS = 6
LAST_ACT_S = 0.8
"""Longer than an election, so that there is a new leader with writes of its own."""
PEACE_S = 10.0
"""So long may it take until all agree again: several elections and a snapshot."""
ENTRY_OVERHEAD_BYTES = 40
"""About what a command costs beside its value's padding: two entries padded to half an append just fill one."""
READS_AFTER_START_S = (0.0, 0.02, 0.05, 0.1)
"""A new life knows least in its first moments: that is when it must not answer from memory."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a seed chose."""

    founders: int
    chaos: bool
    members: bool
    append_bytes: int
    checkpoint_entries: int
    evil: float
    seconds: float


def profile(rng: random.Random, kind: str) -> Profile:
    """``kind``: "any", or "tcp", "chaos", "members"."""
    kind = rng.choice(("tcp", "chaos", "members")) if kind == "any" else kind
    return Profile(
        founders=3 if kind == "members" or rng.random() < (0.3 if kind == "chaos" else 0.6) else 5,
        chaos=kind == "chaos",
        members=kind == "members",
        append_bytes=rng.choice((330, 330, 900, 1 << 20)),
        checkpoint_entries=rng.choice((30, 400, 1 << 30)),
        evil=rng.choice((0.5, 1.0, 2.0)),
        seconds=10.0,
    )


class Reply:
    """A ticket whose end is a function."""

    def __init__(self, done: Callable[[Any, DkvError | None], None]) -> None:
        self._done = done

    def complete(self, value: Any) -> None:
        self._done(value, None)

    def fail(self, error: DkvError) -> None:
        self._done(None, error)


class World:
    """See the module."""

    def __init__(self, seed: int, kind: str = "any") -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.profile = profile(self.rng, kind)
        self.clock = VirtualClock()
        self.options = replace(
            fast_options(self.profile.append_bytes), checkpoint_entries=self.profile.checkpoint_entries
        )
        self.truth = Truth()
        self.counts: Counter[str] = Counter()
        self.paused: set[NodeId] = set()
        self.nodes: dict[NodeId, Node] = {}
        self.disks: dict[NodeId, Disk] = {}
        self.calm = False
        self._names = 0
        self.network = Network(
            self.clock,
            self.rng,
            chaos=self.profile.chaos,
            deliver=self._deliver,
            link_up=self._link_up,
            link_down=self._link_down,
        )
        self.clients = [Client(self, number) for number in range(CLIENTS)]
        founders = [self._new_identity() for _ in range(self.profile.founders)]
        self.founders = tuple(founders)
        for me in founders:
            self.disks[me] = Disk(founders)
            self.start(me)
        for client in self.clients:
            self.clock.after(0.2 + self.rng.random() * 0.3, client.next)
        self.clock.after(0.01, self._misfortune)
        self.clock.after(0.01, self._dial)

    # ---- nodes

    def _new_identity(self) -> NodeId:
        self._names += 1
        return f"n{self._names}.{self._names:08x}"

    def start(self, me: NodeId) -> None:
        """A new life on the disk as it is."""
        self.paused.discard(me)
        self.nodes[me] = node = Node(self, me, self.disks[me])
        node.heartbeat()
        self._dial_all()
        for delay_s in READS_AFTER_START_S:
            self.clock.after(delay_s, lambda: self.clients[0].read_at(node))

    def crash(self, me: NodeId) -> None:
        """Power loss: what was not flushed is gone, what had left may still arrive."""
        node = self.nodes.pop(me)
        node.alive = False
        node.disk.crash()
        self.counts["crashes"] += 1
        self.check_majority()
        silent = self.rng.random() < 0.3
        for other in list(self.nodes):
            self.network.disconnect(other, me, reset=not silent)
            if self.rng.random() < 0.5:
                self.clock.after(self.network.delay_s * 5, partial(self._lost, me, other, silent))
            else:
                self._lost(me, other, silent)

    def _lost(self, a: NodeId, b: NodeId, silent: bool) -> None:
        self.network.disconnect(a, b, reset=False)
        if b in self.nodes and not silent:
            self.nodes[b].replica.peer_lost(a)

    def turn_order(self, node: Node) -> bool:
        """Before the commit; False if the node crashed here."""
        if self.crashes_now():
            self.crash(node.me)
            return False
        return True

    def crashes_now(self) -> bool:
        return not self.calm and self.rng.random() < 0.0003 * self.profile.evil

    def fsync_s(self, slow: bool) -> float:
        return self.rng.random() * (0.08 if slow else 0.002)

    def applied(self, me: NodeId, index: int, payload: bytes, results: list[Result]) -> None:
        self.truth.applied(me, index, payload, results)

    def looked_at(self, node: Node) -> None:
        """After each turn of ``node``."""
        replica = node.replica
        if replica.is_leader:
            if replica.term not in self.truth.leaders:
                self.check_votes(node.me, replica.term)
            self.truth.leads(node.me, replica.term)
            status = replica.status() if self.rng.random() < 0.02 else None
            if status is not None and set(status.peers) - set(status.learners) != set(status.voters) - {node.me}:
                raise Violation(f"{node.me}: the library counts {set(status.peers)}, the log says {status.voters}")
        if self.rng.random() < 0.05 and replica.applied_index == replica.machine.applied_index:
            self.truth.digest(node.me, replica.applied_index, replica.machine.digest())

    # ---- links

    def _deliver(self, sender: NodeId, receiver: NodeId, data: bytes) -> None:
        if receiver in self.nodes:
            self.nodes[receiver].deliver(sender, data)

    def _link_up(self, a: NodeId, b: NodeId) -> None:
        if a in self.nodes:
            self.nodes[a].replica.peer_up(b)

    def _link_down(self, a: NodeId, b: NodeId, reset: bool) -> None:
        if a in self.nodes:
            self.nodes[a].replica.peer_down(b, reset=reset)

    def _dial_all(self) -> None:
        for a in self.nodes:
            for b in self.nodes:
                if a != b:
                    self.network.connect(a, b)

    def _dial(self) -> None:
        self._dial_all()
        self.clock.after(0.03 + self.rng.random() * 0.05, self._dial)

    # ---- misfortune

    def _misfortune(self) -> None:
        if self.calm:
            return
        self.clock.after(0.002 + self.rng.random() * 0.02, self._misfortune)
        chance = self.rng.random() / self.profile.evil
        for limit, event in _MISFORTUNES:
            if chance < limit:
                event(self)
                return

    def any_node(self, *, leader: float = 0.4) -> NodeId | None:
        """A live one; with probability ``leader`` one that leads."""
        leaders = [me for me, node in self.nodes.items() if node.replica.is_leader]
        if leaders and self.rng.random() < leader:
            return self.rng.choice(leaders)
        return self.rng.choice(list(self.nodes)) if self.nodes else None

    def crash_one(self) -> None:
        if (me := self.any_node()) is not None:
            self.crash(me)

    def crash_shortly(self) -> None:
        """Back before anybody's patience is over, with what the network still carries for the former life."""
        if (me := self.any_node()) is not None:
            self.crash(me)
            self.clock.after(0.005 + self.rng.random() * 0.025, lambda: self._start_again(me))

    def _start_again(self, me: NodeId) -> None:
        if me in self.disks and me not in self.nodes:
            self.start(me)

    def crash_all(self) -> None:
        for me in list(self.nodes):
            self.crash(me)

    def restart_one(self) -> None:
        down = [me for me in self.disks if me not in self.nodes]
        if down:
            self.start(self.rng.choice(down))

    def pause_one(self) -> None:
        if (me := self.any_node()) is None:
            return
        self.paused.add(me)
        self.counts["pauses"] += 1

        def wake() -> None:
            self.paused.discard(me)
            if me in self.nodes:
                self.nodes[me].wake()
                self.rng.choice(self.clients).read_at(self.nodes[me])

        self.clock.after(self.rng.random() * 1.5, wake)

    def partition(self) -> None:
        """Cut one node off, in one direction or both; or two halves. Silently, or with resets."""
        if not self.nodes:
            return
        self.counts["partitions"] += 1
        ids = list(self.disks)
        lonely = {self.any_node() or ids[0]}
        if self.rng.random() < 0.4:
            lonely = set(self.rng.sample(ids, len(ids) // 2))
        both, silent = self.rng.random() < 0.6, self.rng.random() < 0.5
        for a in ids:
            for b in ids:
                if (a in lonely) == (b in lonely) or (a not in lonely and not both):
                    continue
                self.network.stall(a, b)
                if not silent:
                    self.network.disconnect(a, b, reset=self.rng.random() < 0.5)

    def strand_leader(self) -> None:
        """The leader's last append reaches one follower, whose answer, and all else, waits."""
        leader, follower = self.any_node(leader=1.0), self.any_node(leader=0.0)
        if leader is None or follower is None or leader == follower:
            return
        self.counts["partitions"] += 1
        for other in self.disks:
            if other != leader:
                self.network.stall(other, leader)
                if other != follower:
                    self.network.stall(leader, other)
        self.clock.after(self.network.delay_s * 3, lambda: self._cut(leader, follower))

    def _cut(self, a: NodeId, b: NodeId) -> None:
        if not self.calm:
            self.network.stall(a, b)

    def heal_links(self) -> None:
        self.network.heal()

    def reset_link(self) -> None:
        if len(self.nodes) > 1:
            a, b = self.rng.sample(list(self.nodes), 2)
            self.network.disconnect(a, b, reset=self.rng.random() < 0.5)

    def slow_disk(self) -> None:
        if (me := self.any_node()) is not None:
            self.nodes[me].slow_disk = not self.nodes[me].slow_disk

    def slow_network(self) -> None:
        self.network.delay_s = self.rng.choice((0.0005, 0.001, 0.001, 0.005, 0.03))

    def transfer(self) -> None:
        if (me := self.any_node(leader=1.0)) is not None:
            self.nodes[me].replica.transfer(None, Reply(lambda _, __: None))
            self.counts["transfers"] += 1

    def change_members(self) -> None:
        """Ask whoever says that it leads to add a new node or to remove one."""
        me = self.any_node(leader=1.0)
        if not self.profile.members or me is None or not self.nodes[me].replica.is_leader:
            return
        replica = self.nodes[me].replica
        voters = replica.status().voters
        outside = [node for node in self.disks if node not in voters and node in self.nodes]
        if len(voters) < 3 or (len(voters) < 5 and self.rng.random() < 0.5):
            node = self.rng.choice(outside) if outside and self.rng.random() < 0.3 else self._join()
            replica.add_voter(node, Reply(lambda _, error: self._changed("adds", error)))
        else:
            node = self.rng.choice(voters)
            replica.remove_voter(node, Reply(lambda _, error: self._changed("removes", error)))

    def _join(self) -> NodeId:
        """A new identity with an empty disk. Removed nodes are switched off to keep the world small."""
        me = self._new_identity()
        self.disks[me] = Disk(self.founders)
        self.start(me)
        for old in list(self.nodes):
            if self.nodes[old].replica.role() is Role.REMOVED and len(self.disks) > 7:
                self.crash(old)
                del self.disks[old]
        return me

    def _changed(self, what: str, error: DkvError | None) -> None:
        if error is None:
            self.counts[what] += 1

    # ---- checks

    def check_majority(self) -> None:
        """What was acknowledged is on a majority of the disks, at every moment (while the voters are fixed)."""
        if self.profile.members or not self.truth.writes:
            return
        writes = self.truth.writes
        for write in writes[-3:] + self.rng.choices(writes[-50:], k=4) + self.rng.choices(writes, k=2):
            self.check_holders(write.revision)

    def check_holders(self, index: int) -> None:
        """An acknowledged entry is on a majority of the disks."""
        if self.profile.members:
            return
        holders = [me for me in self.founders if self._holds(self.disks[me], index)]
        if 2 * len(holders) <= len(self.founders):
            raise Violation(f"the acknowledged entry {index} is on {holders} only")

    def check_votes(self, leader: NodeId, term: int) -> None:
        """A new leader has a majority of votes, and those are on disk; who is in a later term may have voted too."""
        if self.profile.members:
            return
        states = [(me, self.disks[me].durable) for me in self.founders]
        electors = [me for me, d in states if d.term > term or (d.term == term and d.vote == leader)]
        if 2 * len(electors) <= len(self.founders):
            raise Violation(f"{leader} leads term {term} with the votes of {electors} only")

    def _holds(self, disk: Disk, index: int) -> bool:
        d = disk.durable
        if any(checkpoint >= index for checkpoint in d.checkpoints if checkpoint <= d.entries[-1].index):
            return True
        offset = index - d.entries[0].index
        return 0 <= offset < len(d.entries) and d.entries[offset].command[1:] == self.truth.payloads.get(index)

    def run(self) -> Counter[str]:
        """Misfortune for a while, then peace, then the reckoning."""
        end = self.clock.time + self.profile.seconds
        self.clock.at(end - LAST_ACT_S, self._last_act)
        while self.clock.time < end:
            self.clock.step()
            if self.rng.random() < 0.01:
                self.check_majority()
        self._make_peace()
        self._converge()
        self._reckon()
        self.counts["acknowledged"] = len(self.truth.writes)
        self.counts["reads"] = self.truth.reads
        self.counts["terms"] = len(self.truth.leaders)
        return self.counts

    def _last_act(self) -> None:
        """Often peace finds a former leader with entries of its own, and far behind: it must get on all the same."""
        leader = self.any_node(leader=1.0)
        if leader is None or self.rng.random() < 0.5:
            return
        for other in self.disks:
            for link in ((leader, other), (other, leader)):
                self.network.stall(*link)
                self.network.disconnect(*link, reset=False)

    def fingerprint(self) -> str:
        """Of all that happened: equal for equal seeds, in every process, on every machine."""
        truth = self.truth
        facts = (
            sorted(self.counts.items()),
            sorted(truth.payloads.items()),
            sorted(truth.leaders.items()),
            sorted(truth.digests.items()),
            [(write.command.id, write.revision, write.acknowledged_at) for write in truth.writes],
            self.clock.time,
        )
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    def _make_peace(self) -> None:
        self.calm = True
        self.network.chaos = False
        self.network.heal()
        self.network.delay_s = 0.001
        self.paused.clear()
        for me in list(self.disks):
            if me not in self.nodes:
                self.start(me)
            self.nodes[me].slow_disk = False
            self.nodes[me].wake()

    def _converge(self) -> None:
        """Within ``PEACE_S`` of peace there is a leader, a fresh write succeeds, and every voter has all of it."""
        end = self.clock.time + PEACE_S
        goal = len(self.truth.writes) + 20
        while self.clock.time < end:
            self.clock.step()
            if len(self.truth.writes) >= goal and self.rng.random() < 0.02 and self._everybody_is_level():
                return
        raise Violation(f"LIVENESS: no agreement within {PEACE_S} s of peace")

    def _everybody_is_level(self) -> bool:
        leaders = [node.replica for node in self.nodes.values() if node.replica.can_serve_reads]
        if not leaders:
            return False
        newest = max(leaders, key=lambda replica: replica.term).status()
        floor = max(write.revision for write in self.truth.writes)
        return all(me in self.nodes and self.nodes[me].replica.applied_index >= floor for me in newest.voters)

    def _reckon(self) -> None:
        for write in self.truth.writes:
            if self.truth.first_index.get(write.command.id) != write.revision:
                raise Violation(f"LOST: {write.command.id}, acknowledged at {write.revision}")
        for node in self.nodes.values():
            replica = node.replica
            if replica.applied_index == replica.machine.applied_index:
                self.truth.digest(node.me, replica.applied_index, replica.machine.digest())


_MISFORTUNES: tuple[tuple[float, Callable[[World], None]], ...] = (
    (0.008, World.crash_one),
    (0.013, World.crash_shortly),
    (0.014, World.crash_all),
    (0.060, World.restart_one),
    (0.066, World.pause_one),
    (0.074, World.partition),
    (0.079, World.strand_leader),
    (0.100, World.heal_links),
    (0.120, World.reset_link),
    (0.124, World.slow_disk),
    (0.130, World.slow_network),
    (0.136, World.transfer),
    (0.180, World.change_members),
)
"""Cumulative chances at each of ~90 draws a second."""


class Client:
    """One operation at a time. An unknown outcome is tried again under the same id, as our client does."""

    def __init__(self, world: World, number: int) -> None:
        self.world, self.number, self.count = world, number, 0
        self._serial = 0

    def next(self) -> None:
        """Begin another operation."""
        if self.world.rng.random() < 0.6:
            self._write()
        else:
            self._read()

    def _again(self, action: Callable[[], None]) -> None:
        self.world.clock.after(self.world.rng.random() * 0.03, action)

    def _node(self, *, leader: float) -> Node | None:
        me = self.world.any_node(leader=leader)
        return self.world.nodes[me] if me is not None and me not in self.world.paused else None

    def _write(self) -> None:
        self.count += 1
        rng = self.world.rng
        half = min(self.world.profile.append_bytes // 2, 450) - ENTRY_OVERHEAD_BYTES
        padding = "." * rng.choice((1, 30, half))
        identity = f"c{self.number}-{self.count}"
        self._attempt(Command(Op.SET, rng.choice(KEYS), f"{identity}{padding}", id=identity), tries=4)

    def _attempt(self, command: Command, tries: int) -> None:
        node = self._node(leader=0.95)
        if tries == 0 or node is None:
            self._again(self.next)
            return
        serial = self._new_serial()

        def done(results: list[Result] | None, error: DkvError | None) -> None:
            if error is None:
                assert results is not None, "an apply gives results"
                assert results[-1].code is Code.OK, results
                self.world.truth.acknowledged(command, results[-1], self.world.clock.time)
                if serial == self._serial:
                    self.world.check_holders(results[-1].revision)
            if serial != self._serial:
                return
            if error is None or self.world.rng.random() < 0.2:
                self._again(self.next)
            else:
                self.world.counts["unknown" if error.outcome is Outcome.UNKNOWN else "refused"] += 1
                self._again(lambda: self._attempt(command, tries - 1))

        self._deadline(serial, lambda: self._attempt(command, tries - 1))
        payload = encode_batch(Batch(int(self.world.clock.time * 1000), [command]))
        node.propose(payload, Reply(done))

    def _read(self) -> None:
        node = self._node(leader=0.4)
        if node is None:
            self._again(self.next)
            return
        serial = self._new_serial()

        def done() -> None:
            if serial == self._serial:
                self._again(self.next)

        self._deadline(serial, self.next)
        self.read_at(node, done)

    def read_at(self, node: Node, finished: Callable[[], None] = lambda: None) -> None:
        """A linearizable read at ``node``, judged when it is answered."""
        key = self.world.rng.choice(KEYS)
        floor = self.world.truth.floor(key)

        def done(_: int | None, error: DkvError | None) -> None:
            if error is None and node.alive:
                row = node.replica.machine.get(key)
                revision, value = (row.revision, row.value) if row is not None else (0, None)
                self.world.truth.read(node.me, key, floor, revision, value)
            finished()

        node.replica.read(Reply(done))
        node.wake()

    def _new_serial(self) -> int:
        self._serial += 1
        return self._serial

    def _deadline(self, serial: int, action: Callable[[], None]) -> None:
        def passed() -> None:
            if serial == self._serial:
                self._new_serial()
                action()

        self.world.clock.after(0.8, passed)
