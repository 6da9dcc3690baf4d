"""A replica's applied state: the machine, its checkpoints on disk, snapshots out to peers and in from a leader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from dkv.errors import StartupError
from dkv.raft.checkpointing import Checkpointing
from dkv.raft.contracts import CheckpointCorrupt, CheckpointStore, GroupId, NodeId, StateMachine
from dkv.raft.log import Log
from dkv.raft.messages import Message, SnapshotChunk, SnapshotPull
from dkv.raft.options import Options
from dkv.raft.recovery import RecoveryPoint
from dkv.raft.snapshots import Background, ReadySnapshot, SnapshotReceiver, SnapshotSender

M = TypeVar("M", bound=StateMachine)


class State(Generic[M]):
    """``machine`` is another object after an install: never keep it."""

    def __init__(
        self,
        *,
        cluster: str,
        group: GroupId,
        log: Log,
        start: RecoveryPoint,
        checkpoints: CheckpointStore,
        new_machine: Callable[[], M],
        load_machine: Callable[[Iterator[bytes]], M],
        options: Options,
        background: Background,
        send: Callable[[NodeId, Message], None],
    ) -> None:
        """Load what ``start`` says. Blocking; raises ``StartupError`` if it is damaged."""
        self._send = send
        self.machine: M = new_machine()
        if start.checkpoint is not None:
            self.machine = _load(checkpoints, start.applied_index, load_machine)
        checkpoints.discard(start.discarded)
        self._machine_index = start.applied_index
        self._retiring: list[Iterator[None]] = []
        self._installed: int | None = None
        self._sender = SnapshotSender(checkpoints, options)
        self._receiver: SnapshotReceiver[M] = SnapshotReceiver(checkpoints, load_machine, background, options)
        newest = start.applied_index if start.checkpoint is not None else 0
        self._checkpointing = Checkpointing(log, checkpoints, options, background, newest, cluster, group)

    @property
    def checkpoint_index(self) -> int:
        """Of the newest durable checkpoint, 0 for none."""
        return self._checkpointing.index

    @property
    def has_more_to_do(self) -> bool:
        """A checkpoint is being written, or an old machine taken apart: another turn should follow."""
        return self._checkpointing.is_writing or bool(self._retiring)

    def apply(self, index: int, payload: bytes) -> Any:
        """The machine's results; None for what the checkpoint that we started from holds already."""
        return self.machine.apply(index, payload) if index > self._machine_index else None

    def settle(self, applied_index: int) -> None:
        """After a turn's commit: one slice of whatever is under way."""
        if self._installed is not None:
            self._checkpointing.installed(self._installed)
            self._installed = None
        self._checkpointing.step(applied_index, self.machine)
        if self._retiring and next(self._retiring[0], self) is self:
            self._retiring.pop(0)

    # ---- snapshots

    def serve(self, sender: NodeId, pull: SnapshotPull, term: int, now: float) -> None:
        """Send the chunk that a peer asks for."""
        self._send_if(sender, self._sender.answer(pull, self._checkpointing.index, term, now))

    def need(self, leader: NodeId, term: int, now: float) -> None:
        """Our log ends before the leader's begins: pull its state."""
        self._send_if(leader, self._receiver.needed(leader, term, now))

    def take(self, sender: NodeId, chunk: SnapshotChunk, term: int, now: float) -> None:
        """The next bytes of what we pull."""
        self._send_if(sender, self._receiver.chunk(sender, chunk, term, now))

    def tick(self, term: int, now: float) -> None:
        """Ask again for what was lost; close what nobody reads any more."""
        pull = self._receiver.resend(term, now)
        if pull is not None:
            self._send(*pull)
        self._sender.close_idle(now)

    def take_ready(self) -> ReadySnapshot[M] | None:
        """A snapshot that is durable, verified and loaded."""
        return self._receiver.take_ready()

    def install(self, snapshot: ReadySnapshot[M]) -> None:
        """Put its machine in the place of ours; the log was reset in this very turn."""
        self._checkpointing.abort()
        self._retiring.append(self.machine.retire())
        self.machine = snapshot.machine
        self._machine_index = self._installed = snapshot.header.last.index

    def _send_if(self, node: NodeId, message: Message | None) -> None:
        if message is not None:
            self._send(node, message)


def _load(checkpoints: CheckpointStore, index: int, load_machine: Callable[[Iterator[bytes]], M]) -> M:
    try:
        file = checkpoints.open(index)
        try:
            return load_machine(file.blocks())
        finally:
            file.close()
    except CheckpointCorrupt as error:
        raise StartupError(
            f"the checkpoint at {index} is damaged ({error}), and the log before it is gone. If the other nodes of the "
            "cluster are well, move the whole data directory away and start this node with --join"
        ) from error
