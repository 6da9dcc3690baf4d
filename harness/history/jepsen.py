"""Jepsen's and Knossos' histories (EDN, or the lines of Jepsen's log) turned into events of ours.

Rows of a nemesis are left out; ``independent`` tuples become keys. Whatever could be read in two ways that lead to
different verdicts is refused with a reason. Two dialects of a failed cas: in the log it is Jepsen's etcd test telling
that the expected value was not there, an observation; in EDN ``:fail`` only says that it did not happen, as Knossos
takes it, unless ``:error`` is ``CAS_MISMATCH``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from harness.history.edn import EdnError, Map, Tagged, read_all
from harness.history.events import Event, EventType
from harness.history.operations import MISMATCH, HistoryError

LOG_LINE = re.compile(r"jepsen\.util\s*[-:]+\s*(?P<process>\S+)\s+:(?P<type>invoke|ok|fail|info)\s+(?P<rest>:\S.*)$")
TIMED_OUT = frozenset({"timed-out", "timeout", "timed_out"})
NANOSECONDS = 1e9
READS = frozenset({"read", "get", "r"})
NEMESIS = "nemesis"
Row = Map


def edn_events(text: str) -> list[Event]:
    """Events of a vector of maps, or of maps one after another. Raises HistoryError."""
    try:
        rows = [row for value in read_all(text) for row in _rows(value)]
    except EdnError as error:
        raise HistoryError(f"this is no EDN: {error}") from error
    clients = [row for row in rows if _is_client(row)]
    keyed = _independent(clients)
    numbers = _Numbers()
    return [event for row in clients for event in _understood(row, numbers, keyed)]


def log_events(text: str) -> list[Event]:
    """Events of the ``jepsen.util`` lines of a Jepsen log; other lines are passed over. Raises HistoryError."""
    rows = []
    known: dict[str, tuple[Any, ...]] = {}  # lines repeat each other
    for number, line in enumerate(text.splitlines(), 1):
        found = LOG_LINE.search(line)
        if found is None:
            continue
        rest = found["rest"]
        if rest not in known:
            try:
                known[rest] = tuple(read_all(rest))
            except EdnError as error:
                raise HistoryError(f"line {number}: {error}") from error
        rows.append(_log_row(found["process"], found["type"], known[rest], number))
    clients = [row for row in rows if _is_client(row)]
    keyed = _independent(clients)
    numbers = _Numbers()
    return [event for row in clients for event in _understood(row, numbers, keyed)]


def _log_row(process: str, kind: str, values: Sequence[Any], line: int) -> Row:
    """``:f value [error]``; where the value should be, an operation that timed out has ``:timed-out``.

    Of a failed cas that timed out nobody knows more than of any other that did: it is of unknown outcome.
    """
    f, value, error = str(values[0]), values[1] if len(values) > 1 else None, values[2] if len(values) > 2 else None
    if isinstance(value, str) and value in TIMED_OUT:
        value, error = None, value
    if kind == "fail" and f == "cas" and error is None:
        error = MISMATCH
    if kind == "fail" and f not in READS and error in TIMED_OUT:
        kind = "info"
    number = int(process) if process.lstrip("-").isdigit() else process.removeprefix(":")
    row = Map({"process": number, "type": kind, "f": f, "value": value, "error": error})
    row.line = line
    return row


def _rows(value: Any) -> Iterator[Row]:
    """Maps, however they are wrapped: in a vector, as a record (``#jepsen.history.Op{…}``)."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, Tagged):
            pending.append(item.value)
        elif isinstance(item, tuple):
            pending.extend(reversed(item))
        elif isinstance(item, Map):
            if "type" not in item or "process" not in item:
                raise HistoryError(f"line {item.line}: a row without :type or :process: {dict(item)!r:.120}")
            yield item
        else:
            raise HistoryError(f"a history is made of maps, and this is none: {item!r:.80}")


def _is_client(row: Row) -> bool:
    """Nemeses have names for processes, and all that they do is ``:info``."""
    process = row["process"]
    if isinstance(process, bool) or process is None:
        return False
    return isinstance(process, int) or (process != NEMESIS and row["type"] != EventType.INFO)


def _independent(rows: Sequence[Row]) -> bool:
    """Whether every value is a [key value] of ``jepsen.independent``.

    A cas without keys is a pair too, so those tell only if their second part is a pair itself.
    """
    seen = False
    for row in rows:
        value = row.get("value")
        if isinstance(value, Tagged) and "tuple" in value.tag.lower():
            return True
        if row["type"] != EventType.INVOKE or "key" in row:
            continue
        if not isinstance(value, tuple) or len(value) != 2 or row.get("f") == "txn":
            return False
        if row.get("f") == "cas" and not (isinstance(value[1], tuple) and len(value[1]) == 2):
            return False
        seen = True
    return seen


class _Numbers:
    """Processes as numbers; those with names get negative ones."""

    def __init__(self) -> None:
        self._named: dict[Any, int] = {}

    def of(self, process: Any) -> int:
        return process if isinstance(process, int) else self._named.setdefault(process, -1 - len(self._named))


def _understood(row: Row, numbers: _Numbers, keyed: bool) -> list[Event]:
    try:
        return list(_events(row, numbers, keyed))
    except HistoryError as error:
        raise HistoryError(f"line {row.line}: {error}") from error
    except (TypeError, ValueError) as error:
        raise HistoryError(f"line {row.line}: this row cannot be understood ({error}): {dict(row)!r:.120}") from error


def _events(row: Row, numbers: _Numbers, keyed: bool) -> Iterator[Event]:
    try:
        kind = EventType(row["type"])
    except ValueError:
        raise HistoryError(f"{row['type']!r} is no type of event: invoke, ok, fail, info") from None
    value, key = row.get("value"), row.get("key")
    if keyed and value is not None:
        pair = value.value if isinstance(value, Tagged) else value
        if isinstance(pair, tuple) and len(pair) == 2:
            key, value = pair
        elif kind is EventType.OK:
            raise HistoryError(f"a value without its key: {value!r:.80}")
    f = str(row.get("f"))
    if f == "txn":
        f, key, value = _single(value)
    if kind is EventType.OK and f in READS and value is None and "value" not in row:
        kind = EventType.INFO  # what it read was not recorded
    yield Event(
        process=numbers.of(row["process"]),
        type=kind,
        f=f,
        key=None if key is None else key if isinstance(key, str) else _name(key),
        value=value,
        time_s=float(row.get("time") or 0) / NANOSECONDS,
        error=None if row.get("error") is None else str(row["error"]),
        node=row["node"] if isinstance(row.get("node"), str) else None,
    )


def _name(key: Any) -> str:
    return repr(key) if not isinstance(key, Tagged) else repr(key.value)


def _single(micro_operations: Any) -> tuple[str, Any, Any]:
    """``[[:append k v]]`` is an append of v to k; a transaction of several is not ours to judge."""
    if not isinstance(micro_operations, Iterable) or len(tuple(micro_operations)) != 1:
        raise HistoryError("transactions of several operations are beyond this checker (Elle judges them)")
    f, key, value = next(iter(micro_operations))
    return {"r": "read", "w": "write"}.get(str(f), str(f)), key, value
