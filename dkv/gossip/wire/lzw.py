"""LZW as Go's compress/lzw writes it: least significant bit first, 8-bit literals, codes of 9 to 12 bits.

The decoder's output is bounded: a kilobyte can be made to stand for hundreds. The encoder gives the agents' very bytes.
"""

from __future__ import annotations

from dkv.gossip.wire.limits import BadPacket

_CLEAR, _END = 256, 257
_WIDTH_MIN, _WIDTH_MAX = 9, 12
_CODE_MAX = (1 << _WIDTH_MAX) - 1

_LITERALS = [bytes((byte,)) for byte in range(256)] + [b"", b""]
"""The table after a clear code; the two last stand for the clear and the end code, and are never looked up."""


def decompress(data: bytes, bytes_max: int) -> bytes:
    """Raises ``BadPacket`` for what is no LZW, has no end, or gives more than ``bytes_max`` bytes.

    A code may name the entry that it is about to make. A full table learns nothing more until a clear code.
    """
    table, width, last = _LITERALS.copy(), _WIDTH_MIN, b""
    output: list[bytes] = []
    output_bytes = bits = bit_count = 0
    for byte in data:
        bits |= byte << bit_count
        bit_count += 8
        if bit_count < width:
            continue
        code = bits & ((1 << width) - 1)
        bits >>= width
        bit_count -= width
        if code == _CLEAR:
            table, width, last = _LITERALS.copy(), _WIDTH_MIN, b""
            continue
        if code == _END:
            return b"".join(output)
        if code < len(table):
            string = table[code]
        elif code == len(table) and last:
            string = last + last[:1]
        else:
            raise BadPacket("LZW with a code that names nothing yet")
        output_bytes += len(string)
        if output_bytes > bytes_max:
            raise BadPacket(f"LZW that decompresses to more than {bytes_max} bytes")
        output.append(string)
        if last:
            table.append(last + string[:1])
        last = string
        if len(table) > _CODE_MAX:
            last = b""
        elif len(table) >> width:
            width += 1
    raise BadPacket("LZW that ends too early")


def compress(data: bytes) -> bytes:
    """Any bytes → what Go's encoder gives for them."""
    writer = _Writer()
    writer.write(_CLEAR)
    if data:
        pending = data[0]
        table: dict[int, int] = {}
        for byte in data[1:]:
            key = pending << 8 | byte
            code = table.get(key)
            if code is not None:
                pending = code
                continue
            writer.write(pending)
            pending = byte
            if writer.advance():
                table[key] = writer.newest
            else:
                table.clear()
        writer.write(pending)
        writer.advance()
    writer.write(_END)
    return writer.flush()


class _Writer:
    """Packs codes; knows how wide the next one is from the number of the newest entry."""

    __slots__ = ("_bit_count", "_bits", "_output", "_width", "newest")

    def __init__(self) -> None:
        self._output = bytearray()
        self._bits = self._bit_count = 0
        self._width, self.newest = _WIDTH_MIN, _END

    def write(self, code: int) -> None:
        self._bits |= code << self._bit_count
        self._bit_count += self._width
        while self._bit_count >= 8:
            self._output.append(self._bits & 0xFF)
            self._bits >>= 8
            self._bit_count -= 8

    def advance(self) -> bool:
        """One entry more; False: the table is full, and starts anew without it (the clear code is written)."""
        self.newest += 1
        if self.newest >> self._width:
            self._width += 1
        if self.newest < _CODE_MAX:
            return True
        self.write(_CLEAR)
        self._width, self.newest = _WIDTH_MIN, _END
        return False

    def flush(self) -> bytes:
        if self._bit_count:
            self._output.append(self._bits)
        return bytes(self._output)
