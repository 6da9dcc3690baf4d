"""A stage for stories: real replicas on simulated disks, and an author who decides everything.

Nothing happens by itself. The story says who has a turn, which message arrives, which link stalls and how much time
passes; messages wait in order, one queue a link. ``Truth`` watches. Where the story does not care, ``run`` lets time
pass with every link at work that is not stalled.
"""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from dkv.errors import DkvError
from dkv.kv.commands import Batch, Command, Op, Result, encode_batch
from dkv.kv.state_machine import KeyValue
from dkv.raft.contracts import NodeId
from dkv.raft.elections import Elections
from dkv.raft.messages import Message, decode, encode
from dkv.raft.options import Options
from dkv.raft.replica import Replica
from tests.sim.disk import Disk
from tests.sim.node import GROUP, WatchedMachine
from tests.sim.truth import Truth, Violation

A, B, C, D, E = (f"{name}.{number:08x}" for number, name in enumerate("abcde", start=1))

OPTIONS = Options(append_bytes=400, window_bytes=1 << 20, checkpoint_entries=1 << 30, checkpoint_bytes=1 << 40)
"""Production's times; small appends, so that two writes of 250 bytes fill one; checkpoints only by wish."""

STEP_S = 0.02
HEARTBEAT_S = OPTIONS.heartbeat_s * 1.01
"""After so long the next heartbeat is certainly due."""
TRIPS_MAX = 50
"""Round trips without time passing after which two nodes are said to talk for ever."""


class Ask:
    """A ticket that remembers its end. ``revision``: of the one write of a batch."""

    def __init__(self, told: Callable[[Any], None] = lambda value: None) -> None:
        self._told = told
        self.value: Any = None
        self.error: DkvError | None = None
        self.ended = False

    def complete(self, value: Any) -> None:
        self.ended, self.value = True, value
        self._told(value)

    def fail(self, error: DkvError) -> None:
        self.ended, self.error = True, error

    @property
    def succeeded(self) -> bool:
        return self.ended and self.error is None


class Player:
    """One life of a process."""

    def __init__(self, stage: Stage, me: NodeId, disk: Disk) -> None:
        self.me, self.disk, self._stage = me, disk, stage
        self._background: deque[tuple[Callable[[], object], Callable[[object], None]]] = deque()
        self.replica = Replica[WatchedMachine](
            cluster="stage",
            group=GROUP,
            me=me,
            log=disk,
            checkpoints=disk,
            new_machine=lambda: self._watched(WatchedMachine()),
            load_machine=lambda blocks: self._watched(WatchedMachine.load(blocks)),
            clock=stage,
            rng=random.Random(f"{me} {stage.time}"),  # another in each life
            options=stage.options,
            background=lambda work, done: self._background.append((work, done)),
        )

    def _watched(self, machine: KeyValue) -> WatchedMachine:
        assert isinstance(machine, WatchedMachine), "load makes what it is asked of"
        machine.watch = lambda index, payload, results: self._stage.truth.applied(self.me, index, payload, results)
        return machine

    def turn(self) -> Iterator[tuple[NodeId, Message]]:
        """The host's order: what was done in the background, tick, send, commit, send, settle."""
        while self._background:
            work, done = self._background.popleft()
            try:
                outcome: object = work()
            except Exception as error:
                outcome = error
            done(outcome)
        self.replica.tick()
        yield from self.replica.take_early_messages()
        self.disk.commit()
        yield from self.replica.take_messages()
        self.replica.settle()


class Stage:
    """Also the clock of all who are on it."""

    def __init__(self, *voters: NodeId, options: Options = OPTIONS) -> None:
        self.options = options
        self.voters = voters
        self.time = 1000.0
        self.truth = Truth()
        self.players: dict[NodeId, Player] = {}
        self.disks: dict[NodeId, Disk] = {}
        self.links: set[tuple[NodeId, NodeId]] = set()
        self.wires: dict[tuple[NodeId, NodeId], deque[bytes]] = defaultdict(deque)
        self.stalled: set[tuple[NodeId, NodeId]] = set()
        self.bytes_sent: dict[tuple[NodeId, NodeId], int] = defaultdict(int)
        self._writes = 0
        for me in voters:
            self.enter(me)

    def now(self) -> float:
        return self.time

    def __getitem__(self, me: NodeId) -> Replica[WatchedMachine]:
        return self.players[me].replica

    # ---- lives and links

    def enter(self, me: NodeId) -> None:
        """A process starts, on its disk or on an empty one, and is linked with everybody."""
        disk = self.disks.setdefault(me, Disk(self.voters))
        self.players[me] = Player(self, me, disk)
        for other in self.players:
            if other != me:
                self.link(me, other)
                self.link(other, me)

    def crash(self, *dying: NodeId) -> None:
        """Power loss; the links notice."""
        for me in dying:
            self.players.pop(me).disk.crash()
            for other in self.players:
                self.unlink(other, me)
                self.unlink(me, other)
                self[other].peer_lost(me)

    def relink(self, a: NodeId, b: NodeId) -> None:
        """The link from ``a`` to ``b`` breaks with all that it carries, and is there again."""
        self.unlink(a, b)
        self.link(a, b)

    def link(self, a: NodeId, b: NodeId) -> None:
        """``a`` can send to ``b``."""
        if (a, b) not in self.links:
            self.links.add((a, b))
            self[a].peer_up(b)

    def unlink(self, a: NodeId, b: NodeId) -> None:
        """The link from ``a`` to ``b`` breaks with all that it carries, and ``a`` notices."""
        self.wires[a, b].clear()
        if (a, b) in self.links:
            self.links.discard((a, b))
            if a in self.players:
                self[a].peer_down(b, reset=False)

    def stall(self, *links: tuple[NodeId, NodeId]) -> None:
        """What is sent there waits."""
        self.stalled.update(links)

    def isolate(self, *group: NodeId) -> None:
        """``group`` and the rest do not hear each other any more."""
        rest = [me for me in self.disks if me not in group]
        self.stall(*((a, b) for a in group for b in rest), *((b, a) for a in group for b in rest))

    def heal(self) -> None:
        """Stalled links go on."""
        self.stalled.clear()

    # ---- what happens

    def turn(self, *names: NodeId) -> None:
        """A turn for each."""
        for me in names:
            for receiver, message in self.players[me].turn():
                if (me, receiver) in self.links:
                    data = encode(message)
                    self.bytes_sent[me, receiver] += len(data)
                    self.wires[me, receiver].append(data)
            if self[me].is_leader:
                self.truth.leads(me, self[me].term)

    def deliver(self, a: NodeId, b: NodeId, count: int = 1 << 30) -> list[Message]:
        """The oldest ``count`` messages on the way arrive, and ``b`` has a turn, stalled or not."""
        wire, arrived = self.wires[a, b], list[Message]()
        while wire and len(arrived) < count:
            arrived.append(decode(wire.popleft()))
            self[b].receive(a, arrived[-1])
        if arrived:
            self.turn(b)
        return arrived

    def talk(self, *names: NodeId) -> None:
        """No time passes; these exchange messages until all is said (``stalled`` links stay silent)."""
        for _ in range(TRIPS_MAX):
            said = [self.deliver(a, b) for a in names for b in names if (a, b) not in self.stalled and self.wires[a, b]]
            self.turn(*names)
            if not said:
                return
        raise Violation(f"LIVENESS: {names} talk without end")

    def run(self, seconds: float, *names: NodeId) -> None:
        """Time passes, and everybody lives on, or only ``names`` do and the others stand still."""
        end = self.time + seconds
        while self.time < end:
            self.time += STEP_S
            alive = [me for me in self.players if not names or me in names]
            for a, b in list(self.wires):
                if (a, b) not in self.stalled and a in alive and b in alive:
                    self.deliver(a, b)
            self.turn(*alive)

    def elections(self, me: NodeId) -> Elections:
        """Its election timer, for stories that cannot wait."""
        return self[me].elections

    def elect(self, me: NodeId, *electors: NodeId) -> None:
        """At this very moment ``me`` stands, and ``electors`` vote; all others are not asked."""
        for name in (me, *electors):
            self.elections(name).lost_leader(self.time)
            self.elections(name).rearm(self.time)
        for _ in range(2):  # the first try may only tell it of a higher term
            self.elections(me).deadline = self.time
            self.turn(me)
            for _ in range(2):
                for elector in electors:
                    self.deliver(me, elector)
                    self.deliver(elector, me)
            if self[me].is_leader:
                return
        raise AssertionError(f"{me} was not elected: {self[me].status()}")

    # ---- clients

    def write(self, me: NodeId, key: str, value: str = "", *, padding: int = 0) -> Ask:
        """Propose to ``me`` in its next turn; the truth hears of an acknowledgement."""
        self._writes += 1
        command = Command(Op.SET, key, value + "." * padding, id=f"w{self._writes}")

        def told(results: list[Result]) -> None:
            self.truth.acknowledged(command, results[-1], self.time)

        ask = Ask(told)
        self[me].propose(encode_batch(Batch(int(self.time * 1000), [command])), ask)
        return ask

    def read(self, me: NodeId, key: str) -> Ask:
        """A linearizable read at ``me``; the truth compares it with what was known when it began."""
        floor = self.truth.floor(key)

        def told(_: int) -> None:
            row = self[me].machine.get(key)
            revision, value = (row.revision, row.value) if row is not None else (0, None)
            self.truth.read(me, key, floor, revision, value)

        ask = Ask(told)
        self[me].read(ask)
        return ask

    # ---- the end

    def reckon(self, seconds: float = 5.0) -> None:
        """All come back, all links heal; then all agree, and whatever was acknowledged is there."""
        self.heal()
        for me in self.disks:
            if me not in self.players:
                self.enter(me)
        self.run(seconds)
        leaders = [me for me in self.players if self[me].is_leader]
        if len(leaders) != 1:
            raise Violation(f"LIVENESS: leaders {leaders} after {seconds} s of peace")
        last = self[leaders[0]].applied_index
        for me in self[leaders[0]].status().voters:
            if self[me].applied_index != last:
                raise Violation(f"LIVENESS: {me} applied {self[me].applied_index} of {last}")
            self.truth.digest(me, self[me].machine.applied_index, self[me].machine.digest())
        for write in self.truth.writes:
            if self.truth.first_index.get(write.command.id) != write.revision:
                raise Violation(f"LOST: {write.command.id}")
            row = self[leaders[0]].machine.get(write.command.key)
            if row is None or row.revision < write.revision:
                raise Violation(f"LOST: {write.command}, acknowledged at {write.revision}, is not in the state")


def with_checkpoints(**changes: Any) -> Options:
    """Stage options with a checkpoint every 20 entries and no log kept behind it, and other ``changes``."""
    return replace(OPTIONS, checkpoint_entries=20, keep_entries=2, keep_bytes=0, **changes)
