"""Our answers to what members ask each other behind the users' backs.

Everybody has to answer: a member that is silent about a name loses its peers their names, one that is silent about keys
makes ``serf keys`` fail for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from dkv.gossip.wire.encryption import Keyring, KeyringError, key_as_text
from dkv.gossip.wire.internal_queries import (
    InternalQuery,
    KeyResponse,
    Member,
    decode_key_request,
    encode_key_response,
    encode_member,
)
from dkv.gossip.wire.limits import BadPacket

PREFIX: Final = "_serf_"
"""Names that begin with it are never shown to users, and users cannot ask them."""

KEY_LIST_BYTES_MAX: Final = 600
"""Of all keys in base64 in one answer, which has 1,024 bytes with the primary key, a message and our name in it."""

_NO_KEYRING: Final = "No keyring to modify (encryption not enabled)"
_EMPTY_KEYRING: Final = "Keyring is empty (encryption not enabled)"

_CHANGES: Final[Mapping[str, Callable[[Keyring, bytes], Keyring]]] = {
    InternalQuery.INSTALL_KEY: Keyring.install,
    InternalQuery.USE_KEY: Keyring.use,
    InternalQuery.REMOVE_KEY: Keyring.remove,
}


class Reply(msgspec.Struct, frozen=True):
    """``payload`` None: no answer (beyond the ack). ``keyring``: ours from now on, None as before."""

    payload: bytes | None = None
    keyring: Keyring | None = None


_SILENCE: Final = Reply()


def reply(
    name: str, payload: bytes, *, us: str, member_of: Callable[[str], Member | None], ring: Keyring | None
) -> Reply:
    """To the internal query ``name``: ``us`` is our own name, ``member_of`` finds whom we know under one."""
    match name:
        case InternalQuery.CONFLICT:
            return _reply_about_conflict(payload, us, member_of)
        case InternalQuery.LIST_KEYS:
            return Reply(encode_key_response(_list_keys(ring)))
        case _ if name in _CHANGES:
            response, changed = _change_keys(_CHANGES[name], payload, ring)
            return Reply(encode_key_response(response), changed)
    return _SILENCE


def _reply_about_conflict(payload: bytes, us: str, member_of: Callable[[str], Member | None]) -> Reply:
    """A vote in one's own cause is none."""
    name = payload.decode(errors="replace")
    return _SILENCE if name == us else Reply(encode_member(member_of(name)))


def _change_keys(
    change: Callable[[Keyring, bytes], Keyring], payload: bytes, ring: Keyring | None
) -> tuple[KeyResponse, Keyring | None]:
    if ring is None:
        return KeyResponse(result=False, message=_NO_KEYRING), None
    try:
        changed = change(ring, decode_key_request(payload).key)
    except BadPacket:
        return KeyResponse(result=False, message="Malformed key request"), None
    except KeyringError as error:
        return KeyResponse(result=False, message=str(error)), None
    return KeyResponse(result=True), changed if changed != ring else None


def _list_keys(ring: Keyring | None) -> KeyResponse:
    if ring is None:
        return KeyResponse(result=False, message=_EMPTY_KEYRING)
    told: list[str] = []
    for key in map(key_as_text, ring.keys):
        if sum(map(len, told)) + len(key) > KEY_LIST_BYTES_MAX:
            break
        told.append(key)
    cut = f"Truncated key list response, showing first {len(told)} of {len(ring.keys)} keys"
    return KeyResponse(
        result=True,
        message=cut if len(told) < len(ring.keys) else "",
        keys=tuple(told),
        primary_key=key_as_text(ring.primary),
    )
