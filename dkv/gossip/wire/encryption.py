"""AES-GCM around packets and streams, and the keyring that rotates its keys. The one door to ``cryptography``.

A sealed message is ``version u8 | nonce 12 | ciphertext | tag 16``. The key's size selects AES-128, -192 or -256.
Version 1 is what everybody sends; version 0 pads to blocks (PKCS #7) and is only understood.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dkv.gossip.wire.limits import BadPacket, NotOurKey

NONCE_BYTES: Final = 12
SEALED_OVERHEAD_BYTES: Final = 1 + NONCE_BYTES + 16
"""What version 1 adds to a message."""

KEY_BYTES: Final = (16, 24, 32)
KEYS_MAX = 16
"""Of a ring: every packet that no key opens is tried with each of them."""

_PADDED, _UNPADDED = 0, 1
_BLOCK_BYTES = 16


class KeyringError(ValueError):
    """A change of keys that makes no sense; the texts are the agent's, operators read them in ``serf keys``."""


class Keyring:
    """Keys in order, the primary first; it seals, all of them open. Immutable: each change gives another ring."""

    __slots__ = ("_ciphers", "keys")

    def __init__(self, *keys: bytes) -> None:
        """Raises ``KeyringError`` for no key, too many, or one of a wrong size. Doubles are dropped."""
        self.keys: Final = tuple(dict.fromkeys(keys))
        if not self.keys:
            raise KeyringError("Empty primary key not allowed")
        if len(self.keys) > KEYS_MAX:
            raise KeyringError(f"The keyring holds {KEYS_MAX} keys already: remove old ones first")
        if any(len(key) not in KEY_BYTES for key in self.keys):
            raise KeyringError("key size must be 16, 24 or 32 bytes")
        self._ciphers: Final = tuple(AESGCM(key) for key in self.keys)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Keyring) and self.keys == other.keys

    def __hash__(self) -> int:
        return hash(self.keys)

    def __repr__(self) -> str:
        return f"<Keyring of {len(self.keys)}>"  # never the keys: this ends up in logs

    @property
    def primary(self) -> bytes:
        """The key that we send with."""
        return self.keys[0]

    def install(self, key: bytes) -> Keyring:
        """The ring that opens with ``key`` too; the same if it has it."""
        return Keyring(*self.keys, key)

    def use(self, key: bytes) -> Keyring:
        """The ring whose primary is ``key``."""
        if key not in self.keys:
            raise KeyringError("Requested key is not in the keyring")
        return Keyring(key, *self.keys)

    def remove(self, key: bytes) -> Keyring:
        """The ring without ``key``; the same if it does not have it."""
        if key == self.primary:
            raise KeyringError("Removing the primary key is not allowed")
        return Keyring(*(kept for kept in self.keys if kept != key))

    def seal(self, plain: bytes, *, nonce: bytes, associated: bytes = b"") -> bytes:
        """Version 1 under the primary key. ``nonce``: 12 bytes from the system's generator, never used twice."""
        assert len(nonce) == NONCE_BYTES, f"a nonce of {len(nonce)} bytes"
        return bytes((_UNPADDED,)) + nonce + self._ciphers[0].encrypt(nonce, plain, associated)

    def open(self, sealed: bytes, *, associated: bytes = b"") -> bytes:
        """What was sealed under any of the keys. Raises ``BadPacket``."""
        version = sealed[0] if sealed else _UNPADDED
        if version > _UNPADDED:
            raise NotOurKey("an unknown version of encryption, or none at all")
        if len(sealed) < SEALED_OVERHEAD_BYTES + (_BLOCK_BYTES if version == _PADDED else 0):
            raise NotOurKey("too short to be encrypted")
        nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        for cipher in self._ciphers:
            try:
                plain = cipher.decrypt(nonce, ciphertext, associated)
            except InvalidTag:
                continue
            return _unpadded(plain) if version == _PADDED else plain
        raise NotOurKey("no key of ours opens it: not encrypted, by another key, for another label, or damaged")


def _unpadded(plain: bytes) -> bytes:
    padding = plain[-1] if plain else 0
    if not 1 <= padding <= min(_BLOCK_BYTES, len(plain)):
        raise BadPacket("a wrong padding under the encryption")
    return plain[:-padding]


def key_from_text(text: str) -> bytes:
    """The key that an operator writes in base64 (``serf keygen``). Raises ``KeyringError``."""
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise KeyringError("a key must be 16, 24 or 32 bytes in base64") from None
    if len(key) not in KEY_BYTES:
        raise KeyringError("key size must be 16, 24 or 32 bytes")
    return key


def key_as_text(key: bytes) -> str:
    """Base64, as ``serf keys`` shows it."""
    return base64.b64encode(key).decode()


def keyring_from_json(text: str) -> Keyring:
    """The agent's keyring file: a JSON list of keys in base64, the primary first. Raises ``KeyringError``."""
    try:
        keys = json.loads(text)
    except ValueError:
        raise KeyringError("the keyring file is not JSON") from None
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise KeyringError("the keyring file is not a list of keys in base64")
    return Keyring(*map(key_from_text, keys))


def keyring_as_json(keyring: Keyring) -> str:
    """The text of the agent's keyring file."""
    return json.dumps([key_as_text(key) for key in keyring.keys], indent=2)
