"""Ports are kept, and nothing depends on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dkv.errors import StartupError
from dkv.ports import Ports, listen_again, load_ports, save_ports


def test_ports_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    assert load_ports(path) == Ports()
    save_ports(path, Ports(1, 2, 3))
    assert load_ports(path) == Ports(1, 2, 3)
    for damaged in ("{", '{"rest": 70000}', "[]"):
        path.write_text(damaged)
        assert load_ports(path) == Ports()


def test_a_disk_that_takes_nothing_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "ports.part").mkdir()
    save_ports(tmp_path / "ports.json", Ports(1, 2, 3))
    assert load_ports(tmp_path / "ports.json") == Ports()


@pytest.mark.parametrize(
    ("wanted", "before", "taken", "got"),
    [
        (0, 0, set(), 0),
        (0, 7, set(), 7),
        (0, 7, {7}, 0),
        (8, 7, set(), 8),
        (8, 7, {8}, None),
    ],
)
def test_who_was_given_no_port_keeps_the_one_it_had(wanted: int, before: int, taken: set[int], got: int | None) -> None:
    def listen(port: int) -> int:
        if port in taken:
            raise StartupError("taken")
        return port

    if got is None:
        with pytest.raises(StartupError):
            listen_again(wanted, before, listen)
    else:
        assert listen_again(wanted, before, listen) == got
