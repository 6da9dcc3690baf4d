"""A cluster in a box: replicas, disks, links, clients and misfortune, all from one seed.

``World(seed).run()`` returns figures or raises ``Violation`` (or whatever the replica itself asserted). The seed also
draws the profile: how many nodes, how nasty the network, whether members change, how large messages may be.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial

from dkv.kv.commands import Command, Op, Result
from dkv.raft.contracts import NodeId
from dkv.raft.replica import Replica
from dkv.raft.status import ReplicaStatus
from tests.sim.clients import KEYS, Client
from tests.sim.clock import VirtualClock
from tests.sim.disk import Disk
from tests.sim.misfortunes import BIASES, MISFORTUNES, UNBIASED, last_act
from tests.sim.network import Network
from tests.sim.node import Node, WatchedMachine, fast_options
from tests.sim.truth import Truth, Violation

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
    clients: int
    chaos: bool
    loss: float
    members: bool
    append_bytes: int
    checkpoint_entries: int
    evil: float
    biases: tuple[float, ...]
    seconds: float


def profile(rng: random.Random, kind: str) -> Profile:
    """``kind``: "any", or "tcp", "chaos", "members"."""
    kind = rng.choice(("tcp", "chaos", "members")) if kind == "any" else kind
    return Profile(
        founders=3 if kind == "members" or rng.random() < (0.2 if kind == "chaos" else 0.6) else 5,
        clients=rng.choice((2, 6, 6)),
        chaos=kind == "chaos" or (kind == "members" and rng.random() < 0.4),
        loss=rng.choice((0.01, 0.03, 0.10)),
        members=kind == "members",
        append_bytes=rng.choice((330, 900, 1 << 20)),
        checkpoint_entries=rng.choice((30, 30, 400, 1 << 30)),
        evil=rng.choice((0.5, 1.0, 2.0)),
        biases=tuple(1.0 if event in UNBIASED else rng.choice(BIASES) for _, event in MISFORTUNES),
        seconds=10.0,
    )


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
        self._writes = 0
        self.network = Network(
            self.clock,
            self.rng,
            chaos=self.profile.chaos,
            loss=self.profile.loss,
            deliver=self._deliver,
            link_up=self._link_up,
            link_down=self._link_down,
        )
        self.clients = [Client(self) for _ in range(self.profile.clients)]
        founders = [self.new_identity() for _ in range(self.profile.founders)]
        self.founders = tuple(founders)
        for me in founders:
            self.disks[me] = Disk(founders)
            self.start(me)
        for client in self.clients:
            self.clock.after(0.2 + self.rng.random() * 0.3, client.next)
        self.clock.after(0.01, self._misfortune)
        self.clock.after(0.01, self._dial)

    # ---- nodes

    def new_identity(self) -> NodeId:
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
        self.check_counted(replica)
        if replica.is_leader:
            if replica.term not in self.truth.leaders:
                self.check_votes(node.me, replica.term)
            self.truth.leads(node.me, replica.term)
            if self.rng.random() < 0.2:
                self.check_peers(replica.status())
        if node.log_shrank():
            self.check_cut(node)
        if self.rng.random() < 0.05 and replica.applied_index == replica.machine.applied_index:
            self.truth.digest(node.me, replica.applied_index, replica.machine.digest())

    def new_write(self) -> Command:
        """With an id of its own, in one of the sizes that matter."""
        self._writes += 1
        half = min(self.profile.append_bytes // 2, 450) - ENTRY_OVERHEAD_BYTES
        padding = "." * self.rng.choice((1, 30, half))
        return Command(Op.SET, self.rng.choice(KEYS), f"w{self._writes}{padding}", id=f"w{self._writes}")

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
        for (usual, event), bias in zip(MISFORTUNES, self.profile.biases, strict=True):
            chance -= usual * bias
            if chance < 0:
                event(self)
                return

    def any_node(self, *, leader: float = 0.4) -> NodeId | None:
        """A live one; with probability ``leader`` one that leads."""
        leaders = [me for me, node in self.nodes.items() if node.replica.is_leader]
        if leaders and self.rng.random() < leader:
            return self.rng.choice(leaders)
        return self.rng.choice(list(self.nodes)) if self.nodes else None

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

    def check_counted(self, replica: Replica[WatchedMachine]) -> None:
        """The library asks and counts those who vote by the log, no others: ``Guard.accepts_vote`` rests on it."""
        voters, others = replica._log.voters, replica._library.others
        if others != set(voters) - {replica.me}:
            raise Violation(f"{replica.me}: the library counts {sorted(others)}, the log says {voters}")

    def check_peers(self, leader: ReplicaStatus) -> None:
        """The leader replicates to those who vote, and what it believes of them is true."""
        if set(leader.peers) - set(leader.learners) != set(leader.voters) - {leader.me}:
            raise Violation(f"{leader.me} replicates to {set(leader.peers)}, the log says {leader.voters}")
        mine = self.disks[leader.me].durable
        for peer, progress in leader.peers.items():
            theirs = self.disks[peer].durable if peer in self.disks else mine
            if theirs.term != leader.term:
                continue  # overruled meanwhile by another leader, or not yet heard of this one
            index = progress.match_index
            known, actual = mine.term_at(index), theirs.term_at(index)
            if index > theirs.entries[-1].index or (known is not None and actual not in (known, None)):
                raise Violation(f"{leader.me} believes that {peer} has its entry {index}, but that is not so")

    def check_cut(self, node: Node) -> None:
        """Entries of ``node`` are gone: nobody may count on them."""
        for leader in [other.replica for other in self.nodes.values() if other.replica.is_leader]:
            self.check_peers(leader.status())
        last_index = node.disk.durable.entries[-1].index
        for write in self.truth.writes[-100:]:
            if write.revision > last_index:
                self.check_holders(write.revision)

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
        self.clock.at(end - LAST_ACT_S, lambda: last_act(self))
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
