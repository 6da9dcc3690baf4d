"""Mutants that answer wrongly: reads that are too old or too new, and a state machine that does something else."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dkv.errors import DkvError
from dkv.kv.answered import AnsweredIds
from dkv.kv.commands import Op, Row
from dkv.kv.state_machine import KeyValue
from dkv.raft.waiters import Waiter
from dkv.router import Router
from dkv.tickets import Read, Write
from dkv.views import ReadReply
from tests.zoo.mutant import Mutant, edit, wrap

GoOn = Callable[[Router, Read], None]


class _Dirty:
    """In front of a read's ticket: what is in the log already counts as written."""

    def __init__(self, router: Router, read: Read) -> None:
        self._router, self._keys, self._ticket = router, read.keys, read.ticket

    def complete(self, reply: ReadReply) -> None:
        waiting = self._router._host.waiters._waiting
        writes = [w for w in waiting if isinstance(w, Write) and w.appended and not w.done]
        pending = {command.key: command for write in writes for command in write.commands if command.op is Op.SET}
        rows = [
            Row(pending[key].value, reply.index + 1) if key in pending else row
            for key, row in zip(self._keys, reply.rows, strict=True)
        ]
        self._ticket.complete(ReadReply(rows, reply.index, reply.level))

    def fail(self, error: DkvError) -> None:
        self._ticket.fail(error)


def _with_uncommitted(go_on: GoOn) -> GoOn:
    def dirty(self: Router, read: Read) -> None:
        if not isinstance(read.ticket, _Dirty):
            read.ticket = _Dirty(self, read)
        go_on(self, read)

    return dirty


def _without_ids(freeze: Callable[[KeyValue], Iterator[bytes]]) -> Callable[[KeyValue], Iterator[bytes]]:
    def frozen(self: KeyValue) -> Iterator[bytes]:
        # The blocks and their digest are fixed in this call, whenever they are written.
        answered, self._answered = self._answered, AnsweredIds()
        try:
            return freeze(self)
        finally:
            self._answered = answered

    return frozen


READS = (
    Mutant(
        "stale-leader-read",
        "A leader answers linearizable reads from its own state without asking anybody: one that was deposed and does "
        "not know it yet shows old values.",
        (
            edit(
                Router,
                "begin_read",
                ("level is Level.LINEARIZABLE:", "level is Level.LINEARIZABLE and not self._replica.is_leader:"),
            ),
        ),
        faults="isolate-leader,pause-followers",
    ),
    Mutant(
        "stale-follower-read",
        "Every node answers linearizable reads from its own state: a follower that is behind shows old values.",
        (edit(Router, "begin_read", ("level is Level.LINEARIZABLE:", "level is Level.LINEARIZABLE and not keys:")),),
    ),
    Mutant(
        "read-index-without-a-round",
        "The leader gives out its commit index as a read index without hearing from a majority that it still leads.",
        (),
        rule="a read needs a round",
        faults="isolate-leader,pause-followers",
    ),
    Mutant(
        "read-before-the-first-entry",
        "A new leader serves reads before an entry of its term is committed: it does not know yet what its predecessor "
        "has acknowledged.",
        (),
        rule="a read waits for the term's first entry",
        nodes=5,
        faults="slow-election,leader-hunt",
    ),
    Mutant(
        "read-before-applied",
        "A read does not wait until its index is applied here: it shows a value from before it began.",
        (),
        rule="a read waits until its index is applied",
    ),
    Mutant(
        "answer-to-an-earlier-life",
        "A restarted follower takes the answer to a question of its former life for the answer to its own: the index "
        "may be too old, and so is the read.",
        (),
        rule="an answer is one to a question of this life",
        faults="kill,links",
    ),
    Mutant(
        "dirty-read",
        "The leader shows writes that are not committed yet: what was read may never have happened.",
        (wrap(Router, "go_on", _with_uncommitted),),
    ),
)

DATA = (
    Mutant(
        "retry-applied-twice",
        "An id is not remembered: a write that is sent again after a lost answer is done twice, and undoes what came "
        "in between.",
        (),
        rule="an id takes effect once",
        faults="lost-answers",
        workload="append",
    ),
    Mutant(
        "timeout-told-as-refusal",
        "A write that ran out of time is reported as certainly not done, though it is in the log: it takes effect "
        "behind the user's back.",
        (edit(Waiter, "expire", ("if self.appended:", "if False:")),),
        faults="hasty-leader",
    ),
    Mutant(
        "lost-delete",
        "A delete says that it is done and deletes nothing.",
        (edit(KeyValue, "_delete", ("self._rows.remove(command.key)", "pass")),),
    ),
    Mutant(
        "cas-without-condition",
        "A compare-and-set stores its value whatever is there: of two users who both read and write, one loses.",
        (edit(KeyValue, "_set", ("if command.cas != revision:", "if False:")),),
    ),
    Mutant(
        "snapshot-without-sessions",
        "A snapshot leaves the answered ids out: whoever starts from it does a repeated write a second time.",
        (wrap(KeyValue, "freeze", _without_ids),),
        faults="kill",
    ),
    Mutant(
        "apply-by-local-clock",
        "Each node takes its own clock for the entry's time: keys expire at different moments on different nodes, and "
        "a change of the leader brings some back.",
        (
            edit(
                KeyValue,
                "apply",
                ("self.applied_index = index", "import time\n    self.applied_index = index"),
                ("self.clock_ms = batch.time_ms", "self.clock_ms = time.time_ns() // 1_000_000"),
            ),
        ),
    ),
)

SERVING = (*READS, *DATA)
