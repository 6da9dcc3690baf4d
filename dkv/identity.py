"""Who a node is, as its own disk has it: cluster, name, incarnation, and the founder with whom every log begins.

Law: drawn once, for an empty directory; a wiped directory means another incarnation, so that no identity ever votes
twice in a term.
"""

from __future__ import annotations

import secrets

import msgspec

from dkv.errors import StartupError

FORMAT = 1


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Written before the first log entry, never changed."""

    cluster: str
    name: str
    identity: str
    founder: str
    format: int = FORMAT


def draw(name: str) -> str:
    """A new incarnation of ``name``: ``n1.3f9a2c1b``."""
    return f"{name}.{secrets.token_hex(4)}"


def founding(name: str, identity: str) -> Identity:
    """The first node of a new cluster."""
    return Identity(cluster=secrets.token_hex(8), name=name, identity=identity, founder=identity)


def encode(identity: Identity) -> bytes:
    return msgspec.json.encode(identity)


def decode(stored: bytes, name: str, directory: object) -> Identity:
    """What ``encode`` wrote. Raises ``StartupError`` if it is not that of a node called ``name``."""
    try:
        identity = msgspec.json.decode(stored, type=Identity)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StartupError(f"{directory}: the node's identity cannot be read ({error}).") from None
    if identity.format > FORMAT:
        raise StartupError(
            f"{directory} was written by a newer dkv (format {identity.format}, this one knows {FORMAT}): "
            "start the newer version again."
        )
    if identity.name != name:
        raise StartupError(
            f"{directory} belongs to node {identity.name}, not to {name}: "
            f"use --id {identity.name}, or another --data-dir."
        )
    return identity
