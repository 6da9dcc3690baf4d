"""Network coordinates, in the payload of direct acks over UDP: ``01 | struct``. Units are seconds."""

from __future__ import annotations

from typing import Final

import msgspec

from dkv.gossip.wire.limits import BadPacket
from dkv.gossip.wire.packing import array, fields, real
from dkv.gossip.wire.unpacking import fields_of

DIMENSIONS: Final = 8
_PING_VERSION = 1


class Coordinate(msgspec.Struct, frozen=True, kw_only=True):
    """A place in Vivaldi's space; the defaults are where everybody starts. All four are seconds."""

    vector: tuple[float, ...] = (0.0,) * DIMENSIONS
    error: float = 1.5
    adjustment: float = 0.0
    height: float = 1e-5


def pack_coordinate(coordinate: Coordinate) -> bytes:
    """Coordinate → its struct."""
    values = {
        "Adjustment": real(coordinate.adjustment),
        "Error": real(coordinate.error),
        "Height": real(coordinate.height),
        "Vec": array([real(component) for component in coordinate.vector]),
    }
    return fields(values)


def encode_coordinate(coordinate: Coordinate) -> bytes:
    """Coordinate → ack payload."""
    return bytes((_PING_VERSION,)) + pack_coordinate(coordinate)


def decode_coordinate(payload: bytes) -> Coordinate:
    """Ack payload → coordinate. Raises ``BadPacket``; the ack counts all the same."""
    if not payload or payload[0] != _PING_VERSION:
        raise BadPacket("a coordinate of an unknown version")
    values = fields_of(payload, 1)
    vector = tuple(component.real() for component in values["Vec"].array(DIMENSIONS))
    if len(vector) != DIMENSIONS:
        raise BadPacket(f"a coordinate of {len(vector)} dimensions")
    return Coordinate(
        vector=vector,
        error=values["Error"].real(),
        adjustment=values["Adjustment"].real(),
        height=values["Height"].real(),
    )
