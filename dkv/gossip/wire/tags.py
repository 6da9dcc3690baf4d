"""Tags: what a member says about itself, in the Meta of its alive messages (``ff | map``)."""

from __future__ import annotations

from collections.abc import Mapping

from dkv.gossip.wire.limits import META_BYTES_MAX, TAGS_MAX, TooLarge
from dkv.gossip.wire.packing import mapping, text
from dkv.gossip.wire.unpacking import shown, value_at

_MAGIC = 0xFF


def encode_tags(tags: Mapping[str, str]) -> bytes:
    """Tags → Meta. Raises ``TooLarge``."""
    meta = bytes((_MAGIC,)) + mapping((text(name), text(value)) for name, value in tags.items())
    if len(meta) > META_BYTES_MAX:
        raise TooLarge(f"the tags take {len(meta)} bytes encoded, the limit is {META_BYTES_MAX}")
    return meta


def decode_tags(meta: bytes) -> dict[str, str]:
    """Meta → tags. Members of Serf's protocol 2 have nothing but a role. Raises ``BadPacket``.

    What is no UTF-8, or could not be printed, is replaced: tags are shown and compared, never sent on.
    """
    if not meta or meta[0] != _MAGIC:
        return {"role": shown(meta)}
    return {name.shown_text(): value.shown_text() for name, value in value_at(meta, 1, "tags").mapping(TAGS_MAX)}
