"""What a replica's state hashes to: the sum of the hashes of its parts, so that order and path do not matter.

Every part (a row, a group of answered ids, the clock) is hashed over its MessagePack bytes, whose shapes
differ, so no part can stand for another. Sums add and subtract, which makes the digest incremental.
"""

from __future__ import annotations

from hashlib import blake2b

DIGEST_BYTES = 16
MODULUS = 1 << (8 * DIGEST_BYTES)

_from_bytes = int.from_bytes


def hash_part(data: bytes) -> int:
    """128 bits of BLAKE2b as a number."""
    return _from_bytes(blake2b(data, digest_size=DIGEST_BYTES).digest(), "little")


def digest_hex(total: int) -> str:
    """The sum of all parts → 32 hexadecimal digits."""
    return f"{total % MODULUS:032x}"
