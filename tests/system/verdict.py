"""Was anything lost? A pure judgement over what clients saw, what every node answered at the end, and their digests.

Cheaper than a linearizability checker, and sharper on this store: every written value is unique, and a revision is the
Raft index of its write. So revisions must agree with real time, a value has one revision for ever, and whoever begins
after an acknowledgement must see that revision or a later one. A write of unknown outcome may show, or not; a refused
one never. Law: a record that nobody could have failed (nothing written, a node not asked) is itself a violation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf

from dkv.client import Event, EventType


class Kind(StrEnum):
    """What can be wrong."""

    LOST = "an acknowledged write is gone"
    STALE = "a read from the past"
    INVENTED = "a value that nobody can have written"
    TWICE = "a write that took effect twice"
    DISORDER = "revisions that contradict time"
    CONDITION = "a condition that was judged wrongly"
    DIVERGED = "different states at equal index"
    UNSEEN = "nobody looked"


@dataclass(frozen=True, slots=True)
class Violation:
    """``what``: a sentence with names, revisions and times."""

    kind: Kind
    what: str


@dataclass(frozen=True, slots=True)
class Digest:
    """``/hashkv`` of the node at ``host:port``."""

    node: str
    index: int
    digest: str


@dataclass(frozen=True, slots=True)
class Record:
    """``finals``: linearizable reads of every key at every node, after all else. Values of sets must be unique."""

    events: Sequence[Event]
    finals: Sequence[Event]
    digests: Sequence[Digest]


@dataclass(frozen=True, slots=True)
class Operation:
    """One event and its end. ``value``: written, or read. ``revision``: 0 if there is none, or nobody knows it."""

    process: int
    f: str
    key: str
    value: str | None
    cas: int | None
    began_s: float
    ended_s: float
    end: EventType
    revision: int
    node: str | None
    error: str | None

    def __str__(self) -> str:
        return (
            f"{self.f} {self.key} {self.value!r} @{self.revision} {self.end} by {self.process} at {self.node} "
            f"[{self.began_s:.3f}, {self.ended_s:.3f}]"
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """Empty ``violations`` means that nothing was lost; the counts tell how much could have been."""

    violations: tuple[Violation, ...]
    acknowledged: int
    refused: int
    unknown: int
    reads: int

    def __str__(self) -> str:
        counts = f"{self.acknowledged} writes acknowledged, {self.refused} refused, {self.unknown} unknown"
        found = [f"  {violation.kind}: {violation.what}" for violation in self.violations[:20]]
        head = f"{counts}; {self.reads} linearizable reads; {len(self.violations) or 'no'} violations"
        return "\n".join([head, *found])


def judge(record: Record) -> Verdict:
    """The verdict; the same record gives the same one."""
    during, finals = pair(record.events), pair(record.finals)
    sets, gets = _of("set", during), [op for op in _of("get", during) if op.end is EventType.OK]
    violations: list[Violation] = []
    last = _by_key([op for op in finals if op.end is EventType.OK])
    reads = _by_key(gets)
    for key, writes in _by_key(sets).items():
        seen = [*reads[key], *last[key]]
        violations += [*_invented(writes, seen), *_unsteady(writes, seen), *_conditions(writes)]
        violations += [
            *_behind(writes, reads[key], reads[key], Kind.STALE),
            *_behind(writes, seen, last[key], Kind.LOST),
        ]
    violations += _invented([], [op for key in reads.keys() - _by_key(sets).keys() for op in reads[key]])
    violations += [*_disorder(sets), *_diverged(record.digests), *_unseen(sets, last, record.digests)]
    ends = [op.end for op in sets]
    return Verdict(
        tuple(violations), ends.count(EventType.OK), ends.count(EventType.FAIL), ends.count(EventType.INFO), len(gets)
    )


def pair(events: Iterable[Event]) -> list[Operation]:
    """Invocations with their ends; an invocation without one (the recorder was stopped) is of unknown outcome."""
    open_: dict[int, Event] = {}
    operations = []
    for event in events:
        if event.type is EventType.INVOKE:
            assert event.process not in open_, f"process {event.process} does two things at once: {event}"
            open_[event.process] = event
        else:
            operations.append(_operation(open_.pop(event.process), event))
    return operations + [_operation(event, None) for event in open_.values()]


def _operation(invoke: Event, end: Event | None) -> Operation:
    key, kind = invoke.key or "", EventType.INFO if end is None else end.type
    value = end.value if invoke.f == "get" and end is not None else invoke.value
    ended_s = inf if end is None or kind is EventType.INFO else end.time_s
    revision, node, error = (0, None, None) if end is None else (end.revision, end.node, end.error)
    return Operation(
        invoke.process, invoke.f, key, value, invoke.cas, invoke.time_s, ended_s, kind, revision, node, error
    )


def _of(f: str, operations: Iterable[Operation]) -> list[Operation]:
    return [op for op in operations if op.f == f]


def _by_key(operations: Iterable[Operation]) -> defaultdict[str, list[Operation]]:
    found: defaultdict[str, list[Operation]] = defaultdict(list)
    for op in operations:
        found[op.key].append(op)
    return found


def _invented(writes: Sequence[Operation], seen: Sequence[Operation]) -> Iterator[Violation]:
    by_value = {op.value: op for op in writes}
    assert len(by_value) == len(writes), "values must be unique, or nobody can tell the writes apart"
    for read in seen:
        write = by_value.get(read.value)
        if read.value is None:
            continue
        if write is None:
            yield Violation(Kind.INVENTED, f"{read}: no such write")
        elif write.end is EventType.FAIL:
            yield Violation(Kind.INVENTED, f"{read}: it was refused ({write.error}): {write}")
        elif write.began_s > read.ended_s:
            yield Violation(Kind.INVENTED, f"{read}: it was written only later: {write}")


def _unsteady(writes: Sequence[Operation], seen: Sequence[Operation]) -> Iterator[Violation]:
    """A value has one revision, a revision one value."""
    revisions: dict[str, Operation] = {}
    values: dict[int, Operation] = {}
    for op in [*(op for op in writes if op.end is EventType.OK), *seen]:
        if op.value is None:
            continue
        first = revisions.setdefault(op.value, op)
        if first.revision != op.revision:
            yield Violation(Kind.TWICE, f"{first}, and again {op}")
        other = values.setdefault(op.revision, op)
        if other.value != op.value:
            yield Violation(Kind.DISORDER, f"two values of one revision: {other}, and {op}")


def _conditions(writes: Sequence[Operation]) -> Iterator[Violation]:
    """``cas`` held where it was said to, and a key's only writer, who knows its revision, is never told otherwise."""
    acknowledged = sorted((op for op in writes if op.end is EventType.OK), key=lambda op: op.revision)
    for before, op in zip([None, *acknowledged], acknowledged, strict=False):
        present = 0 if before is None else before.revision
        if op.cas is not None and op.cas < present:
            yield Violation(Kind.CONDITION, f"{op} on condition of {op.cas}, though there was {before}")
    lonely = len({op.process for op in writes}) == 1 and all(op.end is not EventType.INFO for op in writes)
    for op in writes:
        if lonely and op.error == "CAS_MISMATCH":
            yield Violation(Kind.CONDITION, f"{op} found another revision than {op.cas}, and nobody else writes there")


def _behind(
    writes: Sequence[Operation], known: Sequence[Operation], reads: Sequence[Operation], kind: Kind
) -> Iterator[Violation]:
    """Reads that saw less than what was acknowledged to, or seen by, anybody before they began."""
    facts = sorted((op for op in [*writes, *known] if op.end is EventType.OK), key=lambda op: op.ended_s)
    for read, fact in _after(facts, reads):
        if fact is not None and read.revision < fact.revision:
            yield Violation(kind, f"{read}, after {fact}")


def _disorder(sets: Sequence[Operation]) -> Iterator[Violation]:
    """Indexes grow: a write that began after another one's acknowledgement has a higher revision, whatever its key."""
    acknowledged = sorted((op for op in sets if op.end is EventType.OK), key=lambda op: op.ended_s)
    for write, fact in _after(acknowledged, acknowledged):
        if fact is not None and write.revision <= fact.revision:
            yield Violation(Kind.DISORDER, f"{write}, after {fact}")


def _after(facts: Sequence[Operation], operations: Iterable[Operation]) -> Iterator[tuple[Operation, Operation | None]]:
    """Each operation with the highest fact that ended before it began. ``facts``: by their ends."""
    highest: Operation | None = None
    position = 0
    for op in sorted(operations, key=lambda op: op.began_s):
        while position < len(facts) and facts[position].ended_s < op.began_s:
            if highest is None or facts[position].revision > highest.revision:
                highest = facts[position]
            position += 1
        yield op, highest


def _diverged(digests: Sequence[Digest]) -> Iterator[Violation]:
    first: dict[int, Digest] = {}
    for digest in digests:
        other = first.setdefault(digest.index, digest)
        if other.digest != digest.digest:
            yield Violation(Kind.DIVERGED, f"{other} and {digest}")


def _unseen(
    sets: Sequence[Operation], last: dict[str, list[Operation]], digests: Sequence[Digest]
) -> Iterator[Violation]:
    keys = {op.key for op in sets if op.end is not EventType.FAIL}
    if not keys or not digests:
        yield Violation(Kind.UNSEEN, f"{len(keys)} keys were written, {len(digests)} nodes told their digest")
    if len({digest.index for digest in digests}) > 1:
        yield Violation(Kind.UNSEEN, f"digests at different indexes cannot be compared: {list(digests)}")
    for key in sorted(keys):
        if missing := {digest.node for digest in digests} - {op.node for op in last.get(key, [])}:
            yield Violation(Kind.UNSEEN, f"{key} was not read at {', '.join(sorted(missing))} at the end")
