"""Clients: each does one thing at a time, tries again what it does not know, and tells the truth what it was told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dkv.errors import DkvError, Outcome
from dkv.kv.commands import Batch, Code, Command, Result, encode_batch
from tests.sim.node import Node

if TYPE_CHECKING:
    from tests.sim.world import World

KEYS = tuple(f"k{number}" for number in range(6))


class Reply:
    """A ticket whose end is a function."""

    def __init__(self, done: Callable[[Any, DkvError | None], None]) -> None:
        self._done = done

    def complete(self, value: Any) -> None:
        self._done(value, None)

    def fail(self, error: DkvError) -> None:
        self._done(None, error)


class Client:
    """One operation at a time. An unknown outcome is tried again under the same id, as our client does."""

    def __init__(self, world: World) -> None:
        self.world = world
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
        self._attempt(self.world.new_write(), tries=4)

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
