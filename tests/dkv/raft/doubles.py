"""What stands around a kernel in these tests: a library that does as it is told, tickets, a queue of messages."""

from collections.abc import Callable
from typing import Any

from dkv.errors import DkvError
from dkv.raft.contracts import Entry, NodeId
from dkv.raft.library import FAIL_REASON
from dkv.raft.log import Log
from dkv.raft.messages import Message
from tests.sim.disk import Disk

A, B, C, D, E = (f"{name}.{number:08x}" for number, name in enumerate("abcde", start=1))
"""Five voters' identities."""


class FakeLibrary:
    """The part of ``Library`` that candidacy, changes, handover and proposals use. ``calls``: what was asked of it."""

    def __init__(self, me: NodeId, *, term: int = 1, leader: NodeId | None = None) -> None:
        self.me, self.term, self.leader = me, term, leader
        self.commit_index = 1
        self.matches: dict[NodeId, int] = {}
        self.somebody_is_level = True
        self.calls: list[tuple[Any, ...]] = []
        self.proposals: list[tuple[bytes, Callable[[Any, int], None]]] = []

    @property
    def is_leader(self) -> bool:
        return self.leader == self.me

    def match_indexes(self) -> dict[NodeId, int]:
        return self.matches

    def connected(self, node: NodeId, *, learner: bool = False) -> None:
        self.calls.append(("connected", node, learner))

    def disconnected(self, node: NodeId, *, learner: bool = False) -> None:
        self.calls.append(("disconnected", node, learner))

    def campaign(self) -> None:
        self.calls.append(("campaign",))

    def adopt_term(self, node: NodeId, term: int) -> None:
        self.calls.append(("adopt_term", node, term))

    def deliver(self, node: NodeId, message: Message) -> None:
        self.calls.append(("deliver", node, message))

    def transfer(self, target: NodeId | None) -> bool:
        self.calls.append(("transfer", target))
        return self.somebody_is_level

    def propose(self, command: bytes, done: Callable[[Any, int], None]) -> None:
        self.calls.append(("propose", command))
        self.proposals.append((command, done))

    def end_proposal(self, result: Any = None, reason: int = FAIL_REASON.SUCCESS) -> None:
        """The oldest proposal is applied, or refused."""
        _, done = self.proposals.pop(0)
        done(result, reason)

    def take_calls(self) -> list[tuple[Any, ...]]:
        """What was asked since the last look."""
        calls, self.calls = self.calls, []
        return calls


class Waiter:
    """Stands in for a ticket whose owner reports its end. ``end``: None before it, then (value, error)."""

    def __init__(self) -> None:
        self.end: tuple[Any, DkvError | None] | None = None

    def finish(self, value: Any, error: DkvError | None) -> None:
        """At most once."""
        assert self.end is None, f"ended twice: {self.end}, then {(value, error)}"
        self.end = (value, error)

    @property
    def succeeded(self) -> bool:
        return self.end is not None and self.end[1] is None

    @property
    def error(self) -> DkvError | None:
        return None if self.end is None else self.end[1]


class Sent(list[tuple[NodeId, Message]]):
    """A queue of messages on their way; call it to send."""

    def __call__(self, node: NodeId, message: Message) -> None:
        self.append((node, message))

    def take(self) -> list[tuple[NodeId, Message]]:
        sent = list(self)
        self.clear()
        return sent


class Background:
    """Work beside the loop, done when the test says so."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[], object], Callable[[object], None]]] = []

    def __call__(self, work: Callable[[], object], done: Callable[[object], None]) -> None:
        self.jobs.append((work, done))

    def run(self) -> None:
        """One job to its end."""
        work, done = self.jobs.pop(0)
        try:
            outcome: object = work()
        except Exception as error:
            outcome = error
        done(outcome)


def entries_of(*terms: int, first: int = 2) -> list[Entry]:
    """Entries ``first ..`` of these terms; the command says where each belongs."""
    return [Entry(b"\x00%d@%d" % (index, term), index, term) for index, term in enumerate(terms, start=first)]


def log_of(*terms: int, voters: tuple[NodeId, ...] = (A, B, C), disk: Disk | None = None) -> Log:
    """A log of ``GENESIS`` and entries of these terms, all of it durable."""
    disk = disk or Disk(voters)
    log = Log(disk, disk.load())
    for entry in entries_of(*terms):
        log.append(entry)
    if terms:
        log.set_hard_state(terms[-1], None)
    disk.commit()
    return log
