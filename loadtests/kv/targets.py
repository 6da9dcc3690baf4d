"""Which nodes to load: those that ``--host`` names, else the cluster that ``dkv-harness up`` started."""

from __future__ import annotations

import http.client
import json
import random

from dkv.client.nodes import Nodes, parse_address
from harness.errors import HarnessError
from harness.rundir import find

ASK_S = 3.0


class NoCluster(Exception):
    """Nothing to load; says what to do."""


def find_nodes(host: str | None, run_dir: str | None, rng: random.Random) -> Nodes:
    """``host``: one address, whose node is asked for the others, or several with commas. Raises NoCluster."""
    addresses = _given(host) if host else _started(run_dir)
    if len(addresses) == 1:
        addresses = _members(addresses[0])
    return Nodes(addresses, rng)


def _given(host: str) -> list[str]:
    try:
        return [parse_address(part.strip()) for part in host.split(",") if part.strip()]
    except ValueError as error:
        raise NoCluster(f"--host: {error}") from error


def _started(run_dir: str | None) -> list[str]:
    directory = find(run_dir)
    try:
        roster = directory.load()
    except HarnessError as error:
        raise NoCluster(str(error)) from error
    if roster is None or directory.supervisor_pid() is None:
        raise NoCluster(
            f"no cluster is running in {directory.path}: start one with `dkv-harness up`, or name nodes by --host"
        )
    return [node.rest for node in roster.nodes]


def _members(address: str) -> list[str]:
    connection = http.client.HTTPConnection(address, timeout=ASK_S)
    try:
        connection.request("GET", "/nodes")
        reply = json.loads(connection.getresponse().read())
        return list(dict.fromkeys([address, *(member["rest"] for member in reply["members"] if member["rest"])]))
    except (OSError, http.client.HTTPException) as error:
        raise NoCluster(f"the node at {address} does not answer: {error}") from error
    except (ValueError, KeyError, TypeError):
        return [address]  # it answers, but not in a way that names others: load this one
    finally:
        connection.close()
