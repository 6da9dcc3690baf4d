"""Keys and their rows in many tables; what is written while a snapshot reads them is kept apart from them.

A row rests as its *record*: the hash that it adds to the digest, then its MessagePack bytes. So a write encodes and
hashes once, the hash of what it replaces is at hand, a snapshot is written and loaded without looking into it, and only
a reader decodes; and one object of bytes takes less than a row's two or three (with values of 100 bytes 170 for 240).

While a snapshot runs the tables stand still and changes go into one dict beside them, which is asked first; afterwards
they are merged, a few with each entry. So a write under a snapshot costs no more than any other, and nobody waits. Many
tables by the key's hash, because a single dict of a million rows would stand still while it grows; the few system keys
apart, and copied for a snapshot. Dicts that hold nothing but text and bytes are invisible to the cyclic collector: a
million rows cost it nothing. (Which hash picks the table may differ from process to process: tables are never seen
outside.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from types import MappingProxyType

import msgspec

from dkv.kv.commands import Row, utf8_bytes
from dkv.kv.digest import DIGEST_BYTES, hash_bytes, number
from dkv.kv.expiries import Expiries

TABLES = 127
"""With 1e6 rows 8,000 each: one that grows takes a quarter of a millisecond. With 4096 small ones a checkpoint of 1e6
rows took a fifth longer to load, for want of room in the processor's caches. A prime: the remainder of the hash then
tells nothing of its low bits, by which a table finds its rows (were it a power of two, all keys of a table would
collide)."""

MERGE_STEP = 256
"""Changes merged with an entry, beside one for each of its commands: some 0.2 ms. A checkpoint comes after many
thousand entries, or as many bytes of commands, so nearly always everything is merged before the next one begins."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Row).decode

Record = bytes
"""``hash_row`` of a row, then its MessagePack: an array of value and revision, and of when it expires, if it does."""

_ETERNAL = b"\x92"
"""The first byte of such an array of two, at ``DIGEST_BYTES`` of a record."""
_DATA_AT = DIGEST_BYTES + 1

Table = dict[str, Record]


def hash_row(key: str, data: bytes) -> bytes:
    """``data``: the row's MessagePack, which says where it ends, so that the key behind it is told apart."""
    return hash_bytes(data + key.encode())


def _row(record: Record) -> Row:
    return _decode(record[DIGEST_BYTES:])


class Rows:
    """``digest``: sum of all rows' hashes. ``size_bytes``: of their encoded sizes. ``count``: of users' rows."""

    __slots__ = (
        "_changes",
        "_shared",
        "_system",
        "_system_rows",
        "_tables",
        "count",
        "digest",
        "expiries",
        "size_bytes",
    )

    def __init__(self) -> None:
        self._tables: list[Table] = [{} for _ in range(TABLES)]
        self._system: Table = {}
        self._system_rows: Mapping[str, Row] | None = None
        """The same, decoded, until one of them changes."""
        self._changes: dict[str, Record | None] = {}
        """Newer than the tables; None: removed."""
        self._shared = False
        """Whether a running snapshot reads the tables."""
        self.count = 0
        self.expiries = Expiries()
        self.digest = 0
        self.size_bytes = 0

    def get(self, key: str) -> Row | None:
        record = self._find(key) if self._changes or key < "\x01" else self._tables[hash(key) % TABLES].get(key)
        return None if record is None else _decode(record[DIGEST_BYTES:])

    def _find(self, key: str) -> Record | None:
        if key in self._changes:
            return self._changes[key]
        # System keys begin with NUL, so they alone (and "", which is no key) sort before "\x01".
        return (self._system if key < "\x01" else self._tables[hash(key) % TABLES]).get(key)

    def put(self, key: str, value: str, revision: int, expires_ms: int, clock_ms: int) -> bool:
        """Whether it replaces a row that had not expired at ``clock_ms``."""
        # hash_row is spelled out here: as a call it was a part of what an entry costs.
        data = _encode((value, revision, expires_ms) if expires_ms else (value, revision))
        hashed = blake2b(data + key.encode(), digest_size=DIGEST_BYTES).digest()
        record = hashed + data
        if self._shared or self._changes or key < "\x01":
            old = self._put_aside(key, record)
        else:
            table = self._tables[hash(key) % TABLES]
            old = table.get(key)
            table[key] = record
        if old is None:
            self.digest += number(hashed)
            self.size_bytes += len(data) + utf8_bytes(key)
            self.count += key >= "\x01"
            found = False
        else:
            self.digest += number(hashed) - number(old[:DIGEST_BYTES])
            self.size_bytes += len(record) - len(old)
            found = old[DIGEST_BYTES:_DATA_AT] == _ETERNAL or self._cease(key, old) > clock_ms
        if expires_ms:
            self.expiries.add(key, expires_ms)
        return found

    def _put_aside(self, key: str, record: Record) -> Record | None:
        """For a key whose table is not all there is to it."""
        old = self._find(key)
        if key < "\x01":
            self._system[key], self._system_rows = record, None
        elif self._shared:
            self._changes[key] = record
        else:
            self._changes.pop(key, None)
            self._tables[hash(key) % TABLES][key] = record
        return old

    def _cease(self, key: str, record: Record) -> int:
        """A row that expires is gone, perhaps before its time → when it expires, in milliseconds."""
        expires_ms = _row(record).expires_ms
        self.expiries.discard(key, expires_ms)
        return expires_ms

    def remove(self, key: str) -> None:
        """A key that has a row."""
        record = self._delete(key)
        if record[DIGEST_BYTES:_DATA_AT] != _ETERNAL:
            self._cease(key, record)

    def sweep(self, clock_ms: int, count_max: int) -> None:
        """Remove up to ``count_max`` rows that expired."""
        for key in self.expiries.take(clock_ms, count_max):
            self._delete(key)

    def _delete(self, key: str) -> Record:
        record = self._find(key)
        assert record is not None, f"{key!r} is to be removed, or the calendar of expiries names it, and has no row"
        if key < "\x01":
            del self._system[key]
            self._system_rows = None
        elif self._shared:
            self._changes[key] = None
        else:
            self._changes.pop(key, None)
            self._tables[hash(key) % TABLES].pop(key, None)
        self.digest -= number(record[:DIGEST_BYTES])
        self.size_bytes -= len(record) - DIGEST_BYTES + utf8_bytes(key)
        self.count -= key >= "\x01"
        return record

    def restore(self, records: Table) -> None:
        """Many at once, none of them present yet (a key that comes twice shows in the digest).

        They are believed to be what their hashes say: ``share`` saw to it, and what carries them (a checkpoint) vouches
        for each bit; to hash them again would make a start half as long again. Raises ``commands.UNREADABLE`` for one
        that expires and is no record.
        """
        tables, users = self._tables, 0
        for key, record in records.items():
            if key >= "\x01":
                tables[hash(key) % TABLES][key] = record
                users += 1
            else:
                self._system[key], self._system_rows = record, None
            if record[DIGEST_BYTES:_DATA_AT] != _ETERNAL:
                self.expiries.add(key, _row(record).expires_ms)
        self.count += users
        self.digest += sum(map(number, [record[:DIGEST_BYTES] for record in records.values()]))
        self.size_bytes += sum(map(len, records.values())) - DIGEST_BYTES * len(records) + utf8_bytes("".join(records))

    @property
    def system(self) -> Mapping[str, Row]:
        if self._system_rows is None:
            self._system_rows = MappingProxyType({key: _row(record) for key, record in self._system.items()})
        return self._system_rows

    def records(self) -> Iterator[tuple[str, Record]]:
        """All of them, while nobody writes."""
        for table in (self._system, *self._tables):
            for key, record in table.items():
                if key not in self._changes:
                    yield key, record
        for key, changed in self._changes.items():
            if changed is not None:
                yield key, changed

    def share(self) -> Iterator[tuple[str, Record]]:
        """All records as of this call, while writes go on. One at a time, and ``unshare`` is owed at its end.

        Raises ``AssertionError`` for a row that is not what its hash says: nobody looks again when they are loaded.
        """
        self.merge(len(self._changes))
        self._shared = True
        return _checked(_one_by_one([self._system.copy(), *self._tables]))

    def unshare(self) -> None:
        """Nobody reads what ``share`` returned any more."""
        self._shared = False

    @property
    def is_merged(self) -> bool:
        """Whether the tables are all there is."""
        return not self._changes

    def merge(self, count_max: int) -> None:
        """Take up to so many changes into the tables, unless a snapshot reads them."""
        if self._shared or not self._changes:
            return
        for _ in range(min(count_max, len(self._changes))):
            key, record = self._changes.popitem()
            table = self._tables[hash(key) % TABLES]
            if record is None:
                table.pop(key, None)
            else:
                table[key] = record
        if not self._changes:
            self._changes = {}  # a dict that was emptied keeps the room of its largest size

    def retire(self, step: int) -> Iterator[None]:
        """Drop everything, ``step`` rows at a time; tables that a snapshot reads are left to it."""
        tables: list[Table | dict[str, Record | None]] = [self._system, self._changes]
        if not self._shared:
            tables += self._tables
        self._tables, self._system, self._changes, self.count = [{} for _ in range(TABLES)], {}, {}, 0
        self._system_rows = None
        left = step
        for table in tables:
            while table:
                table.popitem()
                left -= 1
                if not left:
                    yield
                    left = step


def _one_by_one(tables: list[Table]) -> Iterator[tuple[str, Record]]:
    # Nobody else may hold the tables any more (``retire``): each is dropped when it was read, not all at the end.
    while tables:
        yield from tables.pop().items()


def _checked(records: Iterator[tuple[str, Record]]) -> Iterator[tuple[str, Record]]:
    for pair in records:
        key, record = pair
        hashed = record[:DIGEST_BYTES]
        assert hash_row(key, record[DIGEST_BYTES:]) == hashed, f"the row of {key!r} is not what its hash says"
        yield pair
