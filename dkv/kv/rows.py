"""Keys and their rows in many tables; what is written while a snapshot reads them is kept apart from them.

While a snapshot runs the tables stand still and changes go into one dict beside them, which is asked first; afterwards
they are merged, a few with each entry. So a write under a snapshot costs no more than any other, and nobody waits. 4096
tables by the key's hash, because a single dict of a million rows would stand still while it grows; the few system keys
apart, and copied for a snapshot. Rows and keys are invisible to the cyclic collector, and so are dicts that hold
nothing else: a million rows cost it nothing. (Which hash picks the table may differ from process to process: tables are
never seen outside.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import msgspec

from dkv.kv.commands import Row
from dkv.kv.digest import hash_part
from dkv.kv.expiries import Expiries

TABLES = 4096
"""With 1e6 rows 244 each: a table grows by some 10 µs."""
_MASK = TABLES - 1

MERGE_STEP = 256
"""Changes merged with an entry, beside one for each of its commands: some 0.2 ms. A checkpoint comes after many
thousand entries, or as many bytes of commands, so nearly always everything is merged before the next one begins."""

_encode = msgspec.msgpack.Encoder().encode

Table = dict[str, Row]


class _Unchanged:
    """The type of ``_UNCHANGED``: None means removed."""


_UNCHANGED = _Unchanged()


class Rows:
    """``digest``: sum of all rows' hashes. ``size_bytes``: of their encoded sizes. ``count``: of users' rows."""

    __slots__ = ("_changes", "_shared", "_system", "_tables", "count", "digest", "expiries", "size_bytes")

    def __init__(self) -> None:
        self._tables: list[Table] = [{} for _ in range(TABLES)]
        self._system: Table = {}
        self._changes: dict[str, Row | None] = {}
        """Newer than the tables; None: removed."""
        self._shared = False
        """Whether a running snapshot reads the tables."""
        self.count = 0
        self.expiries = Expiries()
        self.digest = 0
        self.size_bytes = 0

    def get(self, key: str) -> Row | None:
        if self._changes:
            row = self._changes.get(key, _UNCHANGED)
            if not isinstance(row, _Unchanged):
                return row
        # System keys begin with NUL, so they alone (and "", which is no key) sort before "\x01".
        return (self._system if key < "\x01" else self._tables[hash(key) & _MASK]).get(key)

    def put(self, key: str, row: Row, old: Row | None) -> None:
        """``old`` is the present row."""
        if key < "\x01":
            self._system[key] = row
        elif self._shared:
            self._changes[key] = row
        else:
            if self._changes:
                self._changes.pop(key, None)
            self._tables[hash(key) & _MASK][key] = row
        data = _encode((key, row))
        if old is None:
            self.digest += hash_part(data)
            self.size_bytes += len(data)
            self.count += key >= "\x01"
        else:
            old_data = _encode((key, old))
            self.digest += hash_part(data) - hash_part(old_data)
            self.size_bytes += len(data) - len(old_data)
            if old.expires_ms:
                self.expiries.discard(key, old.expires_ms)
        if row.expires_ms:
            self.expiries.add(key, row.expires_ms)

    def remove(self, key: str, old: Row) -> None:
        """``old`` is the present row."""
        self._delete(key, old)
        if old.expires_ms:
            self.expiries.discard(key, old.expires_ms)

    def sweep(self, clock_ms: int, count_max: int) -> None:
        """Remove up to ``count_max`` rows that expired."""
        for key in self.expiries.take(clock_ms, count_max):
            row = self.get(key)
            assert row is not None, f"the calendar of expiries names {key!r}, which has no row"
            self._delete(key, row)

    def _delete(self, key: str, row: Row) -> None:
        if key < "\x01":
            del self._system[key]
        elif self._shared:
            self._changes[key] = None
        else:
            if self._changes:
                self._changes.pop(key, None)
            self._tables[hash(key) & _MASK].pop(key, None)
        data = _encode((key, row))
        self.digest -= hash_part(data)
        self.size_bytes -= len(data)
        self.count -= key >= "\x01"

    def restore(self, rows: Mapping[str, Row]) -> None:
        """Many rows at once, none of them present yet (a key that comes twice shows in the digest)."""
        tables, total, size = self._tables, 0, 0
        for key, row in rows.items():
            (self._system if key < "\x01" else tables[hash(key) & _MASK])[key] = row
            data = _encode((key, row))
            total += hash_part(data)
            size += len(data)
            self.count += key >= "\x01"
            if row.expires_ms:
                self.expiries.add(key, row.expires_ms)
        self.digest += total
        self.size_bytes += size

    @property
    def system(self) -> Mapping[str, Row]:
        return MappingProxyType(self._system)

    def items(self) -> Iterator[tuple[str, Row]]:
        yield from self._system.items()
        for table in self._tables:
            for key, row in table.items():
                if key not in self._changes:
                    yield key, row
        for key, changed in self._changes.items():
            if changed is not None:
                yield key, changed

    def share(self) -> Iterator[tuple[str, Row]]:
        """All rows as of this call, while writes go on. One at a time, and ``unshare`` is owed at its end."""
        self.merge(len(self._changes))
        self._shared = True
        return _one_by_one([self._system.copy(), *self._tables])

    def unshare(self) -> None:
        """Nobody reads what ``share`` returned any more."""
        self._shared = False

    def merge(self, count_max: int) -> None:
        """Take up to so many changes into the tables, unless a snapshot reads them."""
        if self._shared:
            return
        for _ in range(min(count_max, len(self._changes))):
            key, row = self._changes.popitem()
            table = self._tables[hash(key) & _MASK]
            if row is None:
                table.pop(key, None)
            else:
                table[key] = row

    def retire(self, step: int) -> Iterator[None]:
        """Drop everything, ``step`` rows at a time; tables that a snapshot reads are left to it."""
        tables: list[dict[str, Row] | dict[str, Row | None]] = [self._system, self._changes]
        if not self._shared:
            tables += self._tables
        self._tables, self._system, self._changes, self.count = [{} for _ in range(TABLES)], {}, {}, 0
        left = step
        for table in tables:
            while table:
                table.popitem()
                left -= 1
                if not left:
                    yield
                    left = step


def _one_by_one(tables: list[Table]) -> Iterator[tuple[str, Row]]:
    # Nobody else may hold the tables any more (``retire``): each is dropped when it was read, not all at the end.
    while tables:
        yield from tables.pop().items()
