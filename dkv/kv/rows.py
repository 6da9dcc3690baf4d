"""Keys and their rows in many tables; what is written while a snapshot reads them is kept apart from them.

A row is kept as its *record*: the hash that it adds to the digest, then its MessagePack bytes. So a write encodes and
hashes once, the hash of what it replaces is at hand, and only a reader decodes; and a record of 100 bytes takes 50 less
than its value and numbers would as objects.

While a snapshot runs the tables stand still and changes go into one dict beside them, which is asked first; afterwards
they are merged, a few with each entry. So a write under a snapshot costs no more than any other, and nobody waits. 4096
tables by the key's hash, because a single dict of a million rows would stand still while it grows; the few system keys
apart, and copied for a snapshot. Dicts that hold nothing but text and bytes are invisible to the cyclic collector: a
million rows cost it nothing. (Which hash picks the table may differ from process to process: tables are never seen
outside.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b

import msgspec

from dkv.kv.commands import Row, utf8_bytes
from dkv.kv.digest import DIGEST_BYTES, hash_bytes, number
from dkv.kv.expiries import Expiries

TABLES = 4096
"""With 1e6 rows 244 each: a table grows by some 10 µs."""
_MASK = TABLES - 1

MERGE_STEP = 256
"""Changes merged with an entry, beside one for each of its commands: some 0.2 ms. A checkpoint comes after many
thousand entries, or as many bytes of commands, so nearly always everything is merged before the next one begins."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Row).decode
_from_bytes = int.from_bytes

Record = bytes
"""``hash_row`` of a row, then its MessagePack."""

Table = dict[str, Record]


def hash_row(key: str, data: bytes) -> bytes:
    """``data``: the row's MessagePack, which says where it ends, so that the key behind it is told apart."""
    return hash_bytes(data + key.encode())


def _row(record: Record) -> Row:
    return _decode(record[DIGEST_BYTES:])


class Rows:
    """``digest``: sum of all rows' hashes. ``size_bytes``: of their encoded sizes. ``count``: of users' rows."""

    __slots__ = ("_changes", "_shared", "_system", "_tables", "count", "digest", "expiries", "size_bytes")

    def __init__(self) -> None:
        self._tables: list[Table] = [{} for _ in range(TABLES)]
        self._system: Table = {}
        self._changes: dict[str, Record | None] = {}
        """Newer than the tables; None: removed."""
        self._shared = False
        """Whether a running snapshot reads the tables."""
        self.count = 0
        self.expiries = Expiries()
        self.digest = 0
        self.size_bytes = 0

    def get(self, key: str) -> Row | None:
        record = self._find(key) if self._changes or key < "\x01" else self._tables[hash(key) & _MASK].get(key)
        return None if record is None else _decode(record[DIGEST_BYTES:])

    def _find(self, key: str) -> Record | None:
        if key in self._changes:
            return self._changes[key]
        # System keys begin with NUL, so they alone (and "", which is no key) sort before "\x01".
        return (self._system if key < "\x01" else self._tables[hash(key) & _MASK]).get(key)

    def put(self, key: str, row: Row, clock_ms: int) -> bool:
        """Whether it replaces a row that had not expired at ``clock_ms``."""
        # hash_row and number are spelled out here: as calls they were a tenth of what an entry costs.
        data = _encode(row)
        hashed = blake2b(data + key.encode(), digest_size=DIGEST_BYTES).digest()
        record = hashed + data
        if self._shared or self._changes or key < "\x01":
            old = self._put_aside(key, record)
        else:
            table = self._tables[hash(key) & _MASK]
            old = table.get(key)
            table[key] = record
        if old is None:
            self.digest += _from_bytes(hashed, "little")
            self.size_bytes += len(data) + utf8_bytes(key)
            self.count += key >= "\x01"
            found = False
        else:
            self.digest += _from_bytes(hashed, "little") - _from_bytes(old[:DIGEST_BYTES], "little")
            self.size_bytes += len(record) - len(old)
            found = not self.expiries.slots or self._cease(key, old) > clock_ms
        if row.expires_ms:
            self.expiries.add(key, row.expires_ms)
        return found

    def _put_aside(self, key: str, record: Record) -> Record | None:
        """For a key whose table is not all there is to it."""
        old = self._find(key)
        if key < "\x01":
            self._system[key] = record
        elif self._shared:
            self._changes[key] = record
        else:
            self._changes.pop(key, None)
            self._tables[hash(key) & _MASK][key] = record
        return old

    def _cease(self, key: str, record: Record) -> float:
        """A row is gone, perhaps before its time → when it expires, in milliseconds."""
        expires_ms = _row(record).expires_ms
        if not expires_ms:
            return float("inf")
        self.expiries.discard(key, expires_ms)
        return expires_ms

    def remove(self, key: str) -> None:
        """A key that has a row."""
        self._cease(key, self._delete(key))

    def sweep(self, clock_ms: int, count_max: int) -> None:
        """Remove up to ``count_max`` rows that expired."""
        for key in self.expiries.take(clock_ms, count_max):
            self._delete(key)

    def _delete(self, key: str) -> Record:
        record = self._find(key)
        assert record is not None, f"{key!r} is to be removed, or the calendar of expiries names it, and has no row"
        if key < "\x01":
            del self._system[key]
        elif self._shared:
            self._changes[key] = None
        else:
            self._changes.pop(key, None)
            self._tables[hash(key) & _MASK].pop(key, None)
        self.digest -= number(record[:DIGEST_BYTES])
        self.size_bytes -= len(record) - DIGEST_BYTES + utf8_bytes(key)
        self.count -= key >= "\x01"
        return record

    def restore(self, rows: Mapping[str, Row]) -> None:
        """Many rows at once, none of them present yet (a key that comes twice shows in the digest)."""
        tables, total, size = self._tables, 0, 0
        for key, row in rows.items():
            data = _encode(row)
            hashed = hash_row(key, data)
            (self._system if key < "\x01" else tables[hash(key) & _MASK])[key] = hashed + data
            total += number(hashed)
            size += len(data) + utf8_bytes(key)
            self.count += key >= "\x01"
            if row.expires_ms:
                self.expiries.add(key, row.expires_ms)
        self.digest += total
        self.size_bytes += size

    @property
    def system(self) -> Mapping[str, Row]:
        return {key: _row(record) for key, record in self._system.items()}

    def items(self) -> Iterator[tuple[str, Row]]:
        for table in (self._system, *self._tables):
            for key, record in table.items():
                if key not in self._changes:
                    yield key, _row(record)
        for key, changed in self._changes.items():
            if changed is not None:
                yield key, _row(changed)

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
            key, record = self._changes.popitem()
            table = self._tables[hash(key) & _MASK]
            if record is None:
                table.pop(key, None)
            else:
                table[key] = record

    def retire(self, step: int) -> Iterator[None]:
        """Drop everything, ``step`` rows at a time; tables that a snapshot reads are left to it."""
        tables: list[Table | dict[str, Record | None]] = [self._system, self._changes]
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
        for key, record in tables.pop().items():
            yield key, _row(record)
