"""Reading msgpack from strangers: old and new types, lazily, typed by whoever asks.

The strategy: a map is only indexed (name → where its value begins), values are read when asked for, by the type that
the field must have, and what nobody asks for is stepped over without recursion. So nothing is built from what is
claimed, nesting costs nothing, and the cost is linear in the bytes. A missing field and nil are the zero value, as in
Go. (The msgpack library builds everything first, sixty bytes for each byte of empty lists, and cannot tell text from
``bin``. It takes a sixth of the time; at a few hundred messages a second neither is felt.)
"""

from __future__ import annotations

import struct
from typing import Final

from dkv.gossip.wire.limits import FIELDS_MAX, BadPacket

_NIL = b"\xc0"
_TOO_SHORT = "msgpack that ends too early"

_NUMBER_SIZE: Final = {
    **dict.fromkeys([0xCC, 0xD0], 2),
    **dict.fromkeys([0xCD, 0xD1], 3),
    **dict.fromkeys([0xCE, 0xD2, 0xCA], 5),
    **dict.fromkeys([0xCF, 0xD3, 0xCB], 9),
}


def _fixed_size(head: int) -> int:
    if head < 0x80 or head >= 0xE0 or head in (0xC0, 0xC2, 0xC3):
        return 1
    return 1 + (head & 0x1F) if 0xA0 <= head <= 0xBF else _NUMBER_SIZE.get(head, 0)


_STEP: Final = tuple(map(_fixed_size, range(256)))
"""Head byte → size of the whole value where the head alone tells it, else 0."""

_TEXT: Final = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_BINARY: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4}
_SIZED: Final = {**_TEXT, **_BINARY}
_ARRAY: Final = {0xDC: 2, 0xDD: 4}
_MAP: Final = {0xDE: 2, 0xDF: 4}
"""Head byte → width of the length that follows it."""

_NUMBER: Final = {
    0xCC: struct.Struct(">B"),
    0xCD: struct.Struct(">H"),
    0xCE: struct.Struct(">I"),
    0xCF: struct.Struct(">Q"),
    0xD0: struct.Struct(">b"),
    0xD1: struct.Struct(">h"),
    0xD2: struct.Struct(">i"),
    0xD3: struct.Struct(">q"),
    0xCA: struct.Struct(">f"),
    0xCB: struct.Struct(">d"),
}


def skim(data: bytes | bytearray, offset: int, pending: int) -> tuple[int, int]:
    """Steps over ``pending`` values from ``offset`` on, as far as there are bytes.

    Gives where it stands and how many values are still to come; call it again with those when there is more.
    Raises ``BadPacket`` at a byte that begins no value.
    """
    size = len(data)
    while pending and offset < size:
        step = _STEP[data[offset]]
        if not step:
            step, children = _extent(data, offset)
            pending += children
        if not step or offset + step > size:
            break
        offset += step
        pending -= 1
    return offset, pending


def _extent(data: bytes | bytearray, offset: int) -> tuple[int, int]:
    """Size of the value, or of a container's head, and its number of children; 0, 0 if the head is not all there."""
    head = data[offset]
    if 0x80 <= head <= 0x8F:
        return 1, 2 * (head & 0x0F)
    if 0x90 <= head <= 0x9F:
        return 1, head & 0x0F
    width = _SIZED.get(head) or _ARRAY.get(head) or _MAP.get(head)
    if width is None:
        raise BadPacket(f"msgpack with the byte {head:#04x}, which begins no value")
    if offset + 1 + width > len(data):
        return 0, 0
    length = int.from_bytes(data[offset + 1 : offset + 1 + width], "big")
    if head in _SIZED:
        return 1 + width + length, 0
    return 1 + width, length if head in _ARRAY else 2 * length


def end_of(data: bytes, offset: int) -> int:
    """Where the value that begins at ``offset`` ends. Raises ``BadPacket`` if it is not all there."""
    end, pending = skim(data, offset, 1)
    if pending:
        raise BadPacket(_TOO_SHORT)
    return end


def shown(data: bytes) -> str:
    """Text for logs and terminals, whatever the bytes are."""
    text = data.decode(errors="replace")
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def value_at(data: bytes, offset: int, name: str) -> Value:
    """The value that begins there; ``name`` is for reasons. What follows it is ignored, as agents do."""
    if offset >= len(data):
        raise BadPacket(_TOO_SHORT)
    return Value(data, offset, name)


def fields_of(data: bytes, offset: int = 0) -> Fields:
    """The struct that begins there."""
    return value_at(data, offset, "the message").fields()


class Value:
    """One value whose first byte is in ``data``. Every reading raises ``BadPacket`` where the type is another."""

    __slots__ = ("_data", "_name", "_offset")

    def __init__(self, data: bytes, offset: int, name: str) -> None:
        self._data, self._offset, self._name = data, offset, name

    def is_nil(self) -> bool:
        """Nil, or missing."""
        return self._data[self._offset] == 0xC0

    def is_array(self) -> bool:
        """A list, of whatever length."""
        head = self._data[self._offset]
        return head & 0xF0 == 0x90 or head in _ARRAY

    def integer(self, maximum: int, minimum: int = 0) -> int:
        """A whole number within bounds; nil is 0. Newer agents write some unsigned numbers as signed ones."""
        head = self._data[self._offset]
        if head < 0x80:
            value = head
        elif head >= 0xE0:
            value = head - 0x100
        elif head == 0xC0:
            value = 0
        elif head in (0xCA, 0xCB) or head not in _NUMBER:
            raise self._wrong("a whole number")
        else:
            value = int(self._unpack(head))
        if not minimum <= value <= maximum:
            raise BadPacket(f"{self._name} is {value}, outside of {minimum}..{maximum}")
        return value

    def boolean(self) -> bool:
        """True or false; nil is false."""
        head = self._data[self._offset]
        if head not in (0xC0, 0xC2, 0xC3):
            raise self._wrong("a truth value")
        return head == 0xC3

    def raw(self) -> bytes:
        """Bytes, in whatever of the three families; nil is empty."""
        head = self._data[self._offset]
        if head == 0xC0:
            return b""
        if 0xA0 <= head <= 0xBF:
            return self._cut(1, head & 0x1F)
        if head not in _SIZED:
            raise self._wrong("bytes")
        width = _SIZED[head]
        return self._cut(1 + width, self._length(width))

    def raw_or_none(self) -> bytes | None:
        """As ``raw``, nil is None."""
        return None if self.is_nil() else self.raw()

    def text(self, bytes_max: int | None = None) -> str:
        """UTF-8; ``bin`` is refused as agents refuse it. What is no UTF-8 could not be logged, compared or sent on."""
        try:
            return self._text(bytes_max).decode()
        except UnicodeDecodeError:
            raise BadPacket(f"{self._name} is not UTF-8") from None

    def shown_text(self) -> str:
        """Text that is only shown or compared: what is no UTF-8, or could not be printed, is replaced."""
        return shown(self._text(None))

    def _text(self, bytes_max: int | None) -> bytes:
        if self._data[self._offset] in _BINARY:
            raise self._wrong("text")
        data = self.raw()
        if bytes_max is not None and len(data) > bytes_max:
            raise BadPacket(f"{self._name} has {len(data)} bytes, the limit is {bytes_max}")
        return data

    def array(self, length_max: int) -> list[Value]:
        """The elements; nil is empty."""
        count, offset = self._container(0x90, _ARRAY, "a list", length_max)
        elements = []
        for _ in range(count):
            elements.append(Value(self._data, offset, self._name))
            offset = end_of(self._data, offset)
        return elements

    def mapping(self, length_max: int) -> list[tuple[Value, Value]]:
        """Keys and values, in the order sent; nil is empty."""
        count, offset = self._container(0x80, _MAP, "a map", length_max)
        pairs = []
        for _ in range(count):
            key, offset = Value(self._data, offset, self._name), end_of(self._data, offset)
            pairs.append((key, Value(self._data, offset, self._name)))
            offset = end_of(self._data, offset)
        return pairs

    def fields(self) -> Fields:
        """A struct; nil has all fields zero."""
        count, offset = self._container(0x80, _MAP, "a map", FIELDS_MAX)
        data, size, index = self._data, len(self._data), dict[bytes, int]()
        for _ in range(count):
            key = value_at(data, offset, "a field's name")._text(None)
            offset = end_of(data, offset)
            index[key] = offset
            # Most values are short, and this is where the time goes.
            step = _STEP[data[offset]] if offset < size else 0
            offset = offset + step if step and offset + step <= size else end_of(data, offset)
        return Fields(data, index, offset)

    def _wrong(self, expected: str) -> BadPacket:
        return BadPacket(f"{self._name} is not {expected}")

    def _unpack(self, head: int) -> float:
        try:
            value: float = _NUMBER[head].unpack_from(self._data, self._offset + 1)[0]
        except struct.error:
            raise BadPacket(_TOO_SHORT) from None
        return value

    def _length(self, width: int) -> int:
        return int.from_bytes(self._cut(1, width), "big")

    def _cut(self, begin: int, size: int) -> bytes:
        data = self._data[self._offset + begin : self._offset + begin + size]
        if len(data) < size:
            raise BadPacket(_TOO_SHORT)
        return data

    def _container(self, fixed: int, widths: dict[int, int], kind: str, length_max: int) -> tuple[int, int]:
        """Number of entries, and where the first one begins."""
        head = self._data[self._offset]
        if head == 0xC0:
            count, size = 0, 1
        elif head & 0xF0 == fixed:
            count, size = head & 0x0F, 1
        elif head in widths:
            count, size = self._length(widths[head]), 1 + widths[head]
        else:
            raise self._wrong(kind)
        if count > length_max:
            raise BadPacket(f"{self._name} has {count} entries, the limit is {length_max}")
        return count, self._offset + size


class Fields:
    """An indexed struct. ``end``: where it ends in the data that it was read from."""

    __slots__ = ("_data", "_index", "end")

    def __init__(self, data: bytes, index: dict[bytes, int], end: int) -> None:
        self._data, self._index, self.end = data, index, end

    def __getitem__(self, name: str) -> Value:
        """The field's value; nil if it was not sent. Of a field sent twice the last one counts, as in Go."""
        offset = self._index.get(name.encode())
        return Value(_NIL, 0, name) if offset is None else Value(self._data, offset, name)
