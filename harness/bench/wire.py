"""Bytes that nodes have sent to each other over TCP, socket by socket, as ``ss -tinH`` tells them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Collection, Mapping

from harness.errors import Refused

Socket = tuple[str, str]
"""The address of this end and of the other one."""
SENT = re.compile(r"\bbytes_sent:(\d+)")
COLUMNS = 4
"""Of a socket's first line, with a filter for its state: Recv-Q, Send-Q, local address, peer's address."""


def sockets(ports: Collection[int]) -> dict[Socket, int]:
    """Of every established connection with one of these ports at either end. Raises Refused."""
    if shutil.which("ss") is None:
        raise Refused("no program ss, which tells what the nodes send to each other: Debian has it in iproute2")
    command = ["ss", "-tinH", "state", "established"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=10.0, check=True).stdout
    return {ends: sent for ends, sent in parse(told).items() if any(_port(end) in ports for end in ends)}


def parse(told: str) -> dict[Socket, int]:
    """Of each socket, how many bytes it has sent; one that has sent nothing does not say so."""
    found: dict[Socket, int] = {}
    ends: Socket | None = None
    for line in told.splitlines():
        if not line[:1].isspace():
            columns = line.split()
            ends = (columns[2], columns[3]) if len(columns) >= COLUMNS else None
        elif ends is not None:
            sent = SENT.search(line)
            found[ends] = int(sent[1]) if sent else 0
    return found


def sent_between(before: Mapping[Socket, int], after: Mapping[Socket, int]) -> int:
    """By all sockets that are there at the end: new ones have sent all that they have sent meanwhile."""
    return sum(sent - min(sent, before.get(ends, 0)) for ends, sent in after.items())


def _port(address: str) -> int:
    port = address.rpartition(":")[2]
    return int(port) if port.isdigit() else 0
