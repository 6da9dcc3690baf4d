"""Points: counted, armed from now on, deadly once, and named."""

import os
import signal
import subprocess
import sys

import pytest

from dkv.faults.points import POINTS, Points, with_apply_points
from dkv.kv.state_machine import KeyValue


@pytest.fixture
def deaths():
    return []


@pytest.fixture
def points(deaths):
    return Points(kill=lambda: deaths.append("killed"))


def test_there_is_a_sentence_for_each_of_them():
    rooms = {name.partition(".")[0] for name in POINTS}
    assert rooms == {"fsync", "append", "vote", "trim", "checkpoint", "snapshot", "send", "answer", "apply"}
    assert all(sentence.endswith(".") and len(sentence) > 20 for sentence in POINTS.values())


def test_it_kills_at_the_kth_passage_from_now_and_only_there(points, deaths):
    points.hit("fsync")
    points.arm({"fsync": {"kill_at": 2}})
    points.hit("fsync")
    points.hit("send.before")
    assert deaths == []
    points.hit("fsync")
    assert deaths == ["killed"]
    points.hit("fsync")
    assert deaths == ["killed"]
    assert points.hits() == {**dict.fromkeys(POINTS, 0), "fsync": 4, "send.before": 1}


def test_arming_replaces_what_was_armed(points, deaths):
    points.arm({"fsync": {"kill_at": 1}, "vote.after_commit": {"kill_at": 3}})
    assert points.status() == {"fsync": {"kill_at": 1}, "vote.after_commit": {"kill_at": 3}}
    points.arm({"trim.after_commit": {"kill_at": 1}})
    points.hit("fsync")
    points.arm({})
    points.hit("trim.after_commit")
    assert deaths == []
    assert points.status() == {}


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        ({"fsnyc": {"kill_at": 1}}, r"no point 'fsnyc'; known are: fsync, append\.before_commit, .*apply\.after"),
        ({"fsync": {"kill_at": 0}}, r"fsync: say \{\"kill_at\": k\}"),
        ({"fsync": {"kill_at": True}}, "fsync: say"),
        ({"fsync": {"kill_at": 1.5}}, "fsync: say"),
        ({"fsync": {"kill_at": 1, "twice": True}}, "fsync: say"),
        ({"fsync": {}}, "fsync: say"),
        ({"fsync": 3}, "fsync: say"),
        ({"fsync": {"kill_at": 1}, "apply": {"kill_at": 1}}, "no point 'apply'"),
    ],
)
def test_an_order_that_makes_no_sense_changes_nothing(points, deaths, wanted, complaint):
    points.arm({"send.after": {"kill_at": 1}})
    with pytest.raises(ValueError, match=complaint):
        points.arm(wanted)
    assert points.status() == {"send.after": {"kill_at": 1}}


def test_no_shell_passes_an_unknown_point(points):
    with pytest.raises(AssertionError, match="no point"):
        points.hit("lunch")


def test_each_applied_entry_passes_two(points):
    machine = with_apply_points(KeyValue, points)
    assert machine.load(machine().freeze()).digest() == KeyValue().digest()
    told = []
    points.hit = told.append

    class Echo:
        def apply(self, index, payload):
            told.append(index)
            return payload

    assert with_apply_points(Echo, points)().apply(3, b"x") == b"x"
    assert told == ["apply.before", 3, "apply.after"]


def test_the_death_is_sigkill():
    script = (
        'from dkv.faults.points import Points; p = Points(); p.arm({"fsync": {"kill_at": 1}}); p.hit("fsync"); print()'
    )
    child = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, cwd=os.curdir)
    assert (child.returncode, child.stdout, child.stderr) == (-signal.SIGKILL, b"", b"")
