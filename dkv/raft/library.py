"""pysyncobj, and the only file that names it: its engine without its threads, sockets, files and pickles.

Four seams, all checked at start: a ``Transport`` (public), ``createJournal`` and ``Serializer`` and ``monotonicTime``
(module-level names of ``pysyncobj.syncobj``), one overridden private method ``_SyncObj__doApplyCommand``. Version and
source are pinned, because the guard's rules were written against these very lines. ``DIVERGENCE.md`` has the reasons.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import zlib
from collections.abc import Callable, Collection
from typing import Any

import pysyncobj.syncobj as engine
from pysyncobj import FAIL_REASON as FAIL_REASON
from pysyncobj import SyncObj, SyncObjConf
from pysyncobj.journal import Journal
from pysyncobj.node import Node
from pysyncobj.transport import Transport
from pysyncobj.version import VERSION

from dkv.clock import Clock
from dkv.errors import FatalError
from dkv.raft.contracts import CheckpointHeader, Entry, NodeId
from dkv.raft.log import Log
from dkv.raft.options import Options
from dkv.raft.translation import LibraryMessage, from_library, to_library

NEVER_S = 1e8
"""The library's own election and compaction timers are switched off by setting them to three years."""

LEADER = 2
_PINNED_VERSION = "0.3.17"
_PINNED_SHA256 = "e8bdf06797085d734df86e24ab4802fe87893dff77268565ec036f7ad4a1cfe4"


def check_pin() -> None:
    """Raise ``FatalError`` unless the installed pysyncobj is, to the byte, the one that was audited."""
    source = inspect.getsource(engine).encode()
    if VERSION != _PINNED_VERSION or hashlib.sha256(source).hexdigest() != _PINNED_SHA256:
        raise FatalError(
            f"pysyncobj {VERSION} is not the audited {_PINNED_VERSION}; "
            f"dkv's safety rests on that very code: install pysyncobj=={_PINNED_VERSION}"
        )


class Peer(Node):
    """A node by its identity alone. Its hash is the same in every process, so that seeds replay."""

    def __hash__(self) -> int:
        return zlib.crc32(self.id.encode())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and self.id == other.id


class _LogJournal(Journal):
    """The library's view of our log: tuples by offset, changes by offset."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.snapshot: CheckpointHeader | None = None

    def add(self, command: bytes, index: int, term: int) -> None:
        if index <= self.log.last_index:
            # Behind clear() the library re-adds the two base entries, which reset() has already put there.
            assert self.log.entry(index) == (command, index, term), f"another base entry {index}"
            return
        self.log.append(Entry(command, index, term))

    def clear(self) -> None:
        assert self.snapshot is not None, "only the install of a snapshot clears a log"
        header, self.snapshot = self.snapshot, None
        self.log.reset((header.previous, header.last), header.voters)

    def deleteEntriesFrom(self, offset: int) -> None:
        self.log.truncate_from(self.log.first_index + offset)

    def deleteEntriesTo(self, offset: int) -> None:
        raise FatalError("the library trims the log only after a dump, and it makes none")

    def __getitem__(self, item: Any) -> Any:
        return self.log.entries[item]

    def __len__(self) -> int:
        return len(self.log.entries)

    def _destroy(self) -> None:
        pass

    def setRaftCommitIndex(self, index: int) -> None:
        self.log.set_commit_index(index)

    def getRaftCommitIndex(self) -> int:
        return self.log.commit_index

    def setCurrentTerm(self, term: int, vote: NodeId | None) -> None:
        self.log.set_hard_state(term, vote)

    def getCurrentTerm(self) -> int:
        return self.log.term

    def getVotedForNodeId(self) -> NodeId | None:
        return self.log.vote


class _NoDumps(os.PathLike[str]):
    """Stands in for the library's ``Serializer``: states travel and rest outside of it, see ``snapshots``.

    It is a path to an existing file (this one) because only then does the library ask it, at its first tick, what the
    log begins with. Returning None as transmission data would make the library spin; a constant makes it a notice.
    """

    def __init__(self, journal: _LogJournal, me: NodeId) -> None:
        self._journal, self._me = journal, me
        self.installing = False

    def __fspath__(self) -> str:
        return os.path.abspath(__file__)

    def checkSerializing(self) -> tuple[int, None]:
        return 0, None

    def serialize(self, data: Any, index: int) -> None:
        raise FatalError("the library must not dump the state")

    def getTransmissionData(self, node: Node) -> tuple[str, bool, bool]:
        return "pull a snapshot", True, True

    def cancelTransmisstion(self, node: Node) -> None:
        pass

    def setTransmissionData(self, data: Any) -> bool:
        return self.installing

    def deserialize(self) -> tuple[None, Entry, Entry, list[Node]]:
        log = self._journal.log
        if self._journal.snapshot is not None:
            header = self._journal.snapshot
            self.installing = False
            return None, header.last, header.previous, [Peer(node) for node in header.voters]
        return None, log.entries[1], log.entries[0], [Peer(node) for node in log.voters if node != self._me]


class _Seam(Transport):
    """Hands the library's dictionaries out as our messages, at once and in order."""

    def __init__(self, library: Library) -> None:
        super().__init__(None, None, None)
        self._library = library

    def send(self, node: Node, message: dict[str, Any]) -> bool:
        self._library.outgoing(node.id, message)
        return True

    def addNode(self, node: Node) -> None:
        self._library.peer_joined(node.id)

    def dropNode(self, node: Node) -> None:
        pass

    def destroy(self) -> None:
        pass


class _Engine(SyncObj):
    def __init__(self, library: Library, *args: Any, **kwargs: Any) -> None:
        self._library = library
        super().__init__(*args, **kwargs)

    def _SyncObj__doApplyCommand(self, command: bytes) -> Any:
        # Called once per entry, in order, while raftLastApplied is still the one before. Configuration entries took
        # effect when they were appended; executing them again here would bring removed voters back.
        index = self.raftLastApplied + 1
        try:
            return self._library.apply(index, command)
        except Exception as error:
            # The library would run the command again at every tick, on every node, for ever.
            raise FatalError(f"applying entry {index} failed: {error!r}") from error


def _install_seams(clock: Clock) -> None:
    stock_journal, stock_serializer = engine.createJournal, engine.Serializer
    if not getattr(stock_journal, "is_dkv", False):

        def journal(file: Any = None) -> Any:
            return file if isinstance(file, Journal) else stock_journal(file)

        def serializer(file: Any, *rest: Any) -> Any:
            return file if isinstance(file, _NoDumps) else stock_serializer(file, *rest)

        journal.is_dkv = True  # type: ignore[attr-defined]
        engine.createJournal, engine.Serializer = journal, serializer
        engine.PIPE_NOTIFIER_ENABLED = False
    engine.monotonicTime = clock.now


class Library:
    """One member of one group, as pysyncobj plays it. Messages in and out are ours; the guard stands outside."""

    def __init__(
        self,
        *,
        me: NodeId,
        log: Log,
        options: Options,
        clock: Clock,
        send: Callable[[NodeId, LibraryMessage], None],
        apply: Callable[[int, bytes], Any],
        peer_joined: Callable[[NodeId], None],
        role_changed: Callable[[int, int], None],
    ) -> None:
        check_pin()
        _install_seams(clock)
        self._me, self._send, self.apply, self.peer_joined = me, send, apply, peer_joined
        self.is_leader = False
        """Kept, because everybody asks: the library reports each change of its state at once."""
        self._role_changed = role_changed
        self._journal = _LogJournal(log)
        self._dumps = _NoDumps(self._journal, me)
        self._seam = _Seam(self)
        conf = _configuration(options, self._journal, self._dumps, self._state_changed)
        others = [Peer(node) for node in log.voters if node != me]
        self._engine = _Engine(self, Peer(me), others, conf, nodeClass=Peer, transport=self._seam)
        assert self._engine._SyncObj__raftLog is self._journal, "the journal was not injected"
        self._engine.doTick(0)  # no message may be delivered before the first tick: it aligns the library with the log
        assert self.applied_index > log.first_index, "the library did not take the log as it is"

    # ---- state

    def _state_changed(self, old: int, new: int) -> None:
        self.is_leader = new == LEADER
        self._role_changed(old, new)

    @property
    def leader(self) -> NodeId | None:
        node = self._engine._getLeader()
        return None if node is None else str(node.id)

    @property
    def term(self) -> int:
        return int(self._engine.raftCurrentTerm)

    @property
    def commit_index(self) -> int:
        return int(self._engine.raftCommitIndex)

    @property
    def applied_index(self) -> int:
        return int(self._engine.raftLastApplied)

    @property
    def others(self) -> Collection[NodeId]:
        return {node.id for node in self._engine.otherNodes}

    def match_indexes(self) -> dict[NodeId, int]:
        """Leader: up to where each peer's log is known to equal ours. Through the public status: not for hot paths."""
        prefix = "match_idx_server_"
        return {k[len(prefix) :]: v for k, v in self._engine.getStatus().items() if k.startswith(prefix)}

    # ---- events

    def tick(self) -> None:
        """Elections decided outside, commits, applies, appends what was proposed, heartbeats."""
        self._engine.doTick(0)

    def propose(self, command: bytes, done: Callable[[Any, int], None]) -> None:
        """Append ``command`` in the next tick; ``done(result, FAIL_REASON)`` when it was applied, or not at all."""
        assert len(command) < self._engine.conf.appendEntriesBatchSizeBytes, (
            f"a command of {len(command)} bytes would be fragmented"
        )
        self._engine._applyCommand(command, done, None)

    def connected(self, node: NodeId, *, learner: bool = False) -> None:
        peer = Peer(node)
        self._seam._onReadonlyNodeConnected(peer) if learner else self._seam._onNodeConnected(peer)

    def disconnected(self, node: NodeId, *, learner: bool = False) -> None:
        peer = Peer(node)
        self._seam._onReadonlyNodeDisconnected(peer) if learner else self._seam._onNodeDisconnected(peer)

    def campaign(self) -> None:
        """Start an election in the next tick: the library's own TimeoutNow, as if from the leader (None is fine)."""
        self._seam._onMessageReceived(self._engine._getLeader(), {"type": "timeout_now", "term": self.term})

    def adopt_term(self, node: NodeId, term: int) -> None:
        """Learn that ``term`` exists: a vote request that nobody can grant (its log ends in term -1)."""
        impossible = {"type": "request_vote", "term": term, "last_log_index": 0, "last_log_term": -1}
        self._seam._onMessageReceived(Peer(node), impossible)

    def transfer(self, target: NodeId | None) -> bool:
        """Send TimeoutNow to ``target`` (None: whoever is furthest); False if none is level with us."""
        reasons: list[int] = []
        node = None if target is None else Peer(target)
        self._engine.transferLeadership(node, lambda _, reason: reasons.append(reason))
        return reasons == [FAIL_REASON.SUCCESS]

    def install(self, leader: NodeId, header: CheckpointHeader) -> None:
        """Replace the log by the snapshot's base and go on from there (Raft §7); the caller replaces the state."""
        self._journal.snapshot, self._dumps.installing = header, True
        message = {
            "type": "append_entries",
            "term": self.term,
            "commit_index": header.last.index,
            "serialized": True,
        }
        self._seam._onMessageReceived(Peer(leader), message)
        if self._journal.snapshot is not None or self.applied_index != header.last.index:
            raise FatalError(f"the snapshot at {header.last.index} was not installed")

    def deliver(self, sender: NodeId, message: LibraryMessage) -> None:
        """One judged message."""
        self._seam._onMessageReceived(Peer(sender), to_library(message))

    def outgoing(self, node: NodeId, message: dict[str, Any]) -> None:
        """One of the library's own messages, as it asks for it to be sent."""
        ours = from_library(message, self.term)
        if ours is not None:
            self._send(node, ours)


def _configuration(
    options: Options, journal: _LogJournal, dumps: _NoDumps, role_changed: Callable[[int, int], None]
) -> SyncObjConf:
    def never_called(*_: Any) -> None:
        raise FatalError("the library must neither dump nor load the state")

    return SyncObjConf(
        autoTick=False,
        pollerType="select",
        appendEntriesUseBatch=False,  # send at once; outflow.py merges what one turn sends
        appendEntriesPeriod=options.heartbeat_s,
        appendEntriesBatchSizeBytes=options.append_bytes,
        leaderFallbackTimeout=options.check_quorum_s,
        raftMinTimeout=NEVER_S,
        raftMaxTimeout=2 * NEVER_S,
        connectionTimeout=2 * NEVER_S,
        commandsWaitLeader=False,
        commandsQueueSize=0,  # unbounded: the router bounds what is pending
        logCompactionMinEntries=2**62,
        logCompactionMinTime=NEVER_S,
        dynamicMembershipChange=True,
        journalFile=journal,
        fullDumpFile=dumps,
        serializer=never_called,
        deserializer=never_called,
        useFork=False,
        onStateChanged=role_changed,
    )
