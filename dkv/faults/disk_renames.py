"""Renames that no fsync of their directory has made durable: a program sees them, a power loss undoes them.

Pure. Names that are created or deleted count as durable at once: a file that is there too early or gone too early is
the harder case for whoever must recover.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class Renames:
    """Pending ones, oldest first."""

    def __init__(self) -> None:
        self._pending: list[tuple[Path, Path]] = []

    def add(self, old: Path, new: Path) -> None:
        """``old`` is called ``new`` from now on, in the place of any other file of that name."""
        self._pending.append((old, new))

    def on_disk(self, path: Path) -> Path | None:
        """The name on disk of what a program calls ``path``; None: it was renamed to something else."""
        for old, new in reversed(self._pending):
            if path == new:
                path = old
            elif path == old:
                return None
        return path

    def seen(self, directory: Path, names: Iterable[str]) -> list[str]:
        """The ``names`` on disk in ``directory`` → those that a program sees."""
        visible = set(names)
        for old, new in self._pending:
            if old.parent == directory:
                visible.discard(old.name)
            if new.parent == directory:
                visible.add(new.name)
        return sorted(visible)

    def take_into(self, directory: Path) -> list[tuple[Path, Path]]:
        """Those into ``directory``, to be done now."""
        return self._take({new for _, new in self._pending if new.parent == directory})

    def take_of(self, path: Path) -> list[tuple[Path, Path]]:
        """Those that gave or took the name ``path``, and what hangs together with them, to be done now."""
        names = {path}
        for _ in self._pending:
            names.update(name for pair in self._pending if names.intersection(pair) for name in pair)
        return self._take(names)

    def _take(self, names: set[Path]) -> list[tuple[Path, Path]]:
        taken = [pair for pair in self._pending if pair[1] in names]
        self._pending = [pair for pair in self._pending if pair[1] not in names]
        return taken

    def directories(self) -> list[Path]:
        """Where something is pending."""
        return sorted({new.parent for _, new in self._pending})
