"""The golden vectors: packets captured from real agents, with what they say (``golden/vectors.json``)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from dkv.gossip.wire.encryption import Keyring
from dkv.gossip.wire.packets import PLAIN, Envelope

GOLDEN = Path(__file__).parent / "golden" / "vectors.json"
LABEL = b"dc1"


class Vector(NamedTuple):
    name: str
    transport: str
    data: bytes
    decoded: Any
    envelope: Envelope
    dialling: bool
    """Whether the packet answers somebody who dialled (TCP)."""
    passed_on: bool
    """An agent gossiped on, as it came, what the Python member had written."""

    @property
    def by_an_agent(self) -> bool:
        """Not by the Python member, whose fields are in an order of its own."""
        return not self.name.startswith(("py-", "synthetic-"))


@cache
def vectors(*transports: str) -> tuple[Vector, ...]:
    return tuple(_vector(entry) for entry in json.loads(GOLDEN.read_text()) if entry["transport"] in transports)


def named(name: str) -> Vector:
    return next(each for each in vectors("udp", "tcp", "rpc", "codec", "file") if each.name == name)


def _vector(entry: dict[str, Any]) -> Vector:
    keyring = Keyring(bytes.fromhex(entry["key"])) if entry["key"] else None
    label = LABEL if "label" in entry["name"] else b""
    return Vector(
        entry["name"],
        entry["transport"],
        bytes.fromhex(entry["hex"]),
        entry["decoded"],
        Envelope(label, keyring) if keyring or label else PLAIN,
        entry["direction"].startswith("listener"),
        "verbatim" in entry["notes"],
    )
