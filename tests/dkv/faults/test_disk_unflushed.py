"""Unflushed writes: a program sees all of them, the disk none, and afterwards both the same."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkv.faults.disk_unflushed import Unflushed


class Twin:
    """A file as plain bytes."""

    def __init__(self, content):
        self.content = bytearray(content)

    def write(self, offset, data):
        self.content.extend(bytes(max(0, offset - len(self.content))))
        self.content[offset : offset + len(data)] = data

    def truncate(self, size_bytes):
        del self.content[size_bytes:]
        self.content.extend(bytes(size_bytes - len(self.content)))

    def read(self, offset, size_bytes):
        return bytes(self.content[offset : offset + size_bytes])


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ([], b"abcdef"),
        ([("write", 2, b"XY")], b"abXYef"),
        ([("write", 5, b"XY")], b"abcdeXY"),
        ([("write", 8, b"X")], b"abcdef\0\0X"),
        ([("truncate", 3)], b"abc"),
        ([("truncate", 3), ("write", 4, b"X")], b"abc\0X"),
        ([("write", 4, b"XYZ"), ("truncate", 5), ("truncate", 8)], b"abcdX\0\0\0"),
        ([("write", 0, b"XXX"), ("write", 1, b"y")], b"XyXdef"),
    ],
)
def test_a_program_sees_what_it_wrote(changes, seen):
    disk = Twin(b"abcdef")
    unflushed = Unflushed(6)
    for verb, *arguments in changes:
        getattr(unflushed, verb)(*arguments)
    assert unflushed.read(0, 100, disk.read) == seen
    assert unflushed.size_bytes == len(seen)
    assert bytes(disk.content) == b"abcdef"
    unflushed.replay(disk.write, disk.truncate)
    assert bytes(disk.content) == seen


CHANGES = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 60), st.binary(min_size=1, max_size=30), st.integers(0, 30)),
    st.tuples(st.just("truncate"), st.integers(0, 60)),
)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(base=st.binary(max_size=40), changes=st.lists(CHANGES, max_size=12), read=st.tuples(*[st.integers(0, 80)] * 2))
def test_torn_writes_beneath_do_not_show_and_do_not_stay(base, changes, read):
    disk, twin, unflushed = Twin(base), Twin(base), Unflushed(len(base))
    for verb, *arguments in changes:
        if verb == "write":
            offset, data, torn_bytes = arguments
            twin.write(offset, data)
            unflushed.write(offset, data)
            disk.write(offset, data[:torn_bytes])
        else:
            twin.truncate(*arguments)
            unflushed.truncate(*arguments)
        assert unflushed.read(*read, disk.read) == twin.read(*read)
        assert unflushed.size_bytes == len(twin.content)
    unflushed.replay(disk.write, disk.truncate)
    assert disk.content == twin.content
