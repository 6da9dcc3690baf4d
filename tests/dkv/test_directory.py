"""Who is who, and where: rows, gossip, hints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dkv.directory import Directory, HintsFile, checked, key_of, load_hints, members_in, name_in, save_hints
from dkv.errors import BadRequest
from dkv.joining import MemberInfo
from dkv.kv.commands import Row
from tests.dkv.membership_stage import N1, N2, N3, N4


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"identity": "n4"}, "no identity"),
        ({"identity": "n5.0000000a"}, "no identity"),
        ({"identity": "n4.xyz"}, "no identity"),
        ({"name": "n 4", "identity": "n 4.0000000a"}, "no identity"),
        ({"rest": "30004"}, "HOST:PORT"),
        ({"raft": "127.0.0.1:0"}, "port 0"),
    ],
)
def test_bad_rows(changes: dict[str, str], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        checked(MemberInfo(**{field: getattr(N4, field) for field in ("identity", "name", "rest", "raft")} | changes))


def test_hints_serve_until_the_rows_are_complete() -> None:
    directory = Directory(N1, [N2, N3])
    assert [info.name for info in directory.members()] == ["n2", "n3"]
    moved = MemberInfo(N2.identity, N2.name, "127.0.0.1:1", "127.0.0.1:2")
    directory.follow([moved], complete=False)
    assert directory.members() == [moved, N3]
    hint = directory.hint(N3.identity)
    assert hint is not None
    assert hint.rest == N3.rest
    directory.follow([moved], complete=True)
    assert directory.members() == [moved]
    assert directory.hint(N3.identity) is None
    assert directory.find(N1.identity) == N1
    assert directory.hint(None) is None


def test_gossip_knows_best_where_and_the_rows_who() -> None:
    directory = Directory(N1, [N2, N3])
    moved = MemberInfo(N2.identity, N2.name, "127.0.0.1:1", "127.0.0.1:2")
    assert directory.hear([N1, moved, N4])
    assert not directory.hear([moved, N4])
    assert directory.members() == [moved, N3, N4], "nobody has told yet who belongs"
    assert directory.hear([])
    assert directory.members() == [moved, N3, N4], "it is where it was, until there is a row"
    assert directory.hear([moved, N4])
    directory.follow([N1, N2, N3], complete=False)
    assert directory.members() == [N1, moved, N3, N4]
    directory.follow([N1, N2, N3], complete=True)
    assert directory.members() == [N1, moved, N3]
    assert directory.find(N2.identity) == moved
    assert directory.find(N4.identity) is None
    assert directory.row(N2.identity) == N2
    hint = directory.hint(N2.identity)
    assert hint is not None
    assert hint.rest == moved.rest
    assert directory.hear([])
    assert directory.members() == [N1, N2, N3]
    hint = directory.hint(N2.identity)
    assert hint is not None
    assert hint.rest == N2.rest


def test_rows_that_are_no_members_are_ignored() -> None:
    value = '{"identity":"n1.0000000a","name":"n1","rest":"127.0.0.1:30001","raft":"127.0.0.1:50001"}'
    assert members_in({key_of(N1.identity): Row(value, 1), "\x00other": Row("1", 1)}) == [N1]


def test_hints_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "members.json"
    assert load_hints(path) == []
    save_hints(path, [N1, N2])
    assert load_hints(path) == [N1, N2]
    path.write_text("{")
    assert load_hints(path) == []


def test_an_empty_directory_leaves_the_hints_alone(tmp_path: Path) -> None:
    """A founder stopped before its own row is there must find its former ports again."""
    begun: list[object] = []
    HintsFile(tmp_path / "members.json", lambda work, done: begun.append(work)).remember([])
    assert begun == []


def test_hints_are_written_one_at_a_time_and_the_last_ones_win(tmp_path: Path) -> None:
    begun: list[tuple[Any, Any]] = []
    file = HintsFile(tmp_path / "members.json", lambda work, done: begun.append((work, done)))
    for members in ([N1], [N1, N2], [N1, N3]):
        file.remember(members)
    while begun:
        assert len(begun) == 1
        work, done = begun.pop()
        done(work())
    assert load_hints(tmp_path / "members.json") == [N1, N3]
    file.remember([N2])
    begun.pop()[1](OSError("full"))
    with pytest.raises(ValueError, match="bug"):
        file.remember([N2]) or begun.pop()[1](ValueError("bug"))


def test_names_in_identities() -> None:
    assert [name_in(identity) for identity in ("n1.0000000a", "n1")] == ["n1", "n1"]
