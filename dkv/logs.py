"""The node's log: one JSON object a line, written by a thread of its own.

Strategy: the loop only puts a record into a bounded queue; a thread formats and writes it. A full queue (a pipe that
nobody reads) drops lines and counts them: a blocked log must never block the loop (etcd-io/etcd#22214: reads hung while
health stayed green). The next line that gets through carries ``dropped``.
"""

from __future__ import annotations

import copy
import logging
import os
import queue
import threading
from datetime import UTC, datetime
from logging.handlers import QueueHandler
from pathlib import Path
from typing import Any, Final

import msgspec

QUEUE_LINES_MAX: Final = 10_000
"""Some megabytes at most; a healthy writer never has more than a few lines waiting."""

STOP_S: Final = 2.0
"""How long ``stop`` waits for what is queued; a blocked pipe must not keep the process from exiting."""

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "dropped", "taskName"}
"""What every record has; whatever else is on one came in by ``extra`` and becomes a field."""

_FORMATTER: Final = logging.Formatter()


class LineFormatter:
    """Record → one line of JSON (bytes, with its newline). Never raises."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._encode = msgspec.json.Encoder(enc_hook=repr).encode

    def line(self, record: logging.LogRecord) -> bytes:
        """``ts level event node logger``, then the fields of ``extra``, then ``traceback``."""
        fields: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
            + f"{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "node": self._node,
            "logger": record.name,
        }
        fields.update((name, value) for name, value in vars(record).items() if name not in _STANDARD)
        if record.exc_text:
            fields["traceback"] = record.exc_text
        if dropped := getattr(record, "dropped", 0):
            fields["dropped"] = dropped
        try:
            return self._encode(fields) + b"\n"
        except (ValueError, TypeError, RecursionError):  # lone surrogates, keys that are no strings, cycles
            return self._encode({name: ascii(value) for name, value in fields.items()}) + b"\n"


class _Entrance(QueueHandler):
    """The loop's side: never waits."""

    def __init__(self, lines: queue.Queue[logging.LogRecord | None]) -> None:
        super().__init__(lines)
        self.dropped = 0
        self._unreported = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Make it independent of what the caller may change, or what a traceback would keep alive."""
        record = copy.copy(record)
        record.msg, record.args = record.getMessage(), None
        if record.exc_info:
            record.exc_text = _FORMATTER.formatException(record.exc_info)
            record.exc_info = None
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        if self._unreported:
            record.dropped = self._unreported
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1
            self._unreported += 1
        else:
            self._unreported = 0


class Log:
    """A log that runs. ``stop`` it at the end."""

    def __init__(self, fd: int, node: str, lines_max: int) -> None:
        self._fd = fd
        self._formatter = LineFormatter(node)
        self._lines: queue.Queue[logging.LogRecord | None] = queue.Queue(lines_max)
        self.entrance = _Entrance(self._lines)
        self._unwritten = 0
        # A daemon: if its pipe is blocked for ever, the process can still end.
        self._writer = threading.Thread(target=self._write, name="log", daemon=True)
        self._writer.start()

    @property
    def dropped(self) -> int:
        """Lines that were lost: the queue was full, or the file did not take them."""
        return self.entrance.dropped + self._unwritten

    def stop(self) -> None:
        """Write what is queued (bounded) and detach from the root logger."""
        logging.getLogger().removeHandler(self.entrance)
        logging.captureWarnings(False)
        try:
            self._lines.put(None, timeout=STOP_S)
        except queue.Full:
            return
        self._writer.join(STOP_S)
        if not self._writer.is_alive():
            os.close(self._fd)

    def _write(self) -> None:
        while (record := self._lines.get()) is not None:
            line = memoryview(self._formatter.line(record))
            try:
                while line:
                    line = line[os.write(self._fd, line) :]
            except OSError:  # the reader of the pipe is gone, or the disk is full: nobody to tell
                self._unwritten += 1


def setup(node: str, *, level: str = "info", path: Path | None = None, lines_max: int = QUEUE_LINES_MAX) -> Log:
    """Send all logging of this process to stderr, or append it to ``path``. Raises ``OSError`` for a bad path."""
    # A descriptor of our own: no lock of sys.stderr can be held by our thread when the interpreter ends.
    fd = os.dup(2) if path is None else os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    log = Log(fd, node, lines_max)
    root = logging.getLogger()
    root.addHandler(log.entrance)
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    return log
