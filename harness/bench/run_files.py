"""What a run writes while it goes on: a line for each sample and figure as soon as it is measured, and the manifest.

Whatever ends the run, what was measured before is there, and can be summed up.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from harness.bench.measurements import Figure, Sample
from harness.bench.recording import FIGURES, MANIFEST, SAMPLES
from harness.errors import Refused

NODES = "nodes"
"""Where the contenders live while they are measured; deleted when all went well, so it is no part of a result."""


class RunFiles:
    """``path`` must not hold a run already. ``manifest``: said at the start, added to by ``note`` and ``add``."""

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        if any((path / name).exists() for name in (MANIFEST, SAMPLES, FIGURES)):
            raise Refused(f"{path} holds a run already, which would be mixed with this one: choose another --out")
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._manifest = manifest
        self._save()

    @property
    def nodes(self) -> Path:
        """The directory under which each contender has its own."""
        return self.path / NODES

    def sample(self, sample: Sample) -> None:
        """One line more."""
        self._append(SAMPLES, sample)

    def figure(self, figure: Figure) -> None:
        """One line more."""
        self._append(FIGURES, figure)

    def note(self, name: str, value: Any) -> None:
        """A field of the manifest."""
        self._manifest[name] = value
        self._save()

    def describe(self, contender: str, configuration: Mapping[str, Any]) -> None:
        """A contender's version, durability and the command of each node; the last that was started counts."""
        self._manifest.setdefault("versions", {})[contender.partition(",")[0]] = configuration["version"]
        self._manifest.setdefault("configurations", {})[contender] = configuration
        self._save()

    def add(self, name: str, value: Any) -> None:
        """To a list of the manifest, once."""
        known = self._manifest.setdefault(name, [])
        if value not in known:
            known.append(value)
            self._save()

    def _append(self, name: str, value: msgspec.Struct) -> None:
        with (self.path / name).open("ab") as file:
            file.write(msgspec.json.encode(value) + b"\n")

    def _save(self) -> None:
        draft = self.path / f"{MANIFEST}.new"
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(self._manifest), indent=2) + b"\n")
        os.replace(draft, self.path / MANIFEST)
