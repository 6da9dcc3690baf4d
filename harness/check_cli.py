"""The verb ``check``: judges histories of any store, ours or from elsewhere."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path

import click

MODELS = ("register", "kv", "append", "set", "counter", "mutex")


@click.command("check")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option(
    "--model", type=click.Choice(MODELS), help="What the operations mean (default: the file's header, or a guess)."
)
@click.option("--steps", type=click.IntRange(1), help="Effort for each key before giving up (default: 3,000,000).")
@click.option(
    "--nil",
    type=click.Choice(["absent", "unknown"]),
    default="absent",
    show_default=True,
    help="What a read of nil saw: that nothing was there, or (Knossos) nobody knows what.",
)
@click.option("-o", "--output", type=click.Choice(["table", "json"]), help="For people or programs.")
@click.pass_context
def check(
    context: click.Context, files: tuple[Path, ...], model: str | None, steps: int | None, nil: str, output: str | None
) -> None:
    """Judge histories: linearizable or not, key by key, and if not, why.

    FILE: JSON lines of a chaos run (or the run's directory), EDN of Jepsen or Knossos, or a Jepsen log.

    Exit codes: 0 linearizable, 1 not, 2 unknown (undecided, or a file that cannot be understood), 64 wrong usage.
    """
    from harness import checking  # other verbs start nodes, which need the processor more than our imports do
    from harness.checker.judging import STEPS_MAX

    as_json = (output or (context.obj or {}).get("output")) == "json"
    verdicts = []
    for number, file in enumerate(files):
        try:
            verdict = checking.check_file(file, model, steps or STEPS_MAX, nil == "unknown")
        except Exception as error:  # Python would exit with 1, which is a verdict
            traceback.print_exc()
            verdict = checking.FileVerdict(str(file), trouble=f"a defect of this program, please report it: {error!r}")
        verdicts.append(verdict)
        if as_json:
            print(json.dumps(checking.document(verdict), default=str), flush=True)
        else:
            print("\n" * (number > 0) + checking.render(verdict), flush=True)
    if len(verdicts) > 1 and not as_json:
        print("\n" + checking.summary(verdicts))
    sys.exit(checking.exit_code(verdicts))
