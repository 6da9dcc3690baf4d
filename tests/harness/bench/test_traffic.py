"""What is sent, and in which order."""

from __future__ import annotations

import base64
import json
import random
from collections import Counter

import pytest

from harness.bench import matrix, traffic
from harness.bench.dialects import Dialect, DkvDialect, EtcdDialect
from harness.bench.measurements import Cell
from harness.bench.traffic import generate
from harness.bench.zookeeper_wire import ZooKeeperDialect

DKV, ETCD = DkvDialect(), EtcdDialect()
MIXES = [cell for cell in matrix.full() if matrix.kind(cell.operation) == "mix"]


def bodies(load: traffic.Traffic) -> list[dict[str, str]]:
    return [json.loads(load.requests[index].body) for index in load.order]


def test_keys_go_in_turn() -> None:
    load = generate(Cell(operation="set", target="leader", connections=1, keys=1_000), DKV, random.Random(1))
    assert [body["key"] for body in bodies(load)] == [traffic.key(number) for number in range(1_000)]
    assert {len(body["val"]) for body in bodies(load)} == {16}


def test_of_a_million_keys_a_sample_is_drawn_from_all_over() -> None:
    load = generate(Cell(operation="set", target="leader", connections=1, keys=1_000_000), DKV, random.Random(1))
    numbers = [int(body["key"][1:]) for body in bodies(load)]
    assert len(numbers) == len(set(numbers)) == traffic.DISTINCT_MAX
    assert min(numbers) < 100_000 < 900_000 < max(numbers)


@pytest.mark.parametrize("dialect", [DKV, ETCD, ZooKeeperDialect()], ids=lambda dialect: type(dialect).__name__)
def test_the_same_seed_makes_the_same_load(dialect: Dialect) -> None:
    for cell in matrix.quick():
        assert generate(cell, dialect, random.Random(3)) == generate(cell, dialect, random.Random(3))


@pytest.mark.parametrize("cell", MIXES, ids=lambda cell: cell.operation)
def test_a_mix_has_its_share_of_reads(cell: Cell) -> None:
    verbs = Counter(body["cmd"] for body in bodies(generate(cell, DKV, random.Random(5))))
    reads = verbs["get"] / verbs.total()
    if cell.operation == "ycsb-f":  # every second operation is a read and a write
        assert reads == pytest.approx(2 / 3, abs=0.01)
    else:
        assert reads == pytest.approx(matrix.READS_PER_CENT[cell.operation] / 100, abs=0.01)


def test_zipf_prefers_few_and_forgets_none_of_the_middle() -> None:
    cell = next(cell for cell in MIXES if cell.operation == "ycsb-c")
    keys = Counter(body["key"] for body in bodies(generate(cell, DKV, random.Random(5))))
    most, second = (count for _, count in keys.most_common(2))
    assert most / keys.total() == pytest.approx(0.13, abs=0.02)  # 1 / sum of rank**-0.99 over 1,000 ranks
    assert second / most == pytest.approx(0.5, abs=0.08)
    assert len(keys) > 900
    assert keys.most_common(1)[0][0] != traffic.key(0), "keys are shuffled: popularity is no order of theirs"


def test_ycsb_d_reads_only_what_was_inserted_long_before() -> None:
    cell = next(cell for cell in MIXES if cell.operation == "ycsb-d")
    inserted: dict[str, int] = {}
    recent = 0
    for place, body in enumerate(bodies(generate(cell, DKV, random.Random(5)))):
        name = body["key"]
        if body["cmd"] == "set":
            assert name not in inserted
            inserted[name] = place
        elif name.startswith("new"):
            assert place - inserted[name] > 256, "there may be so many requests under way"
            recent += 1
        else:
            assert 0 <= int(name[1:]) < cell.keys
    assert recent > traffic.DRAWS / 2


def test_parts_send_the_same_in_another_order() -> None:
    load = generate(Cell(operation="set", target="spread", connections=3), DKV, random.Random(1))
    parts = [load.part(number, 3) for number in range(3)]
    assert len({part.order[0] for part in parts}) == 3
    assert all(sorted(part.order) == sorted(load.order) for part in parts)


def test_writes_that_may_reach_a_follower_ask_to_be_forwarded() -> None:
    for target, path in (("leader", "/"), ("spread", "/?forward=1")):
        cell = Cell(operation="set", target=target, connections=1)
        assert {request.path for request in generate(cell, DKV, random.Random(1)).requests} == {path}


def test_batches_are_of_a_hundred_different_keys() -> None:
    load = generate(Cell(operation="batch-100", target="leader", connections=1), DKV, random.Random(1))
    keys = [command["key"] for request in load.requests for command in json.loads(request.body)]
    assert len(keys) == len(set(keys)) == 1_000
    assert {request.operations for request in load.requests} == {100}


def test_etcd_is_spoken_to_in_base64() -> None:
    assert json.loads(ETCD.set("k", "v").body) == {"key": "aw==", "value": "dg=="}
    assert json.loads(ETCD.get("k", "linearizable").body) == {"key": "aw=="}
    assert json.loads(ETCD.get("k", "none").body)["serializable"] is True
    (put,) = json.loads(ETCD.batch([("k", "v")]).body)["success"]
    assert base64.b64decode(put["requestPut"]["value"]) == b"v"


def test_a_request_is_whole_http() -> None:
    head, _, body = DKV.set("k", "v").encoded("localhost:1").partition(b"\r\n\r\n")
    assert head.startswith(b"POST / HTTP/1.1\r\nHost: localhost:1\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
