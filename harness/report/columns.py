"""The run as columns of small integers, which is how the page carries it: 20,000 operations in about a megabyte.

Times are whole microseconds; beginnings are differences to the one before. Names and values are numbered in tables.
A list that a read returned is told as a splice of the list that was read of the same key before: it grows by few
elements at a time, and a thousand reads of a thousand elements would be a million. ``assets/data.js`` undoes all this.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from harness.history.operations import Operation
from harness.history.records import NodeSample
from harness.report import statistics
from harness.report.bands import Band
from harness.report.operations import lanes

LIST_LENGTH_MIN = 8
"""Shorter lists (a cas's pair among them) are told as they are."""
VALUE_CHARS_MAX = 400
"""Of a value; a tooltip has no room for more."""
SPLICED_ELEMENTS_MAX = 100_000
"""Of all splices together, about 1 MB; a history whose lists do not resemble one another is told by their ends."""
LIST_ENDS = 10
SAMPLES_MAX = 30_000
"""About 0.8 MB; of more, those in which nothing but an index changed are thinned out."""
SAME = -1
"""A result that equals what was asked."""

Columns = dict[str, Any]


class Table:
    """Numbers for things, in the order in which they are first named; 0 is None."""

    def __init__(self) -> None:
        self.rows: list[Any] = [None]
        self._number: dict[tuple[type, Any], int] = {(type(None), None): 0}

    def number(self, thing: Any) -> int:
        """Of a JSON value; equal ones share a number, but 1 and true are two."""
        identity = (type(thing), json.dumps(thing) if isinstance(thing, list | tuple | dict) else thing)
        number = self._number.setdefault(identity, len(self.rows))
        if number == len(self.rows):
            self.rows.append(thing)
        return number


class Values:
    """The table of values. A row is a JSON value, or {"splice": [base, prefix, suffix, element…]}: so many elements of
    row ``base`` from its beginning, the elements, so many from its end; or {"ends": [length, element…]}."""

    def __init__(self, *, unordered: bool) -> None:
        self.table = Table()
        self._unordered = unordered
        self._before: dict[str | None, tuple[int, list[Any]]] = {}
        self._elements = 0

    def number(self, value: Any, key: str | None) -> int:
        """Of a value of ``key``."""
        if isinstance(value, list | tuple) and len(value) >= LIST_LENGTH_MIN:
            return self._list(sorted(value, key=_rank) if self._unordered else list(value), key)
        if isinstance(value, dict):
            value = json.dumps(value)
        if isinstance(value, str) and len(value) > VALUE_CHARS_MAX:
            value = f"{value[:VALUE_CHARS_MAX]}… ({len(value):,} characters)"
        return self.table.number(value)

    def _list(self, value: list[Any], key: str | None) -> int:
        base, before = self._before.get(key, (0, []))
        prefix, suffix = _kept(before, value)
        middle = value[prefix : len(value) - suffix]
        if self._elements + len(middle) > SPLICED_ELEMENTS_MAX:
            return self.table.number({"ends": [len(value), *value[:LIST_ENDS], *value[-LIST_ENDS:]]})
        row = {"splice": [base, prefix, suffix, *middle]}
        number = base if value == before else self.table.number(row)
        self._elements += len(middle)
        self._before[key] = (number, value)
        return number


def _rank(element: Any) -> tuple[int, str]:
    text = str(element)
    return len(text), text


def _kept(before: Sequence[Any], value: Sequence[Any]) -> tuple[int, int]:
    """How many elements both have in common at the beginning, and at the end of what is left."""
    shorter = min(len(before), len(value))
    prefix = next((i for i in range(shorter) if before[i] != value[i]), shorter)
    rest = shorter - prefix
    return prefix, next((i for i in range(rest) if before[-1 - i] != value[-1 - i]), rest)


def operations(these: Sequence[Operation], names: Table, *, unordered: bool) -> Columns:
    """In the order of ``these``, which is that of their beginnings. ``names`` numbers f, key, node, error alike."""
    values = Values(unordered=unordered)
    number, process_lanes = Table(), lanes(these)
    columns: Columns = {
        name: [] for name in ("process", "type", "f", "key", "value", "result", "began", "took", "node", "error")
    }
    before = 0
    for operation in these:
        began = _microseconds(operation.invoke_s)
        asked = values.number(operation.value, operation.key)
        answer = SAME if operation.result == operation.value else values.number(operation.result, operation.key)
        ended = began - 1 if operation.return_s is None else max(began, _microseconds(operation.return_s))
        row = (
            number.number(operation.process),
            names.number(str(operation.type)),
            names.number(operation.f),
            names.number(operation.key),
            asked,
            answer,
            began - before,
            ended - began,
            names.number(operation.node),
            names.number(operation.error),
        )
        for column, cell in zip(columns.values(), row, strict=True):
            column.append(cell)
        before = began
    processes = number.rows[1:]
    return {
        **columns,
        "values": values.table.rows,
        "processes": [None, *processes],
        "lanes": [None, *(process_lanes[process] for process in processes)],
    }


def samples(these: Sequence[NodeSample], names: Table) -> Columns:
    """In the order of time. The indexes are differences to the same node's before."""
    columns: Columns = {
        name: []
        for name in ("time", "node", "process", "role", "term", "leader", "commit", "applied", "last", "voters")
    }
    before_at, before_of = 0, dict[str, tuple[int, int, int]]()
    for sample in _thinned(these):
        at = _microseconds(sample.time_s)
        indexes = (sample.commit, sample.applied, sample.last)
        commit, applied, last = before_of.get(sample.node, (0, 0, 0))
        row = (
            at - before_at,
            names.number(sample.node),
            names.number(sample.process),
            names.number(sample.role),
            sample.term,
            names.number(sample.leader or None),
            sample.commit - commit,
            sample.applied - applied,
            sample.last - last,
            names.number(" ".join(sample.voters) or None),
        )
        for column, cell in zip(columns.values(), row, strict=True):
            column.append(cell)
        before_at, before_of[sample.node] = at, indexes
    return columns


def _thinned(these: Sequence[NodeSample]) -> Iterable[NodeSample]:
    stride = -(-len(these) // SAMPLES_MAX)
    if stride <= 1:
        return these
    kept, before = list[NodeSample](), dict[str, tuple[object, ...]]()
    for count, look in enumerate(statistics.rounds(these)):
        for sample in look:
            state = (sample.process, sample.role, sample.term, sample.leader, sample.voters)
            if count % stride == 0 or before.get(sample.node) != state:
                kept.append(sample)
            before[sample.node] = state
    return kept


def faults(these: Iterable[Band]) -> list[dict[str, Any]]:
    """A dictionary each: faults are few."""
    return [
        {
            "fault": band.fault,
            "kind": band.kind,
            "began_s": band.began_s,
            "set_s": band.set_s,
            "healed_s": band.healed_s,
            "nodes": band.nodes,
            "links": band.links,
            "fired": band.fired,
            "detail": band.detail,
        }
        for band in these
    ]


def _microseconds(time_s: float) -> int:
    return round(time_s * 1_000_000)
