"""How a verb can end badly, and the exit code that scripts may rely on: 0 fine, 1 refused or failed, 2 unknown,
64 wrong usage."""

from __future__ import annotations

WRONG_USAGE = 64
"""EX_USAGE of sysexits.h. Not 2, as click has it: 2 says that an outcome, or a verdict, is unknown."""


class HarnessError(Exception):
    """A sentence for a person: what happened, what it means, what to do."""

    exit_code = 1


class Refused(HarnessError):
    """The verb was not done, or failed for certain."""


class Undecided(HarnessError):
    """The verb was begun and its end was not seen: look at ``status``."""

    exit_code = 2


class UsageError(HarnessError):
    """The command line asks for something that does not exist."""

    exit_code = WRONG_USAGE


class NodeDied(Refused):
    """A node ended while somebody waited for it; carries the last lines of its log."""

    def __init__(self, name: str, exit_code: int | None, log_lines: list[str]) -> None:
        log = "\n".join(f"  {line}" for line in log_lines) or "  (it logged nothing)"
        super().__init__(f"{name} ended {describe_exit(exit_code)} while it was waited for; its last log lines:\n{log}")


def describe_exit(exit_code: int | None) -> str:
    """``Popen.returncode`` in words: negative means "by that signal"."""
    if exit_code is None:
        return "in an unknown way"
    return f"by signal {-exit_code}" if exit_code < 0 else f"with exit code {exit_code}"
