"""Is the simulator able to see anything, and is every rule needed? Each mutant switches one rule off.

``python -m tests.sim.mutants`` prints a table: rule, the first seed that catches it, and with what. A rule whose
absence costs time and not truth is caught as "LIVENESS"; those that random worlds rarely need have stories of their
own (``test_rules.py``).
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from dkv.kv.commands import Op
from dkv.kv.state_machine import KeyValue
from dkv.raft import library, outbox, recovery, replica
from dkv.raft.changes import Changes
from dkv.raft.configuration import decode_change, encode_change
from dkv.raft.contracts import NodeId
from dkv.raft.guard import Guard
from dkv.raft.messages import CONFIGURATION
from dkv.raft.readers import Readers
from dkv.raft.reads import ReadRounds
from dkv.raft.replica import Replica
from tests.sim.disk import Disk, MemoryCheckpoint, MemorySink
from tests.sim.node import Node
from tests.sim.world import World


@dataclass(frozen=True, slots=True)
class Mutant:
    """A rule, switched off by replacing ``owner.name``; ``kind`` of world in which it is missed soonest."""

    rule: str
    kind: str
    patches: tuple[tuple[Any, str, Any], ...]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """While this lasts the rule is off."""
        with ExitStack() as stack:
            for owner, name, replacement in self.patches:
                stack.enter_context(mock.patch.object(owner, name, replacement))
            yield


def _promise_before_commit(self: World, node: Node) -> bool:
    node.leave_before_commit()
    if not self.calm and self.rng.random() < 0.01:
        self.crash(node.me)
        return False
    return True


def _propose_at_once(self: Changes, op: Any, node: NodeId, ticket: Any, now: float) -> None:
    if node != self._me and (op == "add") != (node in self._log.voters):
        self._learners.detach(node)
        self._library.propose(encode_change(op, node), lambda _, __: self._finish(ticket, None))


def _execute_at_apply(self: Replica[Any], index: int, command: bytes) -> Any:
    if command[0] == CONFIGURATION and hasattr(self, "_library"):
        self._library._engine._SyncObj__doChangeCluster(list(decode_change(command)))
    return _APPLY(self, index, command)


def _voters_of_the_start(self: Any) -> Any:
    log = self._journal.log
    if self._journal.snapshot is not None:
        return _DESERIALIZE(self)
    founders = log._base_voters
    return None, log.entries[1], log.entries[0], [library.Peer(node) for node in founders if node != self._me]


def _volatile_sink(self: MemorySink) -> MemoryCheckpoint:
    import msgspec

    from dkv.raft.contracts import CheckpointHeader

    header, blocks = msgspec.msgpack.decode(bytes(self._data), type=tuple[CheckpointHeader, list[bytes]])
    return MemoryCheckpoint(header, blocks)


def _execute_each_time(self: KeyValue, command: Any) -> Any:
    return self._set(command) if command.op is Op.SET else self._delete(command)


def _served_at_once(self: ReadRounds[Any], _: Any) -> Any:
    if self._running is None:
        return None
    done, self._running = self._running, None
    return done.commit_index, done.readers


_READY = Readers.take_served
_APPLY = Replica._apply
_DESERIALIZE = library._NoDumps.deserialize
_keep: Callable[..., Any] = lambda self, message, *_: message  # noqa: E731

MUTANTS = (
    Mutant("nothing leaves before the commit", "tcp", ((World, "turn_order", _promise_before_commit),)),
    Mutant("votes and replies wait for the commit", "tcp", ((outbox, "EARLY", object),)),
    Mutant("term and vote are on disk", "tcp", ((Disk, "set_hard_state", lambda self, term, vote: None),)),
    Mutant("a matching tail is not cut", "chaos", ((Guard, "skip_matching", _keep),)),
    Mutant("what is compacted is identical", "chaos", ((Guard, "skip_compacted", _keep),)),
    Mutant("commit no further than proven", "chaos", ((Guard, "limit_commit", _keep),)),
    Mutant("an acknowledgement claims what was proven", "chaos", ((Guard, "claim_proven", lambda s, reply, j: reply),)),
    Mutant("a refusal answers commit + 1", "tcp", ((Guard, "reset_to_commit", lambda s, reply, c: reply),)),
    Mutant(
        "replies of another term do not count",
        "chaos",
        ((Guard, "accepts_reply", lambda s, reply, sender, term, audience: sender in audience),),
    ),
    Mutant(
        "replies of strangers do not count",
        "members",
        ((Guard, "accepts_reply", lambda s, reply, sender, term, audience: reply.term == term),),
    ),
    Mutant(
        "one voter, one vote",
        "chaos",
        ((Guard, "accepts_vote", lambda s, vote_term, sender, term: vote_term == term),),
    ),
    Mutant(
        "no snapshot over a log that has its last entry",
        "chaos",
        ((Guard, "wants_snapshot", lambda s, last, log, applied_index: last.index > applied_index),),
    ),
    Mutant("a snapshot is durable before the log is reset", "tcp", ((MemorySink, "finish", _volatile_sink),)),
    Mutant("only a checkpoint that fits the log", "tcp", ((recovery, "_lies_in", lambda header, entries: True),)),
    Mutant("one change of voters at a time", "members", ((Changes, "begin", _propose_at_once),)),
    Mutant("changes take effect once, when appended", "members", ((Replica, "_apply", _execute_at_apply),)),
    Mutant("voters at start come from the log", "members", ((library._NoDumps, "deserialize", _voters_of_the_start),)),
    Mutant("a read needs a round", "tcp", ((ReadRounds, "take_served", _served_at_once),)),
    Mutant(
        "a read waits for the term's first entry",
        "tcp",
        ((Replica, "can_serve_reads", property(lambda s: s.is_leader)),),
    ),
    Mutant(
        "a read waits until its index is applied",
        "tcp",
        ((Readers, "take_served", lambda s, index: _READY(s, 1 << 60)),),
    ),
    Mutant("an answer is one to a question of this life", "chaos", ((replica, "TICKET_BITS", 0),)),
    Mutant("an id takes effect once", "tcp", ((KeyValue, "_execute_once", _execute_each_time),)),
)


def applied(rule: str) -> AbstractContextManager[None]:
    """While this lasts ``rule`` is off."""
    (mutant,) = (mutant for mutant in MUTANTS if mutant.rule == rule)
    return mutant.applied()


def caught_by(mutant: Mutant, first: int, seeds: int) -> tuple[int, str] | None:
    """(seed, what it said) of the first world that fails without the rule."""
    with mutant.applied():
        for seed in range(first, first + seeds):
            try:
                World(seed, mutant.kind).run()
            except Exception as error:
                return seed, f"{type(error).__name__}: {error}"
    return None


def main() -> int:
    """Exit code 1 if a mutant survives."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.mutants", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", default="", help="part of a rule's name")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    survived = 0
    for mutant in MUTANTS:
        if arguments.only not in mutant.rule:
            continue
        began = time.perf_counter()
        found = caught_by(mutant, arguments.first, arguments.seeds)
        verdict = f"seed {found[0]:4d}: {found[1][:110]}" if found else f"SURVIVED {arguments.seeds} seeds"
        survived += found is None
        print(f"{mutant.rule:48s} {mutant.kind:8s} {verdict}  ({time.perf_counter() - began:.0f} s)", flush=True)
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
