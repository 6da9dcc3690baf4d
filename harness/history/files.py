"""History files: ours written and read, others' recognised by what is in them, never by their names.

A run that still goes on, or died, leaves a last line that is cut: it is passed over. Any other line that cannot be read
ends the reading with its number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from harness.history import jepsen
from harness.history.events import FORMAT, VERSION, Event, Header
from harness.history.operations import HistoryError

ENCODER = msgspec.json.Encoder()
EVENTS = msgspec.json.Decoder(Event)
HEADERS = msgspec.json.Decoder(Header)
JSON_START = re.compile(r'\s*\{\s*"')
EDN_START = re.compile(r"[\s,]*(;[^\n]*\n[\s,]*)*(\^|#_|#[:A-Za-z\[{]|\[|\(|\{)")


@dataclass(frozen=True, slots=True)
class History:
    """``header`` is None for a format that has none; ``format``: its name, for people."""

    format: str
    header: Header | None
    events: Sequence[Event]


class Writer:
    """Appends events as lines; what was written is with the operating system after ``flush``."""

    def __init__(self, path: Path, header: Header) -> None:
        self._file: BinaryIO = path.open("wb")
        self._file.write(ENCODER.encode(header) + b"\n")
        self._file.flush()

    def write(self, event: Event) -> None:
        """Take one event; it may stay in this process' buffer."""
        self._file.write(ENCODER.encode(event) + b"\n")

    def flush(self) -> None:
        """Make what was written so far visible to readers."""
        self._file.flush()

    def close(self) -> None:
        """Flush and close; may be called twice."""
        self._file.close()


def write(path: Path, header: Header, events: Iterable[Event]) -> None:
    """A whole history at once."""
    writer = Writer(path, header)
    try:
        for event in events:
            writer.write(event)
    finally:
        writer.close()


def read(path: Path) -> History:
    """Whatever format it is. Raises HistoryError, OSError."""
    return parse(path.read_bytes())


def parse(content: bytes) -> History:
    """Recognise and read a history. Raises HistoryError. Nothing but white space is a history without operations."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if b"\n" in content[error.start :]:
            raise HistoryError(f"this is no text in UTF-8: {error}") from error
        text = content[: error.start].decode("utf-8-sig")  # the cut last line ends within a letter
    if not text.strip():
        return History("empty", None, ())
    if JSON_START.match(text):
        return _own(text)
    if EDN_START.match(text):
        return History("EDN", None, jepsen.edn_events(text))
    if "jepsen" in text or text.lstrip().startswith("INFO"):
        return History("Jepsen log", None, jepsen.log_events(text))
    raise HistoryError(
        "this is no history that can be read: neither JSON lines of ours, nor EDN (Jepsen, Knossos), nor a Jepsen log"
    )


def _own(text: str) -> History:
    lines = text.split("\n")
    whole = not lines[-1].strip()  # a last line without its newline may be cut
    header: Header | None = None
    events: list[Event] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            if number == 1 and '"format"' in line and '"process"' not in line:
                header = HEADERS.decode(line)
            else:
                events.append(EVENTS.decode(line))
        except msgspec.MsgspecError as error:
            if number == len(lines) and not whole:
                break
            raise HistoryError(f"line {number} is no event of a history: {error}") from error
    if header is not None and (header.format != FORMAT or not 1 <= header.version <= VERSION):
        raise HistoryError(
            f"this is a {header.format} of version {header.version}; "
            f"this program reads {FORMAT} up to version {VERSION}: use a newer one"
        )
    return History(f"{FORMAT} {header.version}" if header else FORMAT, header, events)
