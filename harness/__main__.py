"""``dkv-harness`` and ``python -m harness``."""

from __future__ import annotations

from harness.cli import verbs


def main() -> None:
    """Run one verb; exits 0 (fine), 1 (refused or failed), 2 (unknown) or 64 (wrong usage)."""
    verbs(prog_name="dkv-harness")


if __name__ == "__main__":
    main()
