"""A recording: everything that a chaos run left behind, as one value, out of the bytes of its files.

A run that broke off is worth a look too: files may be absent, the last line of a file may be torn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from harness.errors import Refused
from harness.history import files as history_files
from harness.history.events import Header
from harness.history.operations import HistoryError, Operation
from harness.history.records import FaultRecord, NodeSample, Validity, Verdict
from harness.report.bands import Band, bands
from harness.report.operations import paired

FILES = ("manifest.json", "history.jsonl", "faults.jsonl", "nodes.jsonl", "verdict.json")
"""What of a run's directory is read."""
UNJUDGED = "No verdict was written: the run ended before it was judged, so nothing is known."

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Recording:
    """``directory``: where it lies, as the person who reads the report would type it."""

    directory: str
    manifest: Mapping[str, Any]
    header: Header
    operations: tuple[Operation, ...]
    faults: tuple[Band, ...]
    samples: tuple[NodeSample, ...]
    verdict: Verdict

    @property
    def duration_s(self) -> float:
        """From the run's start to the last thing that was seen of it."""
        times = [0.0]
        times += [operation.return_s or operation.invoke_s for operation in self.operations]
        times += [band.healed_s or band.set_s for band in self.faults]
        times += [sample.time_s for sample in self.samples]
        return max(times)

    @property
    def nodes(self) -> tuple[str, ...]:
        """Whoever was to take part, was looked at or suffered a fault; n2 before n10."""
        told = self.manifest.get("nodes")
        names = set(map(str, told)) if isinstance(told, list) else set()
        names |= {sample.node for sample in self.samples}
        names |= {name for band in self.faults for name in band.nodes}
        return tuple(sorted(names, key=lambda name: (len(name), name)))


def parse(directory: str, files: Mapping[str, bytes]) -> Recording:
    """``files``: those of FILES that exist. Raises Refused, with the file and the line, on what is none of ours."""
    try:
        history = history_files.parse(files.get("history.jsonl", b""))
    except HistoryError as error:
        raise Refused(f"history.jsonl cannot be read: {error}") from None
    return Recording(
        directory=directory,
        manifest=_document("manifest.json", files, dict[str, Any]) or {},
        header=history.header or Header(),
        operations=paired(history.events),
        faults=bands(_records("faults.jsonl", files, FaultRecord)),
        samples=tuple(sorted(_records("nodes.jsonl", files, NodeSample), key=lambda sample: sample.time_s)),
        verdict=_document("verdict.json", files, Verdict) or _unjudged(),
    )


def _unjudged() -> Verdict:
    return Verdict(validity=Validity.UNKNOWN, sentence=UNJUDGED, checks=(), assumptions=(), statistics={})


def _lines(name: str, files: Mapping[str, bytes]) -> list[bytes]:
    """A line that does not end is one that was being written as its writer died."""
    return files.get(name, b"").split(b"\n")[:-1]


def _records(name: str, files: Mapping[str, bytes], kind: type[T]) -> list[T]:
    return [_decode(line, kind, name, number) for number, line in enumerate(_lines(name, files), 1)]


def _document(name: str, files: Mapping[str, bytes], kind: type[T]) -> T | None:
    return _decode(files[name], kind, name, 1) if files.get(name) else None


def _decode(data: bytes, kind: type[T], name: str, line: int) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise Refused(f"{name}, line {line}, cannot be read: {error}") from None
