"""The verbs ``bench`` (dkv beside its peers, measured in turn) and ``compare`` (two runs of it)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from harness.errors import HarnessError, UsageError

TROUBLE, INTERRUPTED = 3, 130
MATRICES = ("quick", "full", "none")
_OUTPUT = click.option("-o", "--output", type=click.Choice(["table", "json"]), help="For people or programs.")


@click.command("bench")
@click.option(
    "--against",
    default="etcd",
    show_default=True,
    help="Peers, with commas: etcd, zookeeper, pysyncobj; none for dkv alone.",
)
@click.option("--matrix", type=click.Choice(MATRICES), default="quick", show_default=True, help="What is measured.")
@click.option("--rounds", type=click.IntRange(1, 1000), default=5, show_default=True, help="Samples of each cell.")
@click.option("--seconds", type=click.IntRange(1, 3600), default=4, show_default=True, help="Length of one sample.")
@click.option("--only", multiple=True, metavar="WORDS", help="Narrow the matrix: see above. May be repeated.")
@click.option("--figures", default="none", show_default=True, help="Groups of single figures, with commas, or all.")
@click.option("--repetitions", type=click.IntRange(1), help="Of each figure (default: that of its group).")
@click.option(
    "--out", type=click.Path(path_type=Path), help="The run's directory (default: results/TIME-bench-MATRIX)."
)
@click.option(
    "--into",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="RUN",
    help="Add to this run what it does not have, instead of --out.",
)
@click.option("--seed", type=int, help="Of all that is drawn (default: a new one; the manifest has it).")
@click.option("--etcd", metavar="PATH", help="The etcd to measure (default: the one on PATH).")
@click.option("--node-command", help="What starts a node of dkv, before its flags.")
@click.option("--port-offset", type=click.IntRange(0), default=0, help="As of `up`.")
@_OUTPUT
@click.pass_context
def bench(context: click.Context, /, output: str | None, **options: Any) -> None:
    """Measure dkv and its peers side by side: the same operations, in turn, on this machine.

    Every system of a comparison is up at the same time, and one at a time is loaded while the others stand still. In
    each round each has its turn, so whatever disturbs the machine disturbs all alike; compare ratios, not figures of
    two runs. quick takes about ten minutes and has what the speed table asks for; full takes hours; none is for figures
    alone.

    --figures adds what is measured once at a time: failover (kill -9 of the leader to the next acknowledged write),
    first-write (start of 3 and 5 nodes), costs (processor time, disk and wire for each set), keys (memory, disk and
    restart with 1e5 and 1e6 keys), install (a snapshot under load), openloop (latency against the rate offered),
    growth-nodes and growth-keys (sets a second with 3, 5, 7 nodes; with 1e3, 1e5, 1e6 keys), calm (elections in ten
    minutes of full load).

    --into RUN measures one part more of a run that is there, on the same machine and of the same commit: other groups,
    with peers and repetitions of their own, or what is left of a run that was interrupted. Rounds of the matrix that
    it has are not taken again. The summary tells in which part each thing was measured.

    --only takes words of a cell's name, all of which must fit, with * and ?. The name of a cell is like
    "set@leader 64c 16B 3n 1000keys": operation@target, connections, size of values, nodes, keys. Operations are set,
    get-linearizable, get-none, batch-100, mixed-95, mixed-50, ycsb-a, b, c, d, f; targets leader, follower, spread.

    \b
    Examples:
      dkv-harness bench
      dkv-harness bench --against etcd,zookeeper --matrix full --out results/evening
      dkv-harness bench --only "set 64c" --only "get* 64c" --rounds 9
      dkv-harness bench --matrix none --figures failover,first-write --against etcd,zookeeper
      dkv-harness bench --into results/evening --matrix none --figures growth-keys --against none

    Exit codes: 0 done, 3 trouble (what was measured is kept), 64 wrong usage, 130 interrupted (likewise).
    """
    from harness.bench import commands  # other verbs start nodes, which need the processor more than our imports do

    _run(context, output, lambda as_json: commands.bench(as_json=as_json, **options))


@click.command("compare")
@click.argument("before", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="A")
@click.argument("after", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="B")
@_OUTPUT
@click.pass_context
def compare(context: click.Context, /, before: Path, after: Path, output: str | None) -> None:
    """Compare two runs of `bench`, cell by cell: what became faster or slower from A to B, and how sure that is.

    Intervals are bootstrapped from the rounds. Runs of different hours differ by themselves: where both have a peer,
    the ratios to it are compared.

    Exit codes: 0 nothing of dkv is slower, 1 something is, 3 a directory is no run of `bench`, 64 wrong usage.
    """
    from harness.bench import commands

    _run(context, output, lambda as_json: commands.compare(before, after, as_json=as_json))


def _run(context: click.Context, output: str | None, verb: Callable[[bool], int]) -> None:
    as_json = (output or (context.obj or {}).get("output")) == "json"
    try:
        sys.exit(verb(as_json))
    except HarnessError as error:
        code = error.exit_code if isinstance(error, UsageError) else TROUBLE
        if as_json:
            print(json.dumps({"ok": False, "error": str(error), "exit_code": code}))
        else:
            print(f"dkv-harness: {error}", file=sys.stderr)
        sys.exit(code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
