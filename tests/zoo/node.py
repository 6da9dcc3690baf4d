"""``python -m tests.zoo.node --mutant NAME serve …``: one mutant of our node, run by ``dkv``'s own program.

Without ``--mutant`` it is the node as it is. With ``--watch`` it is too, but says (once each) when it comes to the
functions that some mutant replaces.
"""

from __future__ import annotations

import sys

from tests.zoo.mutant import watching
from tests.zoo.mutants import MUTANTS

WRONG_USAGE = 64


def main() -> None:
    """Exit code 64 for a mutant that there is not; else dkv's own."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["--mutant"]:
        name = arguments[1] if len(arguments) > 1 else ""
        if name not in MUTANTS:
            print(f"no mutant is called {name!r}: there are {', '.join(MUTANTS)}", file=sys.stderr)
            sys.exit(WRONG_USAGE)
        MUTANTS[name].apply()
        arguments = arguments[2:]
    elif arguments[:1] == ["--watch"]:
        watching(MUTANTS.values()).apply()
        arguments = arguments[1:]
    from dkv.cli import program

    program(args=arguments, prog_name="dkv")


if __name__ == "__main__":
    main()
