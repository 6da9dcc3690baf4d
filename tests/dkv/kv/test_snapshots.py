"""A snapshot is the state of the instant at which it began, whatever is applied while it is taken.

Random scripts against the dumb twin, with every limit so small that all of them are met.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkv.kv import answered, blocks, rows, state_machine
from dkv.kv.blocks import BadBlocks
from dkv.kv.commands import ANY_REVISION, Batch, Command, Op, Result, encode_batch
from dkv.kv.state_machine import KeyValue

from .twin import Twin

KEYS = ["a", "b", "c", "dd", "é", "f", "g", "\x00member/n1"]
COMMANDS = st.builds(
    Command,
    op=st.sampled_from([Op.SET, Op.SET, Op.SET, Op.DELETE, Op.GET, Op.CLOCK]),
    key=st.sampled_from(KEYS),
    value=st.sampled_from(["", "x", "yé"]),
    cas=st.sampled_from([ANY_REVISION] * 4 + [0, 1, 2, 3, 5]),
    ttl_ms=st.sampled_from([0, 0, 0, 1, 50, 300]),
    id=st.sampled_from([""] * 4 + [f"i{number}" for number in range(12)]),
)
BATCHES = st.builds(Batch, time_ms=st.sampled_from(range(0, 2000, 37)), commands=st.lists(COMMANDS, max_size=6))
STEPS = st.one_of(BATCHES, BATCHES, st.sampled_from(["freeze", "close"]), st.integers(1, 6))
LIMITS = [
    (answered, "IDS_MAX", 8),
    (answered, "ID_AGE_MS_MAX", 400),
    (answered, "GROUP_IDS_MAX", 2),
    (answered, "AGED_GROUPS_MAX", 2),
    (answered, "SEGMENT_GROUPS", 2),
    (blocks, "BLOCK_ITEMS", 2),
    (state_machine, "SWEEP_ROWS_MAX", 2),
    (rows, "TABLES", 2),
    (state_machine, "MERGE_STEP", 1),
]


@dataclass
class Freeze:
    """A snapshot in the making, what it must hold, and what was applied since."""

    blocks: Iterator[bytes]
    digest: str
    live: dict[str, object]
    taken: list[bytes] = field(default_factory=list)
    since: list[tuple[int, bytes, list[Result], str]] = field(default_factory=list)


def live_rows(machine: KeyValue) -> dict[str, object]:
    return {key: row for key in KEYS if (row := machine.get(key)) is not None}


@given(st.lists(STEPS, max_size=40))
@settings(derandomize=True, max_examples=400, deadline=None)
def test_any_script(steps: list[Batch | str | int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for module, name, limit in LIMITS:
            patch.setattr(module, name, limit)
        run_script(steps)


def run_script(steps: list[Batch | str | int]) -> None:
    machine = KeyValue()
    twin = Twin(ids_max=8, id_age_ms_max=400, group_ids_max=2, aged_groups_max=2)
    freeze: Freeze | None = None
    for step in [*steps, 10_000]:
        if isinstance(step, Batch):
            apply_to_both(machine, twin, step, freeze)
        elif step == "freeze" and freeze is None:
            freeze = Freeze(machine.freeze(), machine.digest(), live_rows(machine))
        elif step == "close":
            freeze = None  # dropped rather than closed: the harder case
        elif isinstance(step, int) and freeze is not None:
            for _ in range(step):
                if (block := next(freeze.blocks, None)) is None:
                    check_loaded(freeze)
                    freeze = None
                    break
                freeze.taken.append(block)
    assert freeze is None
    assert not machine._rows._shared


def apply_to_both(machine: KeyValue, twin: Twin, batch: Batch, freeze: Freeze | None) -> None:
    index, payload = machine.applied_index + 1, encode_batch(batch)
    results = machine.apply(index, payload)
    assert results == twin.apply(index, batch)
    assert live_rows(machine) == twin.rows
    assert machine.ids_count == len(twin.ids)
    assert machine.digest() == machine.recompute_digest()
    if freeze is not None:
        freeze.since.append((index, payload, results, machine.digest()))


def check_loaded(freeze: Freeze) -> None:
    loaded = KeyValue.load(iter(freeze.taken))
    assert loaded.digest() == loaded.recompute_digest() == freeze.digest
    assert live_rows(loaded) == freeze.live
    for index, payload, results, digest in freeze.since:
        assert loaded.apply(index, payload) == results
        assert loaded.digest() == digest


def filled(count: int, ids: int = 0) -> KeyValue:
    machine = KeyValue()
    commands = [Command(Op.SET, f"k{n}", "x" * 100, id=f"i{n}" if n < ids else "") for n in range(count)]
    machine.apply(1, encode_batch(Batch(5, [*commands, Command(Op.SET, "\x00member/n1", "host")])))
    return machine


def test_an_empty_state() -> None:
    loaded = KeyValue.load(KeyValue().freeze())
    assert (loaded.count, loaded.digest()) == (0, KeyValue().digest())


def test_blocks_are_small_and_a_large_value_stands_alone() -> None:
    machine = filled(9000, ids=9000)
    machine.apply(2, encode_batch(Batch(6, [Command(Op.SET, "large", "é" * 500_000)])))
    taken = list(machine.freeze())
    large = [block for block in taken if len(block) > blocks.BLOCK_BYTES + 1024]
    assert [len(block) // 100_000 for block in large] == [10]
    loaded = KeyValue.load(iter(taken))
    assert (loaded.count, loaded.ids_count) == (9001, 9000)
    assert (loaded.digest(), loaded.size_bytes) == (machine.digest(), machine.size_bytes)


def test_one_snapshot_at_a_time_and_dropping_it_is_enough() -> None:
    machine = filled(10)
    frozen = machine.freeze()
    with pytest.raises(AssertionError, match="being frozen already"):
        machine.freeze()
    del frozen
    assert not machine._rows._shared
    assert KeyValue.load(machine.freeze()).count == 10


def test_tables_stand_still_under_a_snapshot_and_are_brought_up_to_date_after_it() -> None:
    machine = filled(5000)
    before = [table.copy() for table in machine._rows._tables]
    frozen = machine.freeze()
    machine.apply(2, encode_batch(Batch(5, [Command(Op.SET, "k1", "1"), Command(Op.DELETE, "k2")])))
    machine.apply(3, encode_batch(Batch(5, [Command(Op.SET, f"n{n}", "3") for n in range(2000)])))
    assert machine._rows._tables == before
    assert (machine.count, machine.get("k2"), len(machine._rows._changes)) == (6999, None, 2002)
    assert sum(1 for _ in frozen) > 3
    changes = []
    for index in range(4, 20):
        machine.apply(index, encode_batch(Batch(5, [Command(Op.SET, "k3", "4")])))
        changes.append(len(machine._rows._changes))
    assert changes[0] < 2002
    assert changes[-1] == 0
    assert (machine.count, machine.digest()) == (6999, machine.recompute_digest())
    assert sum(map(len, machine._rows._tables)) == 6999


def test_a_snapshot_of_a_row_that_is_not_what_its_hash_says_does_not_end() -> None:
    machine = filled(2000)
    frozen = machine.freeze()
    table = next(table for table in machine._rows._tables if table)
    table[next(iter(table))] += b"x"
    with pytest.raises(AssertionError, match="is not what its hash says"):
        list(frozen)


def test_what_was_written_under_a_snapshot_is_merged_in_steps_before_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(state_machine, "PREPARE_STEP", 700)
    machine = filled(1000)
    frozen = machine.freeze()
    commands = [Command(Op.SET, f"under{number}", "v") for number in range(2000)]
    machine.apply(machine.applied_index + 1, encode_batch(Batch(5, commands)))
    list(frozen)
    assert [machine.prepare() for _ in range(4)] == [False, False, True, True]
    assert machine.digest() == machine.recompute_digest() == KeyValue.load(machine.freeze()).digest()


def test_blocks_hold_a_bounded_number_of_rows_and_groups() -> None:
    machine = KeyValue()
    for index in range(1, 2502):
        machine.apply(index, encode_batch(Batch(5, [Command(Op.SET, str(index), id=str(index))])))
    decoded = [blocks.decode(block) for block in machine.freeze()]
    assert [len(block.records) for block in decoded if isinstance(block, blocks.RowsBlock)] == [500] * 5 + [1]
    assert [len(block.groups) for block in decoded if isinstance(block, blocks.IdsBlock)] == [500] * 5 + [1]


@pytest.mark.parametrize("seed", range(3))
def test_everything_may_change_while_tables_are_half_written(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_ITEMS", 3)
    monkeypatch.setattr(rows, "TABLES", 15)
    rng = random.Random(seed)
    machine = filled(1500)
    expected = dict(machine._rows.records())
    taken = []
    for block in machine.freeze():
        taken.append(block)
        keys = [f"k{rng.randrange(2000)}" for _ in range(9)]
        ops = rng.choices([Op.SET, Op.DELETE], k=9)
        ttl_ms = rng.choice([0, 200])
        batch = Batch(5 + len(taken), [Command(op, key, "new", -1, ttl_ms) for op, key in zip(ops, keys, strict=True)])
        machine.apply(machine.applied_index + 1, encode_batch(batch))
    assert dict(KeyValue.load(iter(taken))._rows.records()) == expected
    assert machine.digest() == machine.recompute_digest()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda taken: [], "cannot be read"),
        (lambda taken: taken[1:], "does not begin"),
        (lambda taken: taken[:-1], "ends before its last block"),
        (lambda taken: taken[:1] + taken[2:], "their end says"),
        (lambda taken: [taken[0], taken[1], *taken[1:]], "their end says"),
        (lambda taken: taken[:-2] + taken[-1:], "their end says"),
        (lambda taken: [*taken[:-1], taken[0], taken[-1]], "begins a second time"),
        (lambda taken: [*taken, taken[-1]], "goes on after its end"),
        (lambda taken: [taken[0], b"\xc1", *taken[1:]], "cannot be read"),
        (lambda taken: [taken[0], blocks.encode(blocks.IdsBlock([b"x"])), *taken[1:]], "answered ids cannot"),
        (lambda taken: [blocks.encode(blocks.Meta(1, 1, 5)), *taken[1:]], "format 2"),
        (lambda taken: [blocks.encode(blocks.Meta(2, 1, 6)), *taken[1:]], "their end says"),
        (lambda taken: [taken[0], blocks.encode(blocks.RowsBlock({"k": b"short"})), *taken[1:]], "A row cannot"),
        (lambda taken: [taken[0], blocks.encode(blocks.RowsBlock({"k": b"h" * 16 + b"\x92"})), *taken[1:]], "end says"),
    ],
)
def test_blocks_that_are_not_a_whole_state_do_not_load(spoil, says: str) -> None:  # type: ignore[no-untyped-def]
    taken = list(filled(4000, ids=100).freeze())
    with pytest.raises(BadBlocks, match=says):
        KeyValue.load(iter(spoil(taken)))


def test_retiring_goes_by_small_steps_and_leaves_a_running_snapshot_alone() -> None:
    machine = filled(9000, ids=3000)
    digest = machine.digest()
    frozen = machine.freeze()
    next(frozen)
    steps = sum(1 for _ in machine.retire())
    assert steps >= 2
    assert (machine.count, machine.ids_count) == (0, 0)
    rest = list(frozen)
    assert KeyValue.load(iter([blocks.encode(blocks.Meta(2, 1, 5)), *rest])).digest() == digest
    other = filled(9000)
    assert sum(1 for _ in other.retire()) == 9001 // 2000
