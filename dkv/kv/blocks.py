"""The applied state as a row of blocks: ``Meta``, then rows, then groups of answered ids, then ``End``.

A block is small enough to be made, written or read between two turns: ~64 KiB and 500 items, but never
less than one item (a value may have 1 MiB). ``End`` says what must have come, so a state with anything
missing does not load.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from dkv.kv.commands import UNREADABLE

FORMAT = 2
"""1 had rows where 2 has records (``rows``), and another digest: each row's key before it."""
BLOCK_BYTES = 64 * 1024
BLOCK_ITEMS = 500
"""Rows of 100 bytes then make blocks of 65 kB, in 0.7 ms. With 2,000 it took 2.7 ms, and a request, which needs two or
three passes of the loop, waited for that many blocks: 14 ms at the median while a checkpoint was written."""


class Meta(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=1, forbid_unknown_fields=True):
    """``index``: the last applied entry; ``clock_ms``: the state's clock."""

    format: int
    index: int
    clock_ms: int


class RowsBlock(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=2, forbid_unknown_fields=True):
    """Keys and records (``rows``), of users and of dkv, in no order."""

    records: dict[str, bytes]


class IdsBlock(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=3, forbid_unknown_fields=True):
    """Groups of answered ids, oldest first."""

    groups: list[bytes]


class End(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=4, forbid_unknown_fields=True):
    """What the whole state amounts to."""

    rows: int
    system_rows: int
    ids: int
    digest: str


Block = Meta | RowsBlock | IdsBlock | End

encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[Block] = msgspec.msgpack.Decoder(Block)


class BadBlocks(Exception):
    """Blocks that are not one whole state as ``freeze`` writes it."""


def decode(data: bytes) -> Block:
    """Bytes → block. Raises ``BadBlocks``."""
    try:
        return _decoder.decode(data)
    except UNREADABLE as error:
        raise BadBlocks(f"A block of the state cannot be read: {error}.") from None


def rows_blocks(records: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """Pairs → blocks; a pair is looked at only when its block is asked for."""
    # A dict, because a list would keep all pairs alive for the cyclic collector to walk.
    block: dict[str, bytes] = {}
    size = 0
    for key, record in records:
        record_bytes = len(key) + len(record)
        if block and (size + record_bytes > BLOCK_BYTES or len(block) == BLOCK_ITEMS):
            yield encode(RowsBlock(block))
            block, size = {}, 0
        block[key] = record
        size += record_bytes
    if block:
        yield encode(RowsBlock(block))


def ids_blocks(groups: Iterable[bytes]) -> Iterator[bytes]:
    """Groups → blocks."""
    block: list[bytes] = []
    size = 0
    for group in groups:
        if block and (size + len(group) > BLOCK_BYTES or len(block) == BLOCK_ITEMS):
            yield encode(IdsBlock(block))
            block, size = [], 0
        block.append(group)
        size += len(group)
    if block:
        yield encode(IdsBlock(block))
