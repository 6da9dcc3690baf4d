"""Keys and their rows in many tables, shared copy-on-write with a running snapshot.

4096 tables by the key's hash and one for the system keys. ``share`` hands out the very tables; until a table
is released, the first write to it puts a copy in its place, so the snapshot's own never changes and nobody
waits. Rows and keys are invisible to the cyclic collector, and so are dicts that hold nothing else: a million
rows cost it nothing. (Which hash picks the table may differ from process to process: tables are never seen
outside.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import msgspec

from dkv.kv.commands import Row
from dkv.kv.digest import hash_part
from dkv.kv.expiries import Expiries

TABLES = 4096
"""The first write to a table under a snapshot copies it. With 1e6 rows that is 244 of them, some 10 µs; with 256
tables it was 150 µs, and a batch pays it for nearly every command.
"""
SYSTEM = TABLES
_MASK = TABLES - 1

_encode = msgspec.msgpack.Encoder().encode

Table = dict[str, Row]


class Rows:
    """``digest`` is the sum of all rows' hashes, ``size_bytes`` of their encoded sizes."""

    __slots__ = ("_shared", "_tables", "digest", "expiries", "size_bytes")

    def __init__(self) -> None:
        self._tables: list[Table] = [{} for _ in range(TABLES + 1)]
        self._shared = bytearray(TABLES + 1)
        """1 where a running snapshot holds the table that is in ``_tables``."""
        self.expiries = Expiries()
        self.digest = 0
        self.size_bytes = 0

    def get(self, key: str) -> Row | None:
        # System keys begin with NUL, so they alone (and "", which is no key) sort before "\x01".
        return self._tables[SYSTEM if key < "\x01" else hash(key) & _MASK].get(key)

    def put(self, key: str, row: Row, old: Row | None) -> None:
        """``old`` is the present row."""
        slot = SYSTEM if key < "\x01" else hash(key) & _MASK
        if self._shared[slot]:
            self._keep_apart(slot)
        self._tables[slot][key] = row
        data = _encode((key, row))
        if old is None:
            self.digest += hash_part(data)
            self.size_bytes += len(data)
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
        slot = SYSTEM if key < "\x01" else hash(key) & _MASK
        if self._shared[slot]:
            self._keep_apart(slot)
        del self._tables[slot][key]
        self._subtract(key, row)

    def _subtract(self, key: str, row: Row) -> None:
        data = _encode((key, row))
        self.digest -= hash_part(data)
        self.size_bytes -= len(data)

    def restore(self, rows: Mapping[str, Row]) -> None:
        """Many rows at once, none of them present yet (a key that comes twice shows in the digest)."""
        tables, total, size = self._tables, 0, 0
        for key, row in rows.items():
            tables[SYSTEM if key < "\x01" else hash(key) & _MASK][key] = row
            data = _encode((key, row))
            total += hash_part(data)
            size += len(data)
            if row.expires_ms:
                self.expiries.add(key, row.expires_ms)
        self.digest += total
        self.size_bytes += size

    @property
    def count(self) -> int:
        """Rows of users, with those that expired and were not swept yet."""
        return sum(map(len, self._tables)) - len(self._tables[SYSTEM])

    @property
    def system(self) -> Mapping[str, Row]:
        return MappingProxyType(self._tables[SYSTEM])

    def items(self) -> Iterator[tuple[str, Row]]:
        for table in self._tables:
            yield from table.items()

    def share(self) -> Iterator[tuple[str, Row]]:
        """All rows as of this call, while writes go on. One at a time, and ``unshare`` is owed at its end."""
        self._shared = bytearray(b"\x01" * len(self._tables))
        return self._release_one_by_one(list(self._tables))

    def _release_one_by_one(self, tables: list[Table]) -> Iterator[tuple[str, Row]]:
        while tables:
            yield from tables.pop().items()
            self._shared[len(tables)] = 0

    def unshare(self) -> None:
        """Nobody reads what ``share`` returned any more."""
        self._shared = bytearray(len(self._tables))

    def _keep_apart(self, slot: int) -> None:
        self._tables[slot] = self._tables[slot].copy()
        self._shared[slot] = 0

    def retire(self, step: int) -> Iterator[None]:
        """Drop everything, ``step`` rows at a time; tables that a snapshot holds are left to it."""
        left = step
        for slot, table in enumerate(self._tables):
            self._tables[slot] = {}
            while table and not self._shared[slot]:
                table.popitem()
                left -= 1
                if not left:
                    yield
                    left = step
