"""The ``dkv`` program as a client: one command an operation, over ``sync.Client``.

Exit codes: 0 done, 1 not found or refused, 2 wrong usage, 3 nobody knows whether it happened, 4 nobody answered.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec

import click

from dkv.client.calls import CHANGE_TIMEOUT_S
from dkv.client.core import Retry
from dkv.client.display import STATUS_COLUMNS, member_rows, print_json, print_rows, rows_of, status_rows
from dkv.client.nodes import parse_address
from dkv.client.sync import Client
from dkv.errors import DkvError, Timeout, UnknownOutcome, Unreachable

P = ParamSpec("P")

TIMEOUT_S = 5.0

DEFAULT_NODES = "127.0.0.1:30001"

NOT_FOUND, UNKNOWN, UNREACHABLE = 1, 3, 4

STDIN_BYTES_MAX = 4 * 1024 * 1024
"""Four times what a node takes: enough to let the node say so itself, without reading a disk image first."""

LEVELS = ("linearizable", "weak", "none", "strong")

_EPILOGUE = "Exit codes: 0 done, 1 not found or refused, 2 usage, 3 outcome unknown, 4 nobody answered."


@dataclass(frozen=True, slots=True)
class _Options:
    """What all commands have in common. ``timeout`` in seconds, None: what suits the command."""

    nodes: list[str]
    timeout: float | None
    json: bool
    color: bool

    def client(self, level: str = "linearizable", retry: Retry | None = None) -> Client:
        return Client(self.nodes, timeout=self.timeout or TIMEOUT_S, level=level, retry=retry)

    @property
    def change_timeout(self) -> float:
        return self.timeout or CHANGE_TIMEOUT_S

    def show(
        self,
        document: Any,
        *,
        rows: Callable[[Any], list[dict[str, Any]]] = rows_of,
        only: Collection[str] | None = None,
    ) -> None:
        if self.json:
            print_json(document)
        else:
            print_rows(rows(document), color=self.color, only=only)

    def say(self, sentence: str, document: Any) -> None:
        if self.json:
            print_json(document)
        else:
            click.echo(sentence)


def commands() -> list[click.Command]:
    """All of them, for a ``click.Group`` to attach."""
    return [_get, _set, _delete, _status, _nodes, _leader, _leave, _remove, _transfer]


def _parse_nodes(context: click.Context, parameter: click.Parameter, text: str) -> list[str]:
    try:
        return [parse_address(part.strip()) for part in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


_COMMON = (
    click.option(
        "--nodes",
        "-n",
        "addresses",
        default=DEFAULT_NODES,
        envvar="DKV_NODES",
        show_default=True,
        show_envvar=True,
        metavar="HOST:PORT[,...]",
        callback=_parse_nodes,
        help="Any nodes of the cluster; several let the command survive the loss of one.",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        show_default=f"{TIMEOUT_S:g}; {CHANGE_TIMEOUT_S:g} for leave, remove and transfer",
        metavar="SECONDS",
        help="For everything together, with all retries.",
    ),
    click.option("--output", "-o", type=click.Choice(["text", "json"]), default="text", help="How to print [text]."),
    click.option("--no-color", is_flag=True, help="Plain text (NO_COLOR does the same)."),
)


def _command(name: str) -> Callable[[Callable[Concatenate[_Options, P], None]], click.Command]:
    """A command with the common options; errors of the client end it with their sentence and exit code."""

    def decorate(function: Callable[Concatenate[_Options, P], None]) -> click.Command:
        def run(
            addresses: list[str], timeout: float | None, output: str, no_color: bool, *args: P.args, **more: P.kwargs
        ) -> None:
            options = _Options(addresses, timeout, output == "json", not no_color)
            with _explained():
                function(options, *args, **more)

        command: Any = update_wrapper(run, function)
        for option in reversed(_COMMON):
            command = option(command)
        return click.command(name, epilog=_EPILOGUE)(command)

    return decorate


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except DkvError as error:
        at = f" (node {error.node})" if error.node and error.node not in error.message else ""
        click.echo(f"dkv: {error.message}{at} [{error.code}, {error.outcome}]", err=True)
        raise click.exceptions.Exit(_exit_code(error)) from error


def _exit_code(error: DkvError) -> int:
    if isinstance(error, UnknownOutcome):
        return UNKNOWN
    return UNREACHABLE if isinstance(error, Unreachable | Timeout) else NOT_FOUND


_level = click.option(
    "--level",
    type=click.Choice(LEVELS),
    default="linearizable",
    show_default=True,
    help="linearizable: the newest value, from any node. weak: the leader's. none: this node's, maybe old. "
    "strong: through the log.",
)
_cas = click.option(
    "--cas",
    type=click.IntRange(min=0),
    metavar="REVISION",
    help="Only if the key is at this revision; 0: only if it is absent.",
)


@_command("get")
@click.argument("key")
@_level
def _get(options: _Options, key: str, level: str) -> None:
    """Print the value of KEY. Exit code 1 if it has none.

    \b
    Examples:
      dkv get greeting
      dkv get greeting --level none -o json
      dkv get -- -1              a key that begins with a dash
    """
    with options.client(level) as client:
        row = client.get_row(key)
    if row is None:
        click.echo(f"dkv: key {key!r} has no value [KEY_NOT_FOUND]", err=True)
        raise click.exceptions.Exit(NOT_FOUND)
    options.say(row.value, {"key": key, "val": row.value, "revision": row.revision})


@_command("set")
@click.argument("key")
@click.argument("value")
@_cas
@click.option(
    "--ttl",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="The key is gone after so long.",
)
def _set(options: _Options, key: str, value: str, cas: int | None, ttl: float | None) -> None:
    """Write VALUE to KEY; "-" reads the value, to its last byte, from standard input.

    \b
    Examples:
      dkv set greeting hello
      dkv set lock me --cas 0 --ttl 30     only if nobody has it; for 30 seconds
      dkv set config - < config.json
    """
    with options.client() as client:
        revision = client.set(key, _from_stdin() if value == "-" else value, cas=cas, ttl=ttl)
    options.say(f"ok, revision {revision}", {"key": key, "revision": revision})


def _from_stdin() -> str:
    data = sys.stdin.buffer.read(STDIN_BYTES_MAX + 1)
    if len(data) > STDIN_BYTES_MAX:
        raise click.UsageError(f"standard input has more than {STDIN_BYTES_MAX} bytes; nothing was sent")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise click.UsageError(f"standard input is not UTF-8 at byte {error.start}; values are text") from error


@_command("delete")
@click.argument("key")
@_cas
def _delete(options: _Options, key: str, cas: int | None) -> None:
    """Delete KEY. A key that was not there is no error.

    \b
    Example:
      dkv delete greeting
    """
    with options.client() as client:
        found = client.delete(key, cas=cas)
    options.say("ok, deleted" if found else "ok, there was no such key", {"key": key, "found": found})


@_command("status")
def _status(options: _Options) -> None:
    """Show each of --nodes as it sees itself: role, term, indices.

    \b
    Example:
      dkv status -n 127.0.0.1:30001,127.0.0.1:30002,127.0.0.1:30003
    """
    rows: list[dict[str, Any]] = []
    errors: list[DkvError] = []
    with options.client(retry=Retry(max_attempts=1)) as client:
        for node in options.nodes:
            try:
                rows.append({"node": node, **client.status(node)})
            except DkvError as error:
                errors.append(error)
                rows.append({"node": node, "error": error.message})
    options.show(rows, rows=status_rows, only=STATUS_COLUMNS)
    if len(errors) == len(rows):
        raise click.exceptions.Exit(max(_exit_code(error) for error in errors))


@_command("nodes")
def _nodes(options: _Options) -> None:
    """List the members and voters of the cluster, as one node sees them, and gossip's word for each.

    \b
    Example:
      dkv nodes -o json
    """
    with options.client() as client:
        options.show(client.nodes(), rows=member_rows)


@_command("leader")
def _leader(options: _Options) -> None:
    """Say who leads.

    \b
    Example:
      dkv leader
    """
    with options.client() as client:
        options.show(client.leader())


@_command("leave")
@click.argument("name")
def _leave(options: _Options, name: str) -> None:
    """Let the node NAME leave the cluster in order. It must be alive; for a dead one see "dkv remove".

    \b
    Example:
      dkv leave n4
    """
    with options.client() as client:
        options.say(f"ok, {name} leaves", client.leave(name, timeout=options.change_timeout))


@_command("remove")
@click.argument("name")
def _remove(options: _Options, name: str) -> None:
    """Take the node NAME, which may be dead, out of the cluster: it counts towards no quorum any more.

    \b
    Example:
      dkv remove n4
    """
    with options.client() as client:
        options.say(f"ok, {name} is removed", client.remove(name, timeout=options.change_timeout))


@_command("transfer")
@click.argument("name", required=False)
def _transfer(options: _Options, name: str | None) -> None:
    """Hand the leadership to the node NAME, or to the one that is furthest.

    \b
    Example:
      dkv transfer n2
    """
    with options.client() as client:
        options.say("ok, the leadership is handed over", client.transfer(name, timeout=options.change_timeout))
