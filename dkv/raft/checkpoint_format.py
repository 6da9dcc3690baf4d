"""The bytes of a checkpoint: prologue, header, blocks, footer.

Pure. Every part is a record (length, CRC-32, bytes), so a flipped bit is found where it is; the footer at
the end holds the file's length and a BLAKE2b of everything before it, so a short, torn or patched file is no
checkpoint. The same bytes travel as a snapshot: nothing in them is believed before it was checked.

"dkv-ckpt" version:u32 | header record | block record ... | footer record = length:u32 crc:u32 bytes
"""

from __future__ import annotations

import hashlib
import struct
import zlib

import msgspec

from dkv.raft.configuration import decode_change, is_change
from dkv.raft.contracts import CheckpointCorrupt, CheckpointHeader

MAGIC = b"dkv-ckpt"
FORMAT = 1
RECORD_BYTES_MAX = 16 * 1024 * 1024
"""Blocks are meant to be of 64 KiB, a header holds two entries of at most 4 MiB: four times as much is
garbage, and is refused before memory is set aside for it."""

PROLOGUE = struct.Struct("<8sI")
RECORD = struct.Struct("<II")
_FOOTER = struct.Struct("<IQQ32s")
_FOOTER_MARK = 0xFFFFFFFF
"""Stands where a block's length would: no block is that long."""
FOOTER_BYTES = _FOOTER.size + 4

_header_decoder = msgspec.msgpack.Decoder(CheckpointHeader)


class NewerFormat(CheckpointCorrupt):
    """Written by a newer dkv: fine, but not for this one."""


class Footer(msgspec.Struct, frozen=True):
    """``size_bytes``: of the whole file. ``digest``: of everything before the footer."""

    block_count: int
    size_bytes: int
    digest: bytes


class Digest:
    """BLAKE2b and length of what was written or read so far."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=32)
        self.size_bytes = 0
        self.block_count = 0

    def add(self, data: bytes) -> None:
        """Bytes of prologue or header."""
        self._hash.update(data)
        self.size_bytes += len(data)

    def add_block(self, head: bytes, block: bytes) -> None:
        """A block with its record head."""
        self.add(head)
        self.add(block)
        self.block_count += 1

    def footer(self) -> Footer:
        """What the footer of a file that ends here must say."""
        return Footer(self.block_count, self.size_bytes + FOOTER_BYTES, self._hash.digest())


def encode_record_head(data: bytes) -> bytes:
    """What precedes ``data`` in the file."""
    assert len(data) <= RECORD_BYTES_MAX, f"a block of {len(data)} bytes (at most {RECORD_BYTES_MAX})"
    return RECORD.pack(len(data), zlib.crc32(data))


def decode_record_head(head: bytes) -> tuple[int, int] | None:
    """Length and CRC of the bytes that follow; None where the footer begins instead."""
    if len(head) < RECORD.size:
        raise CheckpointCorrupt("it ends within a block")
    length, crc = RECORD.unpack(head)
    if length == _FOOTER_MARK:
        return None
    if length > RECORD_BYTES_MAX:
        raise CheckpointCorrupt(f"a block of {length} bytes")
    return length, crc


def check_record(data: bytes, length: int, crc: int) -> None:
    """Raises ``CheckpointCorrupt`` unless ``data`` is what was written."""
    if len(data) != length or zlib.crc32(data) != crc:
        raise CheckpointCorrupt(f"a block of {length} bytes has another checksum")


def encode_start(header: CheckpointHeader) -> bytes:
    """Prologue and header record."""
    data = msgspec.msgpack.encode(header)
    return PROLOGUE.pack(MAGIC, FORMAT) + encode_record_head(data) + data


def check_prologue(data: bytes) -> None:
    """Raises ``CheckpointCorrupt``, or its kind ``NewerFormat``."""
    if len(data) < PROLOGUE.size or data[: len(MAGIC)] != MAGIC:
        raise CheckpointCorrupt("it is no checkpoint at all")
    version = PROLOGUE.unpack(data[: PROLOGUE.size])[1]
    if version > FORMAT:
        raise NewerFormat(f"it was written by a newer dkv (format {version}, this one knows {FORMAT})")
    if version != FORMAT:
        raise CheckpointCorrupt(f"there is no format {version}")


def decode_header(data: bytes) -> CheckpointHeader:
    """The header's own bytes, without the record head.

    Its two entries end up in the log, so a change of voters among them must be canonical:
    ``configuration``'s law.
    """
    try:
        header = _header_decoder.decode(data)
        for entry in (header.previous, header.last):
            if is_change(entry.command):
                decode_change(entry.command)
    except (msgspec.MsgspecError, ValueError) as error:
        raise CheckpointCorrupt(f"its header cannot be read ({error})") from error
    if header.previous.index + 1 != header.last.index:
        raise CheckpointCorrupt(f"its base is {header.previous.index}, {header.last.index}")
    return header


def encode_footer(footer: Footer) -> bytes:
    """The last ``FOOTER_BYTES`` of the file."""
    data = _FOOTER.pack(_FOOTER_MARK, footer.block_count, footer.size_bytes, footer.digest)
    return data + zlib.crc32(data).to_bytes(4, "little")


def decode_footer(data: bytes, size_bytes: int) -> Footer:
    """From the last bytes of a file that is ``size_bytes`` long."""
    if len(data) != FOOTER_BYTES or zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise CheckpointCorrupt("its end is missing")
    mark, block_count, written_bytes, digest = _FOOTER.unpack(data[:-4])
    if mark != _FOOTER_MARK or written_bytes != size_bytes:
        raise CheckpointCorrupt(f"it is {size_bytes} bytes long instead of {written_bytes}")
    return Footer(block_count, written_bytes, digest)
