"""Every rule of every command, one table each: what came before, the command, its result and what it leaves."""

from __future__ import annotations

import gc
import sys

import pytest

from dkv.errors import FatalError
from dkv.kv import answered
from dkv.kv.commands import Batch, Code, Command, Op, Result, Row, encode_batch
from dkv.kv.state_machine import SWEEP_ROWS_MAX, KeyValue

OK, NOT_FOUND, MISMATCH, REUSED = Code.OK, Code.NOT_FOUND, Code.CAS_MISMATCH, Code.ID_REUSED


def apply(machine: KeyValue, *commands: Command, time_ms: int = 0) -> list[Result]:
    index = machine.applied_index + 1
    results = machine.apply(index, encode_batch(Batch(time_ms, list(commands))))
    assert machine.applied_index == index
    assert machine.digest() == machine.recompute_digest()
    return results


def set_(key: str, value: str = "v", cas: int = -1, ttl_ms: int = 0, id: str = "") -> Command:
    return Command(Op.SET, key, value, cas, ttl_ms, id)


def delete(key: str, cas: int = -1, id: str = "") -> Command:
    return Command(Op.DELETE, key, cas=cas, id=id)


def get(key: str, id: str = "") -> Command:
    return Command(Op.GET, key, id=id)


OLD = Row("old", 1)


@pytest.mark.parametrize(
    ("exists", "command", "result", "row"),
    [
        (False, set_("k"), Result(OK, 2, False), Row("v", 2)),
        (True, set_("k"), Result(OK, 2, True), Row("v", 2)),
        (True, set_("k", ""), Result(OK, 2, True), Row("", 2)),
        (False, set_("k", cas=0), Result(OK, 2, False), Row("v", 2)),
        (True, set_("k", cas=0), Result(MISMATCH, 1, True), OLD),
        (True, set_("k", cas=1), Result(OK, 2, True), Row("v", 2)),
        (True, set_("k", cas=7), Result(MISMATCH, 1, True), OLD),
        (False, set_("k", cas=7), Result(MISMATCH, 0, False), None),
        (False, set_("k", ttl_ms=5), Result(OK, 2, False), Row("v", 2, 105)),
        (False, delete("k"), Result(NOT_FOUND, 0, False), None),
        (True, delete("k"), Result(OK, 2, True), None),
        (True, delete("k", cas=1), Result(OK, 2, True), None),
        (True, delete("k", cas=7), Result(MISMATCH, 1, True), OLD),
        (True, delete("k", cas=0), Result(MISMATCH, 1, True), OLD),
        (False, delete("k", cas=0), Result(NOT_FOUND, 0, False), None),
        (False, delete("k", cas=7), Result(MISMATCH, 0, False), None),
        (True, get("k"), Result(OK, 1, True, "old"), OLD),
        (False, get("k"), Result(NOT_FOUND, 0, False), None),
        (True, Command(Op.CLOCK), Result(OK, 0, False), OLD),
    ],
)
def test_one_command(exists: bool, command: Command, result: Result, row: Row | None) -> None:
    machine = KeyValue()
    apply(machine, set_("k" if exists else "other", "old"), time_ms=100)
    assert apply(machine, command) == [result]
    assert machine.get("k") == row
    assert machine.count == (row is not None) + (not exists)


def test_commands_of_a_batch_see_the_earlier_ones() -> None:
    machine = KeyValue()
    results = apply(machine, get("k"), set_("k", "1"), get("k"), set_("k", "2", cas=1), delete("k"), get("k"))
    assert [(result.code, result.value) for result in results] == [
        (NOT_FOUND, ""),
        (OK, ""),
        (OK, "1"),
        (OK, ""),
        (OK, ""),
        (NOT_FOUND, ""),
    ]
    assert machine.count == machine.size_bytes == 0


def test_system_keys_are_apart() -> None:
    machine = KeyValue()
    before = machine.digest()
    apply(machine, set_("\x00member/n1", "host"), set_("k"))
    assert machine.count == 1
    assert dict(machine.system) == {"\x00member/n1": Row("host", 1)}
    assert machine.get("\x00member/n1") == Row("host", 1)
    apply(machine, delete("k"))
    assert machine.digest() != before
    apply(machine, delete("\x00member/n1"))
    assert machine.digest() == before


# Time


def test_the_clock_never_goes_back() -> None:
    machine = KeyValue()
    apply(machine, set_("k"), time_ms=50)
    apply(machine, set_("t", ttl_ms=10), time_ms=20)
    assert machine.clock_ms == 50
    assert machine.get("t") == Row("v", 2, 60)


@pytest.mark.parametrize(
    ("command", "result"),
    [
        (get("k"), Result(NOT_FOUND, 0, False)),
        (set_("k", "new", cas=0), Result(OK, 2, False)),
        (set_("k", "new", cas=1), Result(MISMATCH, 0, False)),
        (delete("k"), Result(NOT_FOUND, 0, False)),
        (delete("k", cas=1), Result(MISMATCH, 0, False)),
    ],
)
@pytest.mark.parametrize("late_ms", [0, 1, 1000])
def test_an_expired_key_is_absent_whether_removed_or_not(command: Command, result: Result, late_ms: int) -> None:
    machine = KeyValue()
    apply(machine, set_("k", ttl_ms=10), time_ms=100)
    assert apply(machine, command, time_ms=110 + late_ms) == [result]
    assert machine.get("k") == (Row("new", 2) if result.code is OK else None)
    apply(machine, Command(Op.CLOCK), time_ms=10_000)
    assert machine.count == (result.code is OK)


def test_a_key_lives_until_its_last_millisecond() -> None:
    machine = KeyValue()
    apply(machine, set_("k", ttl_ms=10), time_ms=100)
    assert apply(machine, get("k"), time_ms=109)[0].code is OK
    apply(machine, set_("k", "again", ttl_ms=5))
    assert machine.get("k") == Row("again", 3, 114)
    apply(machine, set_("k", "for ever"))
    assert machine.next_expiry_ms() is None
    apply(machine, Command(Op.CLOCK), time_ms=10_000)
    assert machine.get("k") == Row("for ever", 4)


def test_removal_is_bounded_and_the_timer_asks_for_more() -> None:
    machine = KeyValue()
    rows = 2 * SWEEP_ROWS_MAX + 1
    apply(machine, *(set_(f"k{number}", ttl_ms=10) for number in range(rows)))
    counts = []
    while (due_ms := machine.next_expiry_ms()) is not None:
        apply(machine, Command(Op.CLOCK), time_ms=due_ms)
        assert machine.get("k0") is None
        counts.append(machine.count)
    assert counts == [SWEEP_ROWS_MAX + 1, 1, 0]


# Ids


def test_a_repeated_id_gets_the_first_answer_and_has_no_effect() -> None:
    machine = KeyValue()
    first = apply(machine, set_("k", "1", cas=0, id="a"), delete("x", id="b"))
    apply(machine, set_("k", "2"), set_("x", "2"))
    assert apply(machine, set_("k", "1", cas=0, id="a"), delete("x", id="b")) == first
    assert machine.get("k") == machine.get("x") == Row("2", 2)
    assert machine.ids_count == 2


def test_a_failure_is_an_answer_too() -> None:
    machine = KeyValue()
    apply(machine, set_("k"))
    assert apply(machine, set_("k", "2", cas=9, id="a")) == [Result(MISMATCH, 1, True)]
    apply(machine, set_("k"), delete("k"))
    assert apply(machine, set_("k", "2", cas=9, id="a")) == [Result(MISMATCH, 1, True)]


def test_an_id_repeated_within_one_batch() -> None:
    machine = KeyValue()
    results = apply(machine, set_("k", "1", id="a"), set_("k", "1", id="a"), set_("k", "2", id="a"))
    assert results == [Result(OK, 1, False), Result(OK, 1, False), Result(REUSED, 0, False)]
    assert machine.get("k") == Row("1", 1)


def test_another_command_under_a_known_id_is_refused() -> None:
    machine = KeyValue()
    apply(machine, set_("k", "1", id="a"))
    assert apply(machine, set_("k", "2", id="a"), delete("k", id="a")) == [Result(REUSED, 0, False)] * 2
    assert machine.get("k") == Row("1", 1)
    assert apply(machine, set_("k", "1", id="a")) == [Result(OK, 1, False)]


def test_reads_need_no_id() -> None:
    machine = KeyValue()
    apply(machine, get("k", id="a"), Command(Op.CLOCK, id="a"))
    assert machine.ids_count == 0
    assert apply(machine, set_("k", id="a"), get("k", id="a")) == [
        Result(OK, 2, False),
        Result(OK, 2, True, "v"),
    ]


def test_ids_are_forgotten_by_number_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answered, "IDS_MAX", 3)
    machine = KeyValue()
    for id in "abcd":
        apply(machine, set_(id, id=id))
    assert machine.ids_count == 3
    assert apply(machine, set_("b", id="b"))[0].revision == 2, "remembered"
    assert apply(machine, set_("a", id="a"))[0].revision == 6, "forgotten"


def test_ids_are_forgotten_by_age_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answered, "AGED_GROUPS_MAX", 2)
    machine = KeyValue()
    for id in "abc":
        apply(machine, set_(id, id=id), time_ms=1000)
    apply(machine, Command(Op.CLOCK), time_ms=1000 + answered.ID_AGE_MS_MAX - 1)
    assert machine.ids_count == 3
    apply(machine, Command(Op.CLOCK), time_ms=1000 + answered.ID_AGE_MS_MAX)
    assert machine.ids_count == 1
    apply(machine, Command(Op.CLOCK))
    assert machine.ids_count == 0


# The machine


def test_a_corrupted_payload_ends_the_process_and_changes_nothing() -> None:
    machine = KeyValue()
    apply(machine, set_("k"))
    before = machine.digest()
    with pytest.raises(FatalError, match="Log entry 2 holds no batch"):
        machine.apply(2, b"\xc1garbage")
    assert (machine.digest(), machine.applied_index) == (before, 1)


def test_an_entry_is_applied_once() -> None:
    machine = KeyValue()
    machine.apply(5, encode_batch(Batch(0, [])))
    with pytest.raises(AssertionError, match="entry 5 comes after 5"):
        machine.apply(5, encode_batch(Batch(0, [])))


def test_size_follows_the_rows() -> None:
    machine = KeyValue()
    apply(machine, set_("k", "x" * 1000))
    assert 1001 < machine.size_bytes < 1030
    apply(machine, set_("k", "y"))
    assert 2 < machine.size_bytes < 30


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="CPython 3.14 tracks every dict")
def test_tables_are_invisible_to_the_cyclic_collector() -> None:
    machine = KeyValue()
    apply(machine, *(set_(f"k{number}", ttl_ms=number % 2) for number in range(2000)))
    frozen = machine.freeze()
    apply(machine, *(set_(f"k{number}", "new") for number in range(2000)))
    tables = machine._rows._tables
    assert sum(map(len, tables)) == 2000
    assert not any(map(gc.is_tracked, tables))
    assert not any(map(gc.is_tracked, KeyValue.load(frozen)._rows._tables))
