"""What a run writes while it goes on: a line for each sample and figure as soon as it is measured, and the manifest.

Whatever ends the run, what was measured before is there, and can be summed up.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from harness.bench.manifest import CONTINUED, check_same
from harness.bench.measurements import Figure, Sample
from harness.bench.recording import FIGURES, MANIFEST, SAMPLES, Recording
from harness.errors import Refused

NODES = "nodes"
"""Where the contenders live while they are measured; deleted when all went well, so it is no part of a result."""


class RunFiles:
    """``manifest``: said at the start, added to by ``note`` and ``add``. Without ``earlier`` there must be no run yet.

    ``earlier``: the run that is there, of which this is one part more. Rounds of its figures go on counting, so that
    what is compared round by round was taken in one part. ``taken``: rounds of cells that it has.
    """

    def __init__(self, path: Path, manifest: dict[str, Any], earlier: Recording | None = None) -> None:
        if earlier is None and any((path / name).exists() for name in (MANIFEST, SAMPLES, FIGURES)):
            raise Refused(
                f"{path} holds a run already, which would be mixed with this one: choose another --out, or add to it "
                "by --into"
            )
        self.path, self._part, self._manifest = path, manifest, manifest
        samples, figures = (earlier.samples, earlier.figures) if earlier else ((), ())
        if earlier is not None:
            check_same(earlier.manifest, manifest)
            self._manifest = {**earlier.manifest, CONTINUED: [*earlier.manifest.get(CONTINUED, ()), manifest]}
        self._number = 1 + len(self._manifest.get(CONTINUED, ()))
        self.taken = frozenset((sample.cell, sample.round) for sample in samples)
        self._rounds: dict[str, int] = {}
        for figure in figures:
            self._rounds[figure.name] = max(figure.round, self._rounds.get(figure.name, 0))
        path.mkdir(parents=True, exist_ok=True)
        for name in (SAMPLES, FIGURES):
            _cut(path / name)
        self._save()

    @property
    def nodes(self) -> Path:
        """The directory under which each contender has its own."""
        return self.path / NODES

    def sample(self, sample: Sample) -> None:
        """One line more."""
        self._append(SAMPLES, msgspec.structs.replace(sample, part=self._number))

    def figure(self, figure: Figure) -> None:
        """One line more."""
        number = figure.round + self._rounds.get(figure.name, 0)
        self._append(FIGURES, msgspec.structs.replace(figure, round=number, part=self._number))

    def note(self, name: str, value: Any) -> None:
        """A field of what this part says of itself."""
        self._part[name] = value
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


def _cut(path: Path) -> None:
    """A last line that was not written to its end would spoil the next."""
    if path.is_file():
        data = path.read_bytes()
        os.truncate(path, data.rfind(b"\n") + 1)
