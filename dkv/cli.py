"""The command ``dkv``: ``serve`` runs a node, everything else is a client of one.

The client's commands are imported only when one is asked for: five nodes that start on two cores should not each
import a client first.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import Any

import click

import dkv
from dkv.errors import StartupError

EXIT_REFUSED = 2
"""The node cannot start: wrong flags, a port in use, somebody else's data directory."""


class _Program(click.Group):
    """``serve``, and the client's commands when they are needed."""

    def list_commands(self, context: click.Context) -> list[str]:
        return [*super().list_commands(context), *sorted(_client_commands())]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return super().get_command(context, name) or _client_commands().get(name)


def _client_commands() -> dict[str, click.Command]:
    from dkv.client.commands import commands

    return {command.name or "": command for command in commands()}


@click.group(cls=_Program)
@click.version_option(dkv.__version__, prog_name="dkv")
def program() -> None:
    """A replicated key-value store: run a node, or talk to one."""


@program.command()
@click.option("--id", metavar="NAME", help="The node's name: letters, digits, '_' and '-'.")
@click.option("--rest", metavar="HOST:PORT", help="Where HTTP is served; port 0: any. [127.0.0.1:30000]")
@click.option("--gossip", metavar="HOST:PORT", help="Where nodes find each other; port 0: any. [127.0.0.1:40000]")
@click.option("--raft", metavar="HOST:PORT", help="Where the other nodes connect; port 0: any. [127.0.0.1:50000]")
@click.option("--data-dir", metavar="DIR", help="Where everything is kept; made if absent.")
@click.option("--join", metavar="HOST:PORT", multiple=True, help="Gossip address of any member; repeatable.")
@click.option("--secret-file", metavar="FILE", help="The secret that the cluster's nodes share.")
@click.option("--gossip-key", metavar="FILE", help="Keys in base64, one a line: all gossip is encrypted.")
@click.option("--gossip-profile", metavar="local|lan|wan", help="How patient gossip is; the same for all. [lan]")
@click.option("--gossip-label", metavar="TEXT", help="Keeps the gossip of several clusters apart.")
@click.option("--gossip-rpc", metavar="HOST:PORT", help="For `serf ... -rpc-addr`; closed unless given.")
@click.option("--gossip-rpc-auth", metavar="FILE", help="What the RPC's clients must show.")
@click.option("--on-follower", metavar="redirect|forward", help="What a follower does with a write. [redirect]")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error. [info]")
@click.option("--fault-port", metavar="PORT", help="For tests only: who reaches it on 127.0.0.1 can break this node.")
@click.option("--config", metavar="FILE", help="dkv.toml with the same settings; flags and DKV_* go before it.")
def serve(**flags: Any) -> None:
    """Run a node until SIGTERM.

    With an empty data directory it founds a new cluster, or joins one with --join; afterwards its own disk says where
    it belongs. Each setting may also come from the environment (DKV_DATA_DIR, ...).

    \b
    Example:
      dkv serve --id n1 --rest 127.0.0.1:30001 --gossip 127.0.0.1:40001 --raft 127.0.0.1:50001 --data-dir n1
      dkv serve --id n2 --rest 127.0.0.1:30002 --gossip 127.0.0.1:40002 --raft 127.0.0.1:50002 --data-dir n2 \\
          --join 127.0.0.1:40001
    """
    if sys.flags.optimize:
        sys.exit(_refuse("python -O removes the assertions that keep the data safe: start dkv without it."))
    gc.disable()  # what is imported stays: to look for garbage in it is a tenth of a start; lifecycle enables it
    from dkv.config import load
    from dkv.lifecycle import serve_node

    refusal = ""
    try:
        serve_node(load(flags, os.environ))
    except* StartupError as group:
        refusal = str(_first(group))
    if refusal:
        sys.exit(_refuse(refusal))


def _refuse(sentence: str) -> int:
    click.echo(f"dkv: {sentence}", err=True)
    return EXIT_REFUSED


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
