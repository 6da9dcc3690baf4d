"""Exactly-once: which idempotency ids were answered, and how. Replicated state, the same on every node.

The ids of one entry are kept in *groups* of up to 64, each as the bytes that the digest hashes and a snapshot
carries: one hash and one small object for many ids. Groups stand in the order of first use and are forgotten
oldest first, whole, by number and by age on the state's clock. A repetition, being rare, pays for decoding
its group. Groups stand in segments, lists that only grow and are dropped whole, so a snapshot shares them
without copying.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

import msgspec

from dkv.kv.commands import Result
from dkv.kv.digest import hash_part

IDS_MAX = 200_000
"""Ten seconds at the highest rate of writes; some 60 MB."""

ID_AGE_MS_MAX = 10 * 60_000
"""Longer than any client tries again."""

GROUP_IDS_MAX = 64
"""Bounds what finding one repeated id costs: about 15 µs."""

AGED_GROUPS_MAX = 256
"""How many are forgotten for their age in one entry: after a quiet night the table does not go at once."""

SEGMENT_GROUPS = 512


class Answer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a command with this id did (``commands.fingerprint``) and how it ended."""

    id: str
    fingerprint: bytes
    result: Result


class Group(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Ids of the entry at ``index``, first used when the state's clock stood at ``time_ms``."""

    index: int
    time_ms: int
    answers: list[Answer]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Group).decode


class AnsweredIds:
    """``find`` and ``record`` while an entry is applied, ``close`` at its end; ``digest`` sums all groups."""

    __slots__ = ("_cached", "_first", "_fresh", "_groups", "_oldest", "_segments", "digest")

    def __init__(self) -> None:
        self._groups: dict[str, bytes] = {}
        """id → the group that holds it."""
        self._segments: deque[list[bytes]] = deque()
        self._first = 0
        """Where the oldest group stands in the first segment."""
        self._oldest: Group | None = None
        """The oldest group, decoded once; None where it is not decoded yet or there is none."""
        self._fresh: dict[str, Answer] = {}
        """Of the entry that is being applied."""
        self._cached: tuple[bytes, dict[str, Answer]] = (b"", {})
        """The last group that was looked into: a repeated batch asks for one group again and again."""
        self.digest = 0

    def __len__(self) -> int:
        return len(self._groups)

    def find(self, id: str) -> Answer | None:
        answer = self._fresh.get(id)
        if answer is not None:
            return answer
        data = self._groups.get(id)
        if data is None:
            return None
        if self._cached[0] is not data:
            self._cached = (data, {answer.id: answer for answer in _decode(data).answers})
        return self._cached[1][id]

    def record(self, answer: Answer) -> None:
        assert answer.id not in self._groups, f"id {answer.id!r} is recorded twice"
        self._fresh[answer.id] = answer

    def close(self, index: int, clock_ms: int) -> None:
        """The entry at ``index`` has been applied: keep its ids, forget the oldest ones."""
        if self._fresh:
            answers = iter(self._fresh.values())
            while chunk := list(islice(answers, GROUP_IDS_MAX)):
                self._append(_encode(Group(index, clock_ms, chunk)), chunk)
            self._fresh = {}
        self._forget(clock_ms)

    def _append(self, data: bytes, answers: list[Answer]) -> None:
        if not self._segments or len(self._segments[-1]) == SEGMENT_GROUPS:
            self._segments.append([])
        self._segments[-1].append(data)
        self._groups.update(dict.fromkeys([answer.id for answer in answers], data))
        self.digest += hash_part(data)

    def _forget(self, clock_ms: int) -> None:
        aged = 0
        while self._segments:
            if self._oldest is None:
                self._oldest = _decode(self._segments[0][self._first])
            if len(self._groups) <= IDS_MAX:
                aged += 1
                if aged > AGED_GROUPS_MAX or self._oldest.time_ms + ID_AGE_MS_MAX > clock_ms:
                    return
            self._forget_oldest(self._oldest)

    def _forget_oldest(self, oldest: Group) -> None:
        segment = self._segments[0]
        self.digest -= hash_part(segment[self._first])
        for answer in oldest.answers:
            del self._groups[answer.id]
        self._oldest = None
        self._first += 1
        if self._first == len(segment):
            self._segments.popleft()
            self._first = 0

    def groups(self) -> Iterator[bytes]:
        """All groups as of this call, oldest first; the table may go on meanwhile."""
        segments, first = list(self._segments), self._first
        last_length = len(segments[-1]) if segments else 0
        return _walk(segments, first, last_length)

    def restore(self, groups: list[bytes]) -> None:
        """Add groups behind those already there. Raises ``commands.UNREADABLE`` for bytes that are none."""
        for data in groups:
            self._append(data, _decode(data).answers)

    def retire(self, step: int) -> Iterator[None]:
        """Drop everything, ``step`` ids at a time."""
        while self._segments:
            self._segments.popleft()
            yield
        while self._groups:
            for _ in range(min(step, len(self._groups))):
                self._groups.popitem()
            yield


def _walk(segments: list[list[bytes]], first: int, last_length: int) -> Iterator[bytes]:
    for number, segment in enumerate(segments):
        last = number == len(segments) - 1
        yield from islice(segment, first if number == 0 else 0, last_length if last else None)
