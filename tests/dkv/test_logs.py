"""One JSON object a line, and a loop that never waits for whoever reads them."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dkv import logs


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    assert root.handlers == handlers, "stop() left its handler behind"


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_has_its_fields(tmp_path: Path) -> None:
    log = logs.setup("n1", path=tmp_path / "log")
    logging.getLogger("dkv.raft").info("became %s", "leader", extra={"group": 1, "term": 7, "who": {1, 2}})
    logging.getLogger("dkv.raft").debug("not shown")
    log.stop()
    (line,) = read(tmp_path / "log")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("ts"))
    assert line == {
        "level": "info",
        "event": "became leader",
        "node": "n1",
        "logger": "dkv.raft",
        "group": 1,
        "term": 7,
        "who": [1, 2],
    }


def test_a_traceback_is_a_field_of_the_same_line(tmp_path: Path) -> None:
    log = logs.setup("n1", path=tmp_path / "log")
    try:
        raise ValueError("broken\nin two lines")
    except ValueError:
        logging.getLogger("dkv").exception("it broke")
    log.stop()
    (line,) = read(tmp_path / "log")
    assert line["event"] == "it broke"
    assert "ValueError: broken\nin two lines" in line["traceback"]
    assert "test_logs.py" in line["traceback"]


@pytest.mark.parametrize("value", ["\ud800", object(), b"\xff", float("nan"), {("a", "b"): 1}, 2**70])
def test_whatever_is_logged_is_a_line_of_json(tmp_path: Path, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    log = logs.setup("n1", path=tmp_path / "log")
    # pytest's own would put half a character into its report, which cannot be sent from one process to another.
    with monkeypatch.context() as alone:
        alone.setattr(logging.getLogger(), "handlers", [log.entrance])
        logging.getLogger("dkv").warning("odd", extra={"value": value})
        logging.getLogger("dkv").warning("odd %s", value)
    log.stop()
    assert len(read(tmp_path / "log")) == 2


def test_a_log_appends_and_stop_writes_what_is_queued(tmp_path: Path) -> None:
    for start in range(2):
        log = logs.setup("n1", path=tmp_path / "log")
        for number in range(1000):
            logging.getLogger("dkv").info("line", extra={"number": start * 1000 + number})
        log.stop()
        assert log.dropped == 0
    assert [line["number"] for line in read(tmp_path / "log")] == list(range(2000))


@contextmanager
def flooded() -> Iterator[tuple[logs.Log, logging.Logger, int]]:
    """A log whose pipe nobody reads, after 2000 lines of 1 KB (the pipe holds 64 KiB, the queue ten lines)."""
    reader, writer = os.pipe()
    log = logs.Log(writer, "n1", lines_max=10)
    logger = logging.getLogger("dkv.flooded")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(log.entrance)
    try:
        for _ in range(2000):
            logger.info("x" * 1000)
        yield log, logger, reader
    finally:
        logger.removeHandler(log.entrance)


def test_a_blocked_pipe_drops_and_the_next_lines_tell_how_many() -> None:
    with flooded() as (log, logger, reader):
        assert log.dropped >= 1000
        told: list[int] = []

        def drain() -> None:
            with os.fdopen(reader, "rb") as pipe:
                told.extend(json.loads(line).get("dropped", 0) for line in pipe)

        thread = threading.Thread(target=drain)
        thread.start()
        before = -1
        while before != log.dropped:  # until a line got through
            before = log.dropped
            logger.info("again")
        log.stop()
        thread.join()
        assert sum(told) == log.dropped


def test_a_blocked_pipe_does_not_keep_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    with flooded() as (log, _, reader):
        monkeypatch.setattr(logs, "STOP_S", 0.01)
        log.stop()
        with os.fdopen(reader, "rb") as pipe:
            assert pipe.readline()
        monkeypatch.setattr(logs, "STOP_S", 30.0)
        log.stop()  # now the writer meets a pipe without a reader, and comes to its end


def test_a_reader_that_went_away_is_survived() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    log = logs.Log(writer, "n1", lines_max=10)
    logger = logging.getLogger("dkv.gone")
    logger.setLevel(logging.INFO)
    logger.addHandler(log.entrance)
    logger.info("nobody reads this")
    logger.removeHandler(log.entrance)
    log.stop()
    assert log.dropped == 1
