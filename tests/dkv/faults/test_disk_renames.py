"""Pending renames: seen by the program, unknown to the disk, done in order."""

from pathlib import Path

from dkv.faults.disk_renames import Renames

D, E = Path("/d"), Path("/e")


def test_a_rename_is_seen_and_not_done():
    renames = Renames()
    renames.add(D / "part", D / "file")
    assert renames.on_disk(D / "file") == D / "part"
    assert renames.on_disk(D / "part") is None
    assert renames.on_disk(D / "other") == D / "other"
    assert renames.seen(D, ["part", "other"]) == ["file", "other"]
    assert renames.seen(E, ["part"]) == ["part"]
    assert renames.directories() == [D]
    assert renames.take_into(E) == []
    assert renames.take_into(D) == [(D / "part", D / "file")]
    assert renames.on_disk(D / "part") == D / "part"
    assert renames.directories() == []


def test_a_chain_is_followed_and_done_in_order():
    renames = Renames()
    renames.add(D / "a", D / "b")
    renames.add(D / "x", D / "y")
    renames.add(D / "b", D / "c")
    assert renames.on_disk(D / "c") == D / "a"
    assert renames.on_disk(D / "b") is None
    assert renames.seen(D, ["a", "x"]) == ["c", "y"]
    assert renames.take_of(D / "c") == [(D / "a", D / "b"), (D / "b", D / "c")]
    assert renames.take_into(D) == [(D / "x", D / "y")]


def test_a_name_may_be_taken_again():
    renames = Renames()
    renames.add(D / "old", D / "kept")
    renames.add(D / "new", D / "kept")
    assert renames.on_disk(D / "kept") == D / "new"
    assert renames.take_of(D / "new") == [(D / "old", D / "kept"), (D / "new", D / "kept")]
