"""Encryption: only keys of the ring open, under the right label; the ring turns as operators turn it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dkv.gossip.wire.encryption import (
    KEYS_MAX,
    SEALED_OVERHEAD_BYTES,
    Keyring,
    KeyringError,
    key_as_text,
    key_from_text,
    keyring_as_json,
    keyring_from_json,
)
from dkv.gossip.wire.limits import BadPacket

OLD, NEW, LONG = b"o" * 16, b"n" * 24, b"l" * 32
NONCE = bytes(range(12))


@pytest.mark.parametrize("key", [OLD, NEW, LONG])
def test_there_and_back(key: bytes) -> None:
    ring = Keyring(key)
    sealed = ring.seal(b"hello", nonce=NONCE, associated=b"dc1")
    assert len(sealed) == len(b"hello") + SEALED_OVERHEAD_BYTES
    assert ring.open(sealed, associated=b"dc1") == b"hello"


@pytest.mark.parametrize("associated", [b"", b"dc2", b"dc1 "])
def test_another_label_does_not_open(associated: bytes) -> None:
    with pytest.raises(BadPacket, match="no key of ours"):
        Keyring(OLD).open(Keyring(OLD).seal(b"x", nonce=NONCE, associated=b"dc1"), associated=associated)


def test_another_key_does_not_open() -> None:
    with pytest.raises(BadPacket, match="no key of ours"):
        Keyring(NEW, LONG).open(Keyring(OLD).seal(b"x", nonce=NONCE))


def test_a_rotation_opens_everything_at_every_step() -> None:
    """Install everywhere, use everywhere, remove everywhere: at each step members may be one apart."""
    steps = [Keyring(OLD)]
    steps.append(steps[-1].install(NEW))
    steps.append(steps[-1].use(NEW))
    steps.append(steps[-1].remove(OLD))
    assert [ring.keys for ring in steps] == [(OLD,), (OLD, NEW), (NEW, OLD), (NEW,)]
    for one, other in pairwise(steps):
        for sender, receiver in ((one, other), (other, one)):
            assert receiver.open(sender.seal(b"x", nonce=NONCE)) == b"x"
    with pytest.raises(BadPacket):
        steps[-1].open(steps[0].seal(b"x", nonce=NONCE))


def test_changes_that_change_nothing() -> None:
    ring = Keyring(OLD, NEW)
    assert ring.install(NEW) == ring
    assert ring.use(OLD) == ring
    assert ring.remove(LONG) == ring


def test_changes_that_make_no_sense() -> None:
    with pytest.raises(KeyringError, match="Removing the primary key is not allowed"):
        Keyring(OLD, NEW).remove(OLD)
    with pytest.raises(KeyringError, match="Requested key is not in the keyring"):
        Keyring(OLD).use(NEW)
    with pytest.raises(KeyringError, match="16, 24 or 32 bytes"):
        Keyring(OLD).install(b"short")
    with pytest.raises(KeyringError, match="Empty primary key"):
        Keyring()
    with pytest.raises(KeyringError, match="remove old ones first"):
        Keyring(*(bytes((number,)) * 16 for number in range(KEYS_MAX + 1)))


def sealed_v0(plain: bytes) -> bytes:
    return b"\0" + NONCE + AESGCM(OLD).encrypt(NONCE, plain, b"")


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17])
def test_version_0_is_padded(size: int) -> None:
    padding = 16 - size % 16
    assert Keyring(OLD).open(sealed_v0(b"p" * size + bytes((padding,)) * padding)) == b"p" * size


@pytest.mark.parametrize("last", [0, 17, 255])
def test_version_0_with_a_wrong_padding(last: int) -> None:
    with pytest.raises(BadPacket, match="padding"):
        Keyring(OLD).open(sealed_v0(b"p" * 15 + bytes((last,))))


@pytest.mark.parametrize("data", [b"", b"\0" * 44, b"\1" * 28, b"\2" * 100, b"\x08\x01\x82"])
def test_what_was_never_sealed(data: bytes) -> None:
    with pytest.raises(BadPacket):
        Keyring(OLD).open(data)


def test_a_ring_does_not_tell_its_keys() -> None:
    assert "6f6f" not in repr(Keyring(OLD))
    assert "oo" not in repr(Keyring(OLD))


def test_keys_as_operators_write_them() -> None:
    assert key_from_text(key_as_text(LONG)) == LONG
    assert keyring_from_json(keyring_as_json(Keyring(NEW, OLD))) == Keyring(NEW, OLD)


@pytest.mark.parametrize("text", ["", "b28=", "not base64!", "ö" * 24, key_as_text(LONG)[:-1]])
def test_keys_that_are_none(text: str) -> None:
    with pytest.raises(KeyringError):
        key_from_text(text)


@pytest.mark.parametrize("text", ["", "{}", "[]", "[1]", '["b28="]'])
def test_keyring_files_that_are_none(text: str) -> None:
    with pytest.raises(KeyringError):
        keyring_from_json(text)
