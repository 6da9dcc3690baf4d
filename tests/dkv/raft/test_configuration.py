"""The canonical bytes of a change of voters, against pickle itself, and what changes add up to."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pysyncobj import pickle as library_pickle

from dkv.raft.configuration import decode_change, encode_change, fold, is_change, voters_at
from dkv.raft.contracts import GENESIS, NO_OP, Entry

A, B, C = "a.00000001", "b.00000002", "c.00000003"
NODES = st.from_regex(r"[A-Za-z0-9_-]{1,64}\.[0-9a-f]{8}", fullmatch=True)


@given(op=st.sampled_from(["add", "rem"]), node=NODES)
def test_these_are_the_bytes_that_pickle_writes_and_reads(op, node):
    command = encode_change(op, node)
    assert command == b"\x02" + pickle.dumps([op, node], 2) == b"\x02" + library_pickle.dumps([op, node])
    assert pickle.loads(command[1:]) == [op, node]
    assert decode_change(command) == (op, node)
    assert is_change(command)


@given(node=NODES, data=st.data())
def test_no_other_bytes_are_taken_for_a_change(node, data):
    command = encode_change("add", node)
    position = data.draw(st.integers(0, len(command) - 1))
    byte = data.draw(st.integers(0, 255))
    damaged = command[:position] + bytes([byte]) + command[position + 1 :]
    try:
        op, found = decode_change(damaged)
    except ValueError:
        return
    assert encode_change(op, found) == damaged


@pytest.mark.parametrize(
    "command",
    [
        b"",
        b"\x02",
        NO_OP,
        b"\x00payload",
        b"\x02" + pickle.dumps(["add", A], 4),
        b"\x02" + pickle.dumps(["add", A], 0),
        b"\x02" + pickle.dumps(["add", A, None], 2),
        b"\x02" + pickle.dumps(["set", A], 2),
        b"\x02" + pickle.dumps(["add", "n1"], 2),
        b"\x02" + pickle.dumps(["add", "n\xe9.00000001"], 2),
        b"\x02" + pickle.dumps(["add", A + "\n"], 2),
        b"\x02cos\nsystem\n(S'true'\ntR.",
        encode_change("add", A) + b".",
        encode_change("add", A)[:-1],
        b"\x00" + encode_change("add", A)[1:],
        encode_change("add", A).replace(b"\x0a\x00\x00\x00", b"\x0b\x00\x00\x00"),
    ],
)
def test_anything_but_the_canonical_encoding_is_refused(command):
    with pytest.raises(ValueError, match="not a canonical change"):
        decode_change(command)


@pytest.mark.parametrize(
    ("op", "node"),
    [
        ("set", A),
        ("add", "n1"),
        ("add", "n1.0000000G"),
        ("add", "n" * 65 + ".00000001"),
        ("add", A + "\n"),
        ("add", ""),
    ],
)
def test_what_cannot_be_a_change_is_not_encoded(op, node):
    with pytest.raises(ValueError, match="not a change"):
        encode_change(op, node)


def changes(*pairs, first_index=2):
    return [Entry(encode_change(op, node), index, 1) for index, (op, node) in enumerate(pairs, first_index)]


@pytest.mark.parametrize(
    ("base", "pairs", "voters"),
    [
        ((), [], ()),
        ((A,), [], (A,)),
        ((A,), [("add", B), ("add", C)], (A, B, C)),
        ((A, B, C), [("rem", A)], (B, C)),
        ((A, B), [("rem", A), ("add", A)], (B, A)),
        ((A, B), [("add", B), ("rem", C)], (A, B)),
    ],
)
def test_the_voters_are_the_sum_of_the_changes(base, pairs, voters):
    entries = [*GENESIS, *changes(*pairs), Entry(b"\x00x", 99, 1)]
    assert fold(base, entries) == voters


@given(st.lists(st.tuples(st.sampled_from(["add", "rem"]), st.sampled_from([A, B, C])), max_size=12), st.data())
def test_repeating_the_last_changes_changes_no_voter(pairs, data):
    entries = changes(*pairs)
    after = fold((A,), entries)
    repeated = data.draw(st.integers(0, len(entries)))
    assert set(fold(after, entries[repeated:])) == set(after)


def test_voters_at_an_index_ignore_what_comes_later():
    entries = [*GENESIS, *changes(("add", B), ("add", C), ("rem", A))]
    assert [voters_at((A,), entries, index) for index in (0, 1, 2, 3, 4)] == [
        (A,), (A,), (A, B), (A, B, C), (B, C),
    ]  # fmt: skip
