"""Every format that is read: recognised by content, the same operations out, doubts refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.history import files
from harness.history.events import Event, EventType, Header
from harness.history.operations import MISMATCH, NEVER, HistoryError, Operation, pair

INVOKE, OK, FAIL, INFO = EventType


def read(text: str) -> list[Operation]:
    return pair(files.parse(text.encode()).events)


def row(operation: Operation) -> tuple[Any, ...]:
    end = operation.returned if operation.returned != NEVER else None
    return operation.process, operation.f, operation.key, operation.value, str(operation.type), operation.result, end


LOG = """INFO  jepsen.util - 0	:invoke	:read	nil
INFO  jepsen.util - 1   :invoke :cas    [0 3]
INFO  jepsen.core - Everything else is passed over
INFO  jepsen.util - 0	:ok	:read	nil
INFO  jepsen.util - 1	:fail	:cas	[0 3]
INFO  jepsen.util - :nemesis	:info	:start	"Cut off"
INFO  jepsen.util - 2	:invoke	:write	4
INFO  jepsen.util - 2	:info	:write	:timed-out
INFO  jepsen.util - 3	:invoke	:read	nil
INFO  jepsen.util - 3	:fail	:read	:timed-out
"""
NEW_LOG = """2020-01-01 12:00:00,000{GMT}	INFO	[jepsen worker 0] jepsen.util: 0	:invoke	:read	nil
2020-01-01 12:00:00,001{GMT}	INFO	[jepsen worker 0] jepsen.util: 0	:ok	:read	3
"""
EDN_LINES = """; a comment
{:process 0, :type :invoke, :f :read, :value nil, :time 1000000, :index 0}
{:process :nemesis, :type :info, :f :start, :value nil}
{:process 0, :type :ok, :f :read, :value 3, :time 2000000}
{:process 1, :type :invoke, :f :cas, :value [1 2]} {:process 1 :type :fail :f :cas :value [1 2] :error :timeout}
"""
EDN_VECTOR = f"[{EDN_LINES}]"
EDN_RECORDS = "\n".join(f"#jepsen.history.Op{line}" for line in EDN_LINES.splitlines()[1:4])
INDEPENDENT = """{:process 0 :type :invoke :f :read :value [7 nil]}
{:process 1 :type :invoke :f :cas :value [7 [1 2]]}
{:process 0 :type :ok :f :read :value [7 3]}
{:process 1 :type :info :f :cas :value [7 [1 2]] :error :timeout}
{:process :nemesis :type :info :f :start :value [:a :b]}
"""
TABLE: dict[str, tuple[str, list[tuple[Any, ...]]]] = {
    "Jepsen log": (
        LOG,
        [
            (0, "read", None, None, "ok", None, 2),
            (1, "cas", None, (0, 3), "fail", None, 3),
            (2, "write", None, 4, "info", None, None),
            (3, "read", None, None, "fail", None, 7),
        ],
    ),
    "a newer Jepsen log": (NEW_LOG, [(0, "read", None, None, "ok", 3, 1)]),
    "EDN, a map a line": (
        EDN_LINES,
        [(0, "read", None, None, "ok", 3, 1), (1, "cas", None, (1, 2), "fail", None, 3)],
    ),
    "EDN, one vector": (
        EDN_VECTOR,
        [(0, "read", None, None, "ok", 3, 1), (1, "cas", None, (1, 2), "fail", None, 3)],
    ),
    "EDN, records": (EDN_RECORDS, [(0, "read", None, None, "ok", 3, 1)]),
    "independent": (
        INDEPENDENT,
        [(0, "read", "7", None, "ok", 3, 2), (1, "cas", "7", (1, 2), "info", None, None)],
    ),
    "independent, tagged": (
        INDEPENDENT.replace("[7", "#jepsen.independent/tuple [7"),
        [(0, "read", "7", None, "ok", 3, 2), (1, "cas", "7", (1, 2), "info", None, None)],
    ),
    "a cas is no tuple": (
        "{:process 0 :type :invoke :f :cas :value [1 2]} {:process 0 :type :ok :f :cas :value [1 2]}",
        [(0, "cas", None, (1, 2), "ok", (1, 2), 1)],
    ),
    "a read whose answer was not recorded": (
        "{:process 0 :type :invoke :f :read} {:process 0 :type :ok :f :read}",
        [(0, "read", None, None, "info", None, None)],
    ),
    "single micro-operations": (
        "{:process 0 :type :invoke :f :txn :value [[:append 5 1]]}"
        "{:process 0 :type :ok :f :txn :value [[:append 5 1]]}"
        "{:process 0 :type :invoke :f :txn :value [[:r 5 nil]]} {:process 0 :type :ok :f :txn :value [[:r 5 [1]]]}",
        [(0, "append", "5", 1, "ok", 1, 1), (0, "read", "5", None, "ok", (1,), 3)],
    ),
    "kv": (
        '{:process 3, :type :invoke, :f :get, :key "0", :value nil}\n'
        '{:process 3, :type :ok, :f :get, :key "0", :value ""}',
        [(3, "get", "0", None, "ok", "", 1)],
    ),
    "no header": (
        '{"process":1,"type":"invoke","f":"write","key":"k","value":1}\n'
        '{"process":1,"type":"ok","f":"write","value":1}\n',
        [(1, "write", "k", 1, "ok", 1, 1)],
    ),
    "nothing": (" \n\n", []),
}


@pytest.mark.parametrize(("text", "rows"), TABLE.values(), ids=TABLE)
def test_formats(text: str, rows: list[tuple[Any, ...]]) -> None:
    assert [row(operation) for operation in read(text)] == rows


def test_a_failed_cas_is_an_observation_in_the_log_only() -> None:
    assert read(LOG)[1].error == MISMATCH
    assert read(EDN_LINES)[1].error == "timeout"


def test_a_failed_cas_that_timed_out_is_of_unknown_outcome() -> None:
    text = "INFO jepsen.util - 1 :invoke :cas [0 3]\nINFO jepsen.util - 1 :fail :cas :timed-out\n"
    assert read(text)[0].type is INFO


def test_times_are_nanoseconds() -> None:
    assert (read(EDN_LINES)[0].invoke_s, read(EDN_LINES)[0].return_s) == (0.001, 0.002)


REFUSED = {
    "hello world": "no history",
    "{:process 0 :type :invoke": "no EDN",
    "{:process 0 :type :invoke :f :read}\n{:process 0 :f :read}": "line 2: .*:type",
    "[1 2 3]": "maps",
    "{:process 0 :type :maybe :f :read}": "line 1: .*no type of event",
    "{:process 0 :type :ok :f :read :value 1}": "never began",
    "{:process 0 :type :invoke :f :read} {:process 0 :type :invoke :f :write}": "has not ended",
    "{:process 0 :type :invoke :f :read} {:process 0 :type :ok :f :write}": "had begun a read",
    "{:process 0 :type :invoke :f :txn :value [[:r 1 nil] [:r 2 nil]]}": "transactions",
    '{"process":1}\n{"process":2}\n': "line 1",
    '{"format":"dkv-history","version":99}\n': "newer",
    '{"format":"other","version":1}\n': "other",
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.items())
def test_what_could_mean_anything_is_refused(text: str, reason: str) -> None:
    with pytest.raises(HistoryError, match=reason):
        read(text)


EVENTS = [
    Event(process=0, type=INVOKE, f="write", key="k", value="ä", time_s=0.25),
    Event(process=1, type=INVOKE, f="cas", key="k", value=[None, "x"], time_s=0.5),
    Event(process=0, type=OK, f="write", key="k", value="ä", time_s=0.75, node="n1"),
    Event(process=1, type=FAIL, f="cas", key="k", value=[None, "x"], time_s=1.0, node="n2", error=MISMATCH),
]


def test_ours_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "any.name"
    files.write(path, Header(workload="register", system="dkv", seed=7), EVENTS)
    history = files.read(path)
    assert history.header == Header(workload="register", system="dkv", seed=7)
    assert list(history.events) == EVENTS


def test_every_cut_of_the_last_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    files.write(path, Header(), EVENTS)
    whole = path.read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1
    for end in range(start, len(whole) - 1):
        assert list(files.parse(whole[:end]).events) == EVENTS[:3]
    assert list(files.parse(whole[:-1]).events) == EVENTS


def test_a_broken_line_in_the_middle_is_not() -> None:
    lines = [
        b'{"format":"dkv-history","version":1}',
        b'{"process":0,"ty',
        b'{"process":0,"type":"invoke","f":"read"}',
        b"",
    ]
    with pytest.raises(HistoryError, match="line 2"):
        files.parse(b"\n".join(lines))


def test_a_process_that_vanished_leaves_an_operation_of_unknown_outcome() -> None:
    (operation,) = pair(EVENTS[:1])
    assert (operation.type, operation.returned, operation.return_s) == (INFO, NEVER, None)
