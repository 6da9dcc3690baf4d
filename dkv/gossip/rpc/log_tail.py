"""The last lines of the log, for operators who begin to watch (``serf monitor`` shows them first)."""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

LINES_MAX: Final = 512
"""As the agent's own buffer."""

LEVELS: Final = ("TRACE", "DEBUG", "INFO", "WARN", "ERR")
"""By the agent's names, from the least to the most important."""


class LogLine(msgspec.Struct, frozen=True):
    """``text``: the whole line, as ``2026/11/23 08:09:25 [INFO] agent: ...``. ``level``: one of ``LEVELS``."""

    level: str
    text: str


def is_at_least(line: LogLine, level: str) -> bool:
    """Does somebody who watches from ``level`` on see ``line``?"""
    return LEVELS.index(line.level) >= LEVELS.index(level)


class LogTail:
    """The older lines go."""

    def __init__(self) -> None:
        self._lines: deque[LogLine] = deque(maxlen=LINES_MAX)

    def append(self, line: LogLine) -> None:
        assert line.level in LEVELS, f"a line of log of level {line.level}"
        self._lines.append(line)

    def since(self, level: str) -> list[LogLine]:
        """The lines that matter from ``level`` on, oldest first."""
        return [line for line in self._lines if is_at_least(line, level)]
