"""The verbs ``chaos`` (a run, the same run again, the search for a smaller one that fails) and ``doctor``.

Exit codes: 0 valid, 1 invalid, 2 unknown, 3 the testbed itself had trouble, 64 wrong usage.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from harness.errors import HarnessError, UsageError

TROUBLE = 3


@click.command("chaos")
@click.option("--nodes", type=click.IntRange(1, 15), default=5, show_default=True)
@click.option("--time", "duration_s", type=click.FloatRange(3.0), default=60.0, show_default=True, help="Seconds.")
@click.option("--seed", type=int, help="Default: a new one; it is told.")
@click.option("--faults", default="all", show_default=True, help="Families and kinds, with commas; see `doctor`.")
@click.option("--workload", type=click.Choice(["register", "append", "set", "counter"]), default="register")
@click.option("--rate", type=click.FloatRange(1.0), default=300.0, show_default=True, help="Operations a second.")
@click.option("--clients", type=click.IntRange(1, 200), default=10, show_default=True)
@click.option("--system", type=click.Choice(["dkv", "etcd"]), default="dkv", show_default=True)
@click.option(
    "--setting",
    "settings",
    multiple=True,
    metavar="NAME=NUMBER",
    help="Of dkv's [raft_options], in place of what the seed draws.",
)
@click.option("--network", type=click.Choice(["auto", "kernel", "hook"]), default="auto", show_default=True)
@click.option("--node-command", help="What starts a node, before its flags (etcd: the program).")
@click.option("--port-offset", type=click.IntRange(0), default=0, help="As of `up`.")
@click.option("--out", type=click.Path(path_type=Path), help="Directory for the run (default: runs/TIME-seed).")
@click.option("--replay", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A run to do again.")
@click.option("--shrink", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A failed run.")
@click.option("--reruns", type=click.IntRange(1), default=2, show_default=True, help="Of each candidate of --shrink.")
@click.option("--shrink-time", "shrink_s", type=float, default=600.0, show_default=True, help="Seconds for --shrink.")
@click.option("--keep-going", is_flag=True, help="A violation does not end the run.")
@click.option("--hold", is_flag=True, help="After a violation leave the frozen processes there until Ctrl-C.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), help="For people or programs.")
@click.pass_context
def chaos(context: click.Context, /, output: str | None, **options: Any) -> None:
    """Torment a real cluster under load, judge what its clients saw, and say what went wrong.

    Exit codes: 0 valid, 1 invalid, 2 unknown, 3 trouble with the testbed itself, 64 wrong usage.
    """
    from harness.chaos import commands  # other verbs start nodes, which need the processor more than our imports do

    as_json = (output or (context.obj or {}).get("output")) == "json"
    try:
        sys.exit(commands.chaos(as_json=as_json, **options))
    except HarnessError as error:
        code = error.exit_code if isinstance(error, UsageError) else TROUBLE
        _failed(error, code, as_json)
        sys.exit(code)
    except KeyboardInterrupt:
        sys.exit(130)


def _failed(error: HarnessError, code: int, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"ok": False, "error": str(error), "exit_code": code}))
    else:
        print(f"dkv-harness: {error}", file=sys.stderr)


@click.command("doctor")
@click.option("--port-offset", type=click.IntRange(0), default=0, help="As of `up`.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), help="For people or programs.")
@click.pass_context
def doctor(context: click.Context, /, output: str | None, port_offset: int) -> None:
    """Try every kind of fault on this machine: works, substitute, or not available; about 15 seconds.

    Exit codes: 0 every kind works, or a substitute does; 1 some kind is not available; 3 no cluster could be started;
    64 wrong usage.
    """
    from harness import examination

    as_json = (output or (context.obj or {}).get("output")) == "json"
    try:
        sys.exit(examination.examine(as_json=as_json, port_offset=port_offset))
    except HarnessError as error:
        _failed(error, TROUBLE, as_json)
        sys.exit(TROUBLE)
    except KeyboardInterrupt:
        sys.exit(130)
