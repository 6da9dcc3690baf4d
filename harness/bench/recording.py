"""What a run left behind: manifest, samples, figures. A run that broke off is read as far as it came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from harness.bench.manifest import CONTINUED
from harness.bench.measurements import Figure, Sample
from harness.errors import Refused

MANIFEST, SAMPLES, FIGURES = "manifest.json", "samples.jsonl", "figures.jsonl"

Line = TypeVar("Line")


@dataclass(frozen=True, slots=True)
class Recording:
    """``name``: of its directory."""

    name: str
    manifest: Mapping[str, Any]
    samples: tuple[Sample, ...]
    figures: tuple[Figure, ...]

    @property
    def parts(self) -> Sequence[Mapping[str, Any]]:
        """What each part of the run says of itself; the first is the manifest."""
        return [self.manifest, *self.manifest.get(CONTINUED, ())]

    @property
    def processors(self) -> int | None:
        """Of the host, if the manifest tells."""
        host = self.manifest.get("host")
        told = host.get("processors", host.get("cores")) if isinstance(host, dict) else None
        return told if isinstance(told, int) else None

    @property
    def seed(self) -> int:
        """Of all that is drawn when the run is looked at; 0 if the manifest tells none."""
        told = self.manifest.get("seed")
        return told if isinstance(told, int) else 0


def read(run_directory: Path) -> Recording:
    """Raises Refused for a directory that is no benchmark's, and for lines that say something twice or wrongly."""
    files = {name: path.read_bytes() for name in (SAMPLES, FIGURES) if (path := run_directory / name).is_file()}
    if not files:
        raise Refused(f"{run_directory} is no benchmark's directory: it has neither {SAMPLES} nor {FIGURES}")
    path = run_directory / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=dict[str, Any]) if path.is_file() else {}
        samples = lines(files.get(SAMPLES, b""), Sample)
        figures = lines(files.get(FIGURES, b""), Figure)
    except msgspec.MsgspecError as error:
        raise Refused(f"{run_directory} cannot be read: {error}. Nothing was written.") from error
    _refuse_twice(samples)
    return Recording(run_directory.resolve().name, manifest, samples, figures)


def lines(data: bytes, kind: type[Line]) -> tuple[Line, ...]:
    """A value a line; a last one that was not written to its end is left out."""
    whole = data[: data.rfind(b"\n") + 1]
    decoder = msgspec.json.Decoder(kind)
    return tuple(decoder.decode(line) for line in whole.splitlines() if line.strip())


def _refuse_twice(samples: tuple[Sample, ...]) -> None:
    """Two samples of one system in one round have no pair: which of them would be compared?"""
    seen: set[tuple[object, ...]] = set()
    for sample in samples:
        place = (sample.cell, sample.system, sample.round)
        if place in seen:
            raise Refused(
                f"{SAMPLES} has round {sample.round} of {sample.system} twice for {sample.cell}: were two runs written "
                "into one directory? Give each its own."
            )
        seen.add(place)
