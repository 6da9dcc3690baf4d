"""The judge can fail: a healthy record, and one seeded violation of each kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from dkv.client import Event, EventType
from tests.system.testbed import complaints, unasked_ends
from tests.system.verdict import Digest, Kind, Record, judge

OK, FAIL, INFO = EventType.OK, EventType.FAIL, EventType.INFO
N1, N2 = "127.0.0.1:1", "127.0.0.1:2"
Deed = tuple[float, float, list[Event]]


def deed(process: int, f: str, key: str, value: str | None, span: tuple[float, float], **end: Any) -> list[Event]:
    """One operation's two events. ``span``: began, ended."""
    kind = end.pop("end", OK)
    cas = end.pop("cas", None)
    invoke = Event(process, EventType.INVOKE, f, key, value if f == "set" else None, span[0], cas=cas)
    return [invoke, Event(process, kind, f, key, value, span[1], cas=cas, node=end.pop("node", N1), **end)]


HEALTHY = [
    # a shared key: 1 acknowledged, 2 and 3 at the same time, 4 refused, 5 unknown and not seen
    deed(1, "set", "s", "1", (0, 1), revision=10),
    deed(2, "set", "s", "2", (2, 5), revision=12),
    deed(1, "set", "s", "3", (2, 4), revision=11),
    deed(4, "get", "s", "1", (2, 3), revision=10),
    deed(4, "get", "s", "2", (3, 4), revision=12),
    deed(3, "set", "s", "4", (6, 7), end=FAIL, error="NO_LEADER"),
    deed(3, "set", "s", "5", (8, 9), end=INFO, error="UNKNOWN_OUTCOME"),
    # a key of one writer, under its conditions; the last write is unknown, and took effect
    deed(1, "set", "own", "6", (6, 7), cas=0, revision=13),
    deed(1, "set", "own", "7", (8, 9), cas=13, revision=14),
    deed(1, "set", "own", "8", (10, 11), cas=14, end=INFO, error="UNKNOWN_OUTCOME"),
    deed(4, "get", "own", "7", (10, 11), revision=14),
    deed(4, "get", "nobody's", None, (12, 13)),
    deed(4, "get", "own", None, (14, 15), end=FAIL, error="TIMEOUT"),
]
FINALS = [
    deed(process, "get", key, value, (20 + process, 20.5 + process), revision=revision, node=node)
    for process, (node, key, value, revision) in enumerate(
        [(N1, "s", "2", 12), (N1, "own", "8", 15), (N2, "s", "2", 12), (N2, "own", "8", 15)]
    )
]
DIGESTS = (Digest(N1, 15, "d"), Digest(N2, 15, "d"))


def record(during: Sequence[list[Event]], finals: Sequence[list[Event]] = FINALS) -> Record:
    """Events in the order of time, as a recorder sees them."""

    def told(deeds: Sequence[list[Event]]) -> list[Event]:
        return sorted((event for events in deeds for event in events), key=lambda event: event.time_s)

    return Record(told(during), told(finals), DIGESTS)


def with_deed(*more: list[Event]) -> Record:
    return record([*HEALTHY, *more])


def with_final(place: int, value: str | None, revision: int) -> Record:
    finals = list(FINALS)
    invoke, end = finals[place]
    finals[place] = [invoke, replace(end, value=value, revision=revision)]
    return record(HEALTHY, finals)


VIOLATIONS: dict[str, tuple[Kind, Record]] = {
    "the last acknowledged write is gone": (Kind.LOST, with_final(2, "3", 11)),
    "the key is gone": (Kind.LOST, with_final(0, None, 0)),
    "a client's own key fell back": (Kind.LOST, with_final(3, "7", 14)),
    "a read after an acknowledgement": (Kind.STALE, with_deed(deed(5, "get", "s", "1", (5.5, 6), revision=10))),
    "a read after another read": (Kind.STALE, with_deed(deed(5, "get", "s", "3", (4.5, 4.8), revision=11))),
    "a read of nothing": (Kind.STALE, with_deed(deed(5, "get", "s", None, (1.5, 1.8)))),
    "nobody wrote it": (Kind.INVENTED, with_deed(deed(5, "get", "s", "99", (13, 14), revision=20))),
    "nobody wrote there": (Kind.INVENTED, with_deed(deed(5, "get", "nobody's", "1", (13, 14), revision=20))),
    "it was refused": (Kind.INVENTED, with_deed(deed(5, "get", "s", "4", (13, 14), revision=20))),
    "it was refused, and is there": (Kind.INVENTED, with_final(0, "4", 16)),
    "it was written later": (Kind.INVENTED, with_deed(deed(5, "get", "s", "5", (5.5, 6), revision=20))),
    "seen under two revisions": (Kind.TWICE, with_final(0, "2", 16)),
    "seen under another than was acknowledged": (
        Kind.TWICE,
        with_deed(deed(5, "get", "own", "7", (12, 13), revision=15)),
    ),
    "an unknown write, seen twice": (
        Kind.TWICE,
        with_deed(
            deed(5, "get", "s", "5", (12, 13), revision=16),
            deed(5, "get", "s", "5", (14, 15), revision=17),
        ),
    ),
    "a later write has a lower revision": (
        Kind.DISORDER,
        with_deed(deed(5, "set", "t", "9", (12, 13), revision=9)),
    ),
    "two writes of a client under one revision": (
        Kind.DISORDER,
        with_deed(deed(5, "set", "t", "9", (12, 13), revision=20), deed(5, "set", "t", "10", (14, 15), revision=20)),
    ),
    "two values of one revision": (Kind.DISORDER, with_deed(deed(5, "get", "s", "5", (8, 9), revision=12))),
    "a condition that did not hold": (
        Kind.CONDITION,
        with_deed(deed(5, "set", "s", "9", (12, 13), cas=10, revision=20)),
    ),
    "the only writer is told of another's write": (
        Kind.CONDITION,
        with_deed(
            deed(5, "set", "t", "9", (12, 13), cas=0, revision=20),
            deed(5, "set", "t", "10", (14, 15), cas=20, end=FAIL, error="CAS_MISMATCH"),
        ),
    ),
    "two nodes differ": (Kind.DIVERGED, replace(record(HEALTHY), digests=(DIGESTS[0], Digest(N2, 15, "e")))),
    "two nodes cannot be compared": (Kind.UNSEEN, replace(record(HEALTHY), digests=(DIGESTS[0], Digest(N2, 14, "d")))),
    "no digests": (Kind.UNSEEN, replace(record(HEALTHY), digests=())),
    "a key was not read at one node": (Kind.UNSEEN, record(HEALTHY, FINALS[:-1])),
    "nothing was written": (Kind.UNSEEN, record([])),
}


def test_a_healthy_record() -> None:
    verdict = judge(record(HEALTHY))
    assert verdict.violations == ()
    assert (verdict.acknowledged, verdict.refused, verdict.unknown, verdict.reads) == (5, 1, 2, 4)


def test_a_recorder_that_was_stopped_leaves_unknown_outcomes() -> None:
    cut = deed(5, "set", "s", "9", (12, 13))[:1]
    assert judge(with_deed(cut)).violations == ()
    assert judge(with_deed(cut, deed(6, "get", "s", "9", (14, 15), revision=20))).violations[0].kind is Kind.LOST


@pytest.mark.parametrize(("kind", "damaged"), VIOLATIONS.values(), ids=VIOLATIONS)
def test_each_violation_is_found(kind: Kind, damaged: Record) -> None:
    assert kind in {violation.kind for violation in judge(damaged).violations}, str(judge(damaged))


def test_every_kind_is_seeded() -> None:
    assert {kind for kind, _ in VIOLATIONS.values()} == set(Kind)


@pytest.mark.parametrize(
    ("find", "harmless", "harmful"),
    [
        (complaints, '{"level":"info","event":"ready"}', '{"level":"info","traceback":"Traceback (most recent"}'),
        (complaints, '{"level":"warning","event":"nobody took over"}', "AssertionError: commit index 3 beyond 2"),
        (complaints, "", '{"level":"error","event":"the disk is full"}'),
        (
            unasked_ends,
            '{"event": "ended", "node": "n1", "how": "by signal 9", "asked": "kill"}',
            '{"event": "ended", "node": "n1", "how": "with exit code 70", "asked": "start"}',
        ),
        (
            unasked_ends,
            '{"event": "ended", "node": "n1", "how": "with exit code 0", "asked": "start"}',
            '{"event": "ended", "node": "n1", "how": "by signal 11", "asked": "start"}',
        ),
    ],
)
def test_what_the_files_tell(find: Callable[[Sequence[str]], list[str]], harmless: str, harmful: str) -> None:
    assert find([harmless, harmful]) == [harmful]
