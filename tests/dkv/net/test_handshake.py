"""The handshake: who gets in, who is told why not, and who hears nothing."""

import pickle
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkv.net.handshake import (
    MAGIC,
    MESSAGE_BYTES_MAX,
    NONCE_BYTES,
    PROTOCOL_VERSION,
    Acceptor,
    Dialler,
    HandshakeRefused,
    Refusal,
)

N1, N2, N3 = "n1.00000001", "n2.00000002", "n3.00000003"
SECRET = b"s" * 32


def dialler(
    cluster: str = "c1", secret: bytes | None = SECRET, me: str = N1, expected: str = N2, nonce: int = 1
) -> Dialler:
    return Dialler(cluster, secret, me, bytes([nonce]) * NONCE_BYTES, expected=expected)


def acceptor(cluster: str = "c1", secret: bytes | None = SECRET, me: str = N2, nonce: int = 2) -> Acceptor:
    return Acceptor(cluster, secret, me, bytes([nonce]) * NONCE_BYTES)


def converse(one: Dialler, other: Acceptor, cut: Callable[[bytes], list[bytes]] = lambda data: [data]) -> None:
    """Carry bytes until nobody has any more to say; a refusal's reply is carried as well, then it is raised."""
    data, sides = one.hello(), [other, one]
    refused: HandshakeRefused | None = None
    while data:
        side, reply = sides[0], b""
        try:
            for chunk in cut(data):
                reply += side.feed(chunk)
        except HandshakeRefused as error:
            refused, reply = refused or error, reply + error.reply
        data = reply
        sides.reverse()
    if refused is not None:
        raise refused


@pytest.mark.parametrize("secret", [SECRET, b"k", None])
@pytest.mark.parametrize("cut", [lambda data: [data], lambda data: [bytes([b]) for b in data]])
def test_members_find_each_other(secret: bytes | None, cut: Callable[[bytes], list[bytes]]) -> None:
    one, other = dialler(secret=secret), acceptor(secret=secret)
    converse(one, other, cut)
    assert (one.peer, other.peer) == (N2, N1)


def test_nobody_is_proven_too_early() -> None:
    one, other = dialler(), acceptor()
    answer = other.feed(one.hello())
    assert (one.peer, other.peer) == (None, None)
    proof = one.feed(answer)
    assert (one.peer, other.peer) == (None, None)
    welcome = other.feed(proof)
    assert (one.peer, other.peer) == (None, N1)
    assert one.feed(welcome) == b""
    assert one.peer == N2


REFUSALS = [
    (dialler(cluster="c2"), acceptor(), Refusal.WRONG_CLUSTER),
    (dialler(secret=b"other"), acceptor(), Refusal.WRONG_SECRET),
    (dialler(secret=None), acceptor(), Refusal.WRONG_SECRET),
    (dialler(), acceptor(secret=None), Refusal.WRONG_SECRET),
    (dialler(expected=N3), acceptor(), Refusal.WRONG_NODE),
    (dialler(me=N2, expected=N3), acceptor(), Refusal.ITSELF),
]


@pytest.mark.parametrize(("one", "other", "reason"), REFUSALS)
def test_refusals_are_told_to_both(one: Dialler, other: Acceptor, reason: Refusal) -> None:
    reasons: list[tuple[Refusal, bool]] = []
    data, sides = one.hello(), [other, one]
    while data:
        try:
            data = sides[0].feed(data)
        except HandshakeRefused as refused:
            reasons.append((refused.reason, refused.by_peer))
            data = refused.reply
        sides.reverse()
    assert reasons == [(reason, False), (reason, True)]
    assert (one.peer, other.peer) == (None, None)


def test_another_version_is_told_which_one_would_do() -> None:
    hello = bytearray(dialler().hello())
    hello[len(MAGIC)] = PROTOCOL_VERSION + 1
    with pytest.raises(HandshakeRefused) as refused:
        acceptor().feed(bytes(hello[:8]))
    assert refused.value.reason is Refusal.WRONG_VERSION
    reply = bytearray(refused.value.reply)
    reply[len(MAGIC)] = PROTOCOL_VERSION + 7  # a refusal is understood whatever version sends it
    with pytest.raises(HandshakeRefused) as told:
        dialler().feed(bytes(reply))
    assert (told.value.reason, told.value.by_peer) == (Refusal.WRONG_VERSION, True)


STRANGERS = [
    b"\0",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    pickle.dumps({"a": 1}),
    b"\x00\x00\x00\x08\x80\x04\x95",
    MAGIC[:2] + b"no",
    MAGIC + bytes([PROTOCOL_VERSION, 1, 255, 255]),
    MAGIC + bytes([PROTOCOL_VERSION, 9, 0, 0]),
    MAGIC + bytes([PROTOCOL_VERSION, 3, 0, 0]),
    MAGIC + bytes([PROTOCOL_VERSION, 4, 0, 0]),
    MAGIC + bytes([PROTOCOL_VERSION, 5, 0, 0]),
    MAGIC + bytes([PROTOCOL_VERSION, 1, 0, 0]),
    MAGIC + bytes([PROTOCOL_VERSION, 1, 0, 40]) + bytes(40),
    dialler().hello() + b"more",
    b"\0" * 24_000_000,
]


@pytest.mark.parametrize("data", STRANGERS, ids=range(len(STRANGERS)))
@pytest.mark.parametrize("side", [acceptor, dialler])
def test_a_stranger_gets_no_answer(side: Callable[[], Acceptor | Dialler], data: bytes) -> None:
    with pytest.raises(HandshakeRefused) as refused:
        side().feed(data)
    assert refused.value.reason is Refusal.STRANGER
    assert refused.value.reply == b""


def test_a_stranger_is_known_by_its_first_wrong_byte() -> None:
    with pytest.raises(HandshakeRefused):
        acceptor().feed(MAGIC[:3] + b"x")


@pytest.mark.parametrize("name", [b"", b"a\nb", b"\xc3\xa4", b"x" * 129])
def test_a_name_that_could_not_stand_in_a_log_is_a_strangers(name: bytes) -> None:
    payload = bytes(NONCE_BYTES) + b"\x02c1" + bytes([len(name)]) + name
    with pytest.raises(HandshakeRefused) as refused:
        acceptor().feed(MAGIC + bytes([PROTOCOL_VERSION, 1]) + len(payload).to_bytes(2, "big") + payload)
    assert refused.value.reason is Refusal.STRANGER


def test_a_reflected_mac_proves_nothing() -> None:
    """Somebody without the secret answers an acceptor with the acceptor's own MAC."""
    other = acceptor()
    answer = other.feed(dialler().hello())
    proof = MAGIC + bytes([PROTOCOL_VERSION, 3, 0, 32]) + answer[-32:]
    with pytest.raises(HandshakeRefused) as refused:
        other.feed(proof)
    assert refused.value.reason is Refusal.WRONG_SECRET


def test_a_reflected_hello_is_refused() -> None:
    """Somebody without the secret sends a node's own hello back to it: to its door, or as an answer."""
    one = dialler(me=N1)
    with pytest.raises(HandshakeRefused) as refused:
        acceptor(me=N1).feed(one.hello())
    assert refused.value.reason is Refusal.ITSELF
    with pytest.raises(HandshakeRefused):
        one.feed(one.hello())


def test_an_answer_fetched_from_another_node_is_refused() -> None:
    """A relay without the secret passes n1's call for n2 on to n3."""
    one = dialler(expected=N2)
    with pytest.raises(HandshakeRefused) as refused:
        one.feed(acceptor(me=N3).feed(one.hello()))
    assert refused.value.reason is Refusal.WRONG_NODE


def test_a_recorded_conversation_does_not_open_the_door_again() -> None:
    one, first, second = dialler(nonce=1), acceptor(nonce=2), acceptor(nonce=3)
    proof = one.feed(first.feed(one.hello()))
    second.feed(one.hello())
    with pytest.raises(HandshakeRefused) as refused:
        second.feed(proof)
    assert refused.value.reason is Refusal.WRONG_SECRET


@given(st.lists(st.binary(max_size=700)))
def test_noise_is_bounded_and_never_gets_in(chunks: list[bytes]) -> None:
    for prefix in (b"", MAGIC, MAGIC + bytes([PROTOCOL_VERSION, 1, 1, 0])):
        side, replies = acceptor(), [b""]
        try:
            for chunk in [prefix, *chunks]:
                side.feed(chunk)
                assert len(side._received) <= MESSAGE_BYTES_MAX
        except HandshakeRefused as refused:
            replies.append(refused.reply)
        assert len(replies[-1]) < 16
        assert side.peer is None


@given(st.integers(0, 2), st.integers(0, 1000), st.integers(1, 255))
def test_no_byte_of_a_proof_can_be_changed(message: int, position: int, flip: int) -> None:
    one, other = dialler(), acceptor()
    carried = 0

    def tamper(data: bytes) -> list[bytes]:
        nonlocal carried
        changed = bytearray(data)
        if carried == message:
            changed[position % len(data)] ^= flip
        carried += 1
        return [bytes(changed)]

    try:
        converse(one, other, tamper)
    except HandshakeRefused:
        pass
    assert carried > message
    assert (one.peer, other.peer) == (None, None)
