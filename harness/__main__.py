"""``dkv-harness`` and ``python -m harness``."""

from __future__ import annotations

from harness.cli import verbs


def main() -> None:
    """Run one verb; exits 0 (fine), 1 (refused or failed) or 2 (unknown, or a wrong command line)."""
    verbs(prog_name="dkv-harness")


if __name__ == "__main__":
    main()
