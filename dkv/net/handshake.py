"""Before the first frame, both ends of a link prove that they belong to the same cluster. Sans-IO.

    dialler                                      acceptor
      HELLO   nonce, cluster, identity      →
                                            ←    ANSWER  nonce, identity, MAC("acceptor", HELLO, ANSWER)
      PROOF   MAC("dialler", HELLO, ANSWER) →
                                            ←    WELCOME, or REFUSED with a reason

The MAC is HMAC-SHA256 keyed by the cluster's secret; the role inside it makes a reflected MAC worthless, the nonces a
recorded one. Without a secret the key is public, and the MAC only tells clusters apart. It proves who opened the
link, not what is sent later: where somebody may sit in between, TLS goes underneath. A secret should be drawn, not
thought up: whoever connects gets a MAC to guess against.

Nobody sends ahead, so what is buffered is one small message. Whoever does not speak this protocol gets no answer.
"""

from __future__ import annotations

import hmac
import struct
from enum import IntEnum

PROTOCOL_VERSION = 1
MAGIC = b"\xd6dkv"
"""First bytes of every message; the first one is in no ASCII protocol, no pickle and no TLS record."""

NONCE_BYTES = 32
MESSAGE_BYTES_MAX = 512
"""Far above the longest message: prefix, nonce, MAC and two names of at most 128 bytes."""

NAME_BYTES_MAX = 128
"""Of a cluster id or an identity (``name.incarnation``: at most 73)."""

_PREFIX = struct.Struct(">4sBBH")
"""Magic, version, kind, length of what follows: the same in all versions, so that any two can refuse each other."""

_MAC_BYTES = 32
_PUBLIC_KEY = b"dkv cluster without a secret"


class _Kind(IntEnum):
    HELLO = 1
    ANSWER = 2
    PROOF = 3
    WELCOME = 4
    REFUSED = 5


class Refusal(IntEnum):
    """Why there is no link. The numbers travel."""

    STRANGER = 1
    WRONG_VERSION = 2
    WRONG_CLUSTER = 3
    WRONG_SECRET = 4
    WRONG_NODE = 5
    ITSELF = 6

    @property
    def text(self) -> str:
        """For logs and ``status``."""
        return _TEXTS[self]


_TEXTS = {
    Refusal.STRANGER: "it does not speak dkv's peer protocol",
    Refusal.WRONG_VERSION: f"it speaks another version of the peer protocol (ours is {PROTOCOL_VERSION})",
    Refusal.WRONG_CLUSTER: "it belongs to another cluster",
    Refusal.WRONG_SECRET: "the cluster secrets differ, or only one side has one",
    Refusal.WRONG_NODE: "another node answers at this address",
    Refusal.ITSELF: "this address is the node's own",
}


class HandshakeRefused(Exception):
    """``reply``: what to send before closing, perhaps nothing. ``by_peer``: the other side decided."""

    def __init__(self, reason: Refusal, *, reply: bytes = b"", by_peer: bool = False) -> None:
        super().__init__(f"refused by the other side: {reason.name}" if by_peer else reason.text)
        self.reason = reason
        self.reply = reply
        self.by_peer = by_peer


class _Side:
    """One end of the handshake: bytes in, bytes out."""

    def __init__(self, cluster: str, secret: bytes | None, me: str, nonce: bytes) -> None:
        assert len(nonce) == NONCE_BYTES, f"a nonce of {len(nonce)} bytes"
        assert secret is None or secret, "an empty secret: pass None for no secret"
        self.peer: str | None = None
        """Who is at the other end; None until that is proven and the handshake complete."""
        self._cluster, self._me, self._nonce = cluster, me, nonce
        self._key = secret if secret is not None else _PUBLIC_KEY
        self._received = bytearray()

    def feed(self, data: bytes) -> bytes:
        """Bytes received → bytes to send. Raises ``HandshakeRefused``. Nothing may be fed once ``peer`` is known."""
        assert self.peer is None, "the handshake is over: these bytes are frames"
        # One byte beyond the limit is enough to know that it was exceeded.
        self._received += data[: MESSAGE_BYTES_MAX + 1]
        message = _take(self._received)
        if message is None:
            return b""
        self._received.clear()
        kind, payload = message
        if kind == _Kind.REFUSED:
            raise HandshakeRefused(_reason_in(payload), by_peer=True)
        return self._step(kind, payload)

    def _step(self, kind: int, payload: bytes) -> bytes:
        raise NotImplementedError

    def _mac(self, role: bytes, hello: bytes, answer: bytes) -> bytes:
        return hmac.digest(self._key, b"dkv/" + role + b"\0" + hello + answer, "sha256")


class Dialler(_Side):
    """The side that connected, to ``expected``. It sends ``hello()`` first."""

    def __init__(self, cluster: str, secret: bytes | None, me: str, nonce: bytes, *, expected: str) -> None:
        super().__init__(cluster, secret, me, nonce)
        self._expected = expected
        self._answered = False
        self._hello = _pack_party(nonce, cluster, me)

    def hello(self) -> bytes:
        """The bytes that open the conversation."""
        return _message(_Kind.HELLO, self._hello)

    def _step(self, kind: int, payload: bytes) -> bytes:
        if not self._answered and kind == _Kind.ANSWER:
            return self._prove(payload)
        if self._answered and kind == _Kind.WELCOME and not payload:
            self.peer = self._expected
            return b""
        raise HandshakeRefused(Refusal.STRANGER)

    def _prove(self, payload: bytes) -> bytes:
        answer, mac = payload[:-_MAC_BYTES], payload[-_MAC_BYTES:]
        identity = _names_in(answer, 1)[0]
        if not hmac.compare_digest(mac, self._mac(b"acceptor", self._hello, answer)):
            raise _refused(Refusal.WRONG_SECRET)
        if identity != self._expected:
            raise _refused(Refusal.ITSELF if identity == self._me else Refusal.WRONG_NODE)
        self._answered = True
        return _message(_Kind.PROOF, self._mac(b"dialler", self._hello, answer))


class Acceptor(_Side):
    """The side that was connected to."""

    def __init__(self, cluster: str, secret: bytes | None, me: str, nonce: bytes) -> None:
        super().__init__(cluster, secret, me, nonce)
        self._hello: bytes | None = None
        self._answer = _pack_party(nonce, me)
        self.claimed = ""
        """Whom the other side says it is; nothing is proven before ``peer`` is known."""

    def _step(self, kind: int, payload: bytes) -> bytes:
        if self._hello is None and kind == _Kind.HELLO:
            return self._reply(payload)
        if self._hello is not None and kind == _Kind.PROOF:
            if not hmac.compare_digest(payload, self._mac(b"dialler", self._hello, self._answer)):
                raise _refused(Refusal.WRONG_SECRET)
            self.peer = self.claimed
            return _message(_Kind.WELCOME, b"")
        raise HandshakeRefused(Refusal.STRANGER)

    def _reply(self, hello: bytes) -> bytes:
        cluster, self.claimed = _names_in(hello, 2)
        if cluster != self._cluster:
            raise _refused(Refusal.WRONG_CLUSTER)
        if self.claimed == self._me:
            raise _refused(Refusal.ITSELF)
        self._hello = hello
        return _message(_Kind.ANSWER, self._answer + self._mac(b"acceptor", hello, self._answer))


def _message(kind: _Kind, payload: bytes) -> bytes:
    return _PREFIX.pack(MAGIC, PROTOCOL_VERSION, kind, len(payload)) + payload


def _refused(reason: Refusal) -> HandshakeRefused:
    """A refusal that the other side is told: it has shown that it speaks our protocol."""
    return HandshakeRefused(reason, reply=_message(_Kind.REFUSED, bytes([reason])))


def _take(received: bytearray) -> tuple[int, bytes] | None:
    """The message that ``received`` is, None while it is a part of one; refuses as soon as it cannot become one."""
    if not received.startswith(MAGIC[: len(received)]):
        raise HandshakeRefused(Refusal.STRANGER)
    if len(received) < _PREFIX.size:
        return None
    _, version, kind, length = _PREFIX.unpack_from(received)
    if kind == _Kind.REFUSED and length != 1:
        raise HandshakeRefused(Refusal.STRANGER)
    if version != PROTOCOL_VERSION and kind != _Kind.REFUSED:
        raise _refused(Refusal.WRONG_VERSION)
    size = _PREFIX.size + length
    if size > MESSAGE_BYTES_MAX or len(received) > size:
        raise HandshakeRefused(Refusal.STRANGER)
    return (kind, bytes(received[_PREFIX.size :])) if len(received) == size else None


def _reason_in(payload: bytes) -> Refusal:
    try:
        return Refusal(payload[0])
    except ValueError:
        return Refusal.STRANGER


def _pack_party(nonce: bytes, *names: str) -> bytes:
    packed = [nonce]
    for name in names:
        data = name.encode()
        assert _is_name(data), f"not a cluster id or an identity that can travel: {name!r}"
        packed += [bytes([len(data)]), data]
    return b"".join(packed)


def _names_in(payload: bytes, count: int) -> list[str]:
    """The names that ``_pack_party`` put behind a nonce; anything else is a stranger's."""
    names: list[str] = []
    offset = NONCE_BYTES
    for _ in range(count):
        size = payload[offset] if offset < len(payload) else 0
        data = payload[offset + 1 : offset + 1 + size]
        if len(data) != size or not _is_name(data):
            raise HandshakeRefused(Refusal.STRANGER)
        names.append(data.decode())
        offset += 1 + size
    if offset != len(payload):
        raise HandshakeRefused(Refusal.STRANGER)
    return names


def _is_name(data: bytes) -> bool:
    """Printable ASCII, so that it can stand in logs as it is."""
    return 0 < len(data) <= NAME_BYTES_MAX and data.isascii() and data.decode().isprintable()
