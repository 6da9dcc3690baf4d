"""Which ends are crashes, which lines are bad ones, and what a fault excuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.systems import crashes
from harness.systems.crashes import Armed, Life

TRACEBACK = 'Traceback (most recent call last):\n  File "x.py"\nAssertionError: two leaders in term 3\n'


def ended(node: str, **fields: Any) -> str:
    event = {"event": "ended", "node": node, "exit_code": 0, "asked": "start", "log_start": 0, "log_end": 10, **fields}
    return json.dumps(event)


def test_lives_are_read_from_the_supervisors_log() -> None:
    log = "\n".join(
        [
            json.dumps({"event": "started", "node": "n1"}),
            "garbage",
            ended("n1", exit_code=-9, asked="kill"),
            ended("n2"),
        ]
    )
    assert crashes.lives(log) == [Life("n1", 0, 10, -9, "kill"), Life("n2", 0, 10, 0, "start")]


def test_the_living_go_on_where_their_last_life_ended() -> None:
    over = [Life("n1", 0, 10, -9, "kill"), Life("n1", 10, 30, 0, "stop")]
    assert crashes.with_the_living(over, ["n1", "n2"])[2:] == [Life("n1", 30), Life("n2", 0)]


@pytest.mark.parametrize(
    ("exit_code", "asked", "by", "expected"),
    [
        (0, "start", None, []),
        (-9, "kill", None, []),
        (1, "kill", None, []),
        (0, "stop", None, []),
        (-15, "stop", None, []),
        (-9, "stop", None, []),
        (70, "stop", None, ["n1 ended with exit code 70 when it was asked to stop"]),
        (70, "start", None, ["n1 ended with exit code 70 by itself"]),
        (70, "start", "disk", []),
        (70, "start", "points", ["n1 ended with exit code 70 by itself"]),
        (-9, "start", None, ["n1 ended by signal 9 by itself"]),
        (-9, "start", "points", []),
        (-9, "start", "disk", ["n1 ended by signal 9 by itself"]),
        (-11, "start", "points", ["n1 ended by signal 11 by itself"]),
        (2, "start", "disk", ["n1 ended with exit code 2 by itself"]),
    ],
)
def test_how_a_life_ended(exit_code: int, asked: str, by: str | None, expected: list[str]) -> None:
    armed = [Armed("n1", 5, by)] if by else []
    life = Life("n1", 0, 10, exit_code, asked)
    assert list(crashes.sentences(life, b"", armed, crashes.dkv_sign)) == expected


@pytest.mark.parametrize("armed", [Armed("n2", 5, "points"), Armed("n1", 11, "points")])
def test_only_this_life_of_this_node_is_excused(armed: Armed) -> None:
    life = Life("n1", 0, 10, -9, "start")
    assert list(crashes.sentences(life, b"", [armed], crashes.dkv_sign)) == ["n1 ended by signal 9 by itself"]


def test_each_life_answers_for_its_own_lines() -> None:
    first, second = b'{"event": "ready"}\n', b"dkv: this node is broken and stops: term\n"
    lives = [Life("n1", 0, len(first), -9, "kill"), Life("n1", len(first), None)]
    told = [list(crashes.sentences(life, first + second, [], crashes.dkv_sign)) for life in lives]
    assert told == [[], ["n1 logged: dkv: this node is broken and stops: term"]]


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("dkv: this node is broken and stops: EIO\nTraceback (most recent call last):\nOSError: EIO\n", []),
        (TRACEBACK, ["n1 logged: AssertionError: two leaders in term 3"]),
    ],
)
def test_a_failing_disk_excuses_all_but_assertions(log: str, expected: list[str]) -> None:
    life = Life("n1", 0, len(log), 70, "start")
    assert list(crashes.sentences(life, log.encode(), [Armed("n1", 0, "disk")], crashes.dkv_sign)) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"level": "info", "event": "ready"}', None),
        ('{"level": "warning", "event": "the disk is slow"}', None),
        (
            '{"level": "error", "event": "unhandled: x", "traceback": "a\\nValueError: 3"}',
            "unhandled: x: ValueError: 3",
        ),
        ('{"level": "critical", "event": "broken invariant"}', "broken invariant"),
        ("dkv: this node is broken and stops: x", "dkv: this node is broken and stops: x"),
        ("AssertionError: x", "AssertionError: x"),
        ("dkv: --rest is taken", None),
        ("", None),
        ("[1]", None),
    ],
)
def test_lines_of_dkv(line: str, expected: str | None) -> None:
    assert crashes.dkv_sign(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"level":"warn","msg":"apply request took too long"}', None),
        ('{"level":"error","msg":"failed to publish"}', None),
        ('{"level":"fatal","msg":"failed to recover"}', "failed to recover"),
        ('{"level":"panic","msg":"tocommit(5) is out of range"}', "tocommit(5) is out of range"),
        ("panic: runtime error", "panic: runtime error"),
        ("fatal error: all goroutines are asleep", "fatal error: all goroutines are asleep"),
        ("goroutine 1 [running]:", None),
    ],
)
def test_lines_of_etcd(line: str, expected: str | None) -> None:
    assert crashes.etcd_sign(line) == expected
