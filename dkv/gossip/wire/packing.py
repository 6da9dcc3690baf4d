"""Writing msgpack as memberlist's Go codec does: each function gives the bytes of one value.

Gossip uses the old raw family for text and bytes alike (never ``d9`` or ``c4..c6``): agents refuse a text that comes
as ``bin``. The agent's RPC uses the new types. A struct is a map of its field names in byte order.
"""

from __future__ import annotations

import struct as _struct
from collections.abc import Iterable, Mapping, Sequence

NIL = b"\xc0"

_U8, _U16, _U32, _U64 = (_struct.Struct(form) for form in (">BB", ">BH", ">BI", ">BQ"))
_I8, _I16, _I32, _I64 = (_struct.Struct(form) for form in (">Bb", ">Bh", ">Bi", ">Bq"))


def integer(value: int) -> bytes:
    """The shortest form, unsigned unless it is negative."""
    if 0 <= value < 0x80:
        return bytes((value,))
    if value < 0:
        return _negative(value)
    if value <= 0xFF:
        return _U8.pack(0xCC, value)
    if value <= 0xFFFF:
        return _U16.pack(0xCD, value)
    return _U32.pack(0xCE, value) if value <= 0xFFFF_FFFF else _U64.pack(0xCF, value)


def _negative(value: int) -> bytes:
    if value >= -0x20:
        return bytes((value & 0xFF,))
    if value >= -0x80:
        return _I8.pack(0xD0, value)
    if value >= -0x8000:
        return _I16.pack(0xD1, value)
    return _I32.pack(0xD2, value) if value >= -0x8000_0000 else _I64.pack(0xD3, value)


def boolean(value: bool) -> bytes:
    """True or false."""
    return b"\xc3" if value else b"\xc2"


def raw(value: bytes) -> bytes:
    """Bytes, in the old raw family."""
    size = len(value)
    if size < 32:
        return bytes((0xA0 | size,)) + value
    return (_U16.pack(0xDA, size) if size <= 0xFFFF else _U32.pack(0xDB, size)) + value


def raw_or_nil(value: bytes | None) -> bytes:
    """Go's nil slice is None, and what an agent sends where there is nothing: empty bytes become nil too."""
    return raw(value) if value else NIL


def text(value: str) -> bytes:
    """Text, in the old raw family."""
    return raw(value.encode())


def new_text(value: str) -> bytes:
    """Text as today's msgpack has it (RPC)."""
    data = value.encode()
    return _U8.pack(0xD9, len(data)) + data if 32 <= len(data) <= 0xFF else raw(data)


def new_binary(value: bytes) -> bytes:
    """Bytes as today's msgpack has them (RPC)."""
    size = len(value)
    if size <= 0xFF:
        return _U8.pack(0xC4, size) + value
    return (_U16.pack(0xC5, size) if size <= 0xFFFF else _U32.pack(0xC6, size)) + value


def array(elements: Sequence[bytes]) -> bytes:
    """Values already packed."""
    return _container(len(elements), 0x90, 0xDC) + b"".join(elements)


def mapping(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Keys and values already packed, in the order given: Go's maps have none."""
    parts = [part for pair in pairs for part in pair]
    return _container(len(parts) // 2, 0x80, 0xDE) + b"".join(parts)


def _container(size: int, fixed: int, wide: int) -> bytes:
    if size < 16:
        return bytes((fixed | size,))
    return _U16.pack(wide, size) if size <= 0xFFFF else _U32.pack(wide + 1, size)


def fields(values: Mapping[str, bytes]) -> bytes:
    """A struct: field name → packed value. The names are shorter than 32 bytes, so that both dialects agree."""
    return mapping((text(name), values[name]) for name in sorted(values))
