"""What the durability tests share: storages that are always closed again, and entries that know their place."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dkv.raft.contracts import Entry
from dkv.raft.storage import Storage


@contextmanager
def open_storage(directory: Path, **options: int) -> Iterator[Storage]:
    """A ``Storage`` in ``directory`` for the length of a ``with``."""
    storage = Storage(directory / "log.db", **options)
    try:
        yield storage
    finally:
        storage.close()


def make_entry(index: int, term: int = 1, size_bytes: int = 0) -> Entry:
    """An entry whose command says where it belongs."""
    return Entry(b"\x00%d@%d" % (index, term) + b"x" * size_bytes, index, term)


@pytest.fixture(name="open_storage")
def open_storage_fixture():
    return open_storage


@pytest.fixture(name="make_entry")
def make_entry_fixture():
    return make_entry
