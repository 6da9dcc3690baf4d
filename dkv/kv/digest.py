"""What a replica's state hashes to: the sum of the hashes of its parts, so that order and path do not matter.

Every part (a row with its key behind it, a group of answered ids, the clock) is hashed over its MessagePack bytes,
whose shapes differ, so no part can stand for another. Sums add and subtract, which makes the digest incremental.
"""

from __future__ import annotations

from hashlib import blake2b

DIGEST_BYTES = 16
MODULUS = 1 << (8 * DIGEST_BYTES)


def hash_bytes(data: bytes) -> bytes:
    """128 bits of BLAKE2b."""
    return blake2b(data, digest_size=DIGEST_BYTES).digest()


number = int.from_bytes
"""What a hash adds to the sum."""


def hash_part(data: bytes) -> int:
    """What a part of these bytes adds to the sum."""
    return number(hash_bytes(data))


def digest_hex(total: int) -> str:
    """The sum of all parts → 32 hexadecimal digits."""
    return f"{total % MODULUS:032x}"
