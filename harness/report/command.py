"""The verb ``report``: writes a run's reports anew, for instance with a newer version of this program."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from harness.errors import HarnessError


@click.command("report")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--output", type=click.Choice(["table", "json"]), help="For people or programs.")
@click.pass_context
def report(context: click.Context, run: Path, output: str | None) -> None:
    """Write report.html, report.txt and junit.xml of the chaos run in the directory RUN."""
    from harness.report import files  # other verbs start nodes, which need the processor more than our imports do

    as_json = (output or (context.obj or {}).get("output")) == "json"
    try:
        page = files.write(run)
    except HarnessError as error:
        if as_json:
            print(json.dumps({"ok": False, "error": str(error), "exit_code": error.exit_code}))
        else:
            print(f"dkv-harness: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    if as_json:
        print(json.dumps({"ok": True, "report": str(page)}))
    else:
        print((run / files.TEXT).read_text("utf-8"))
        print(page)
