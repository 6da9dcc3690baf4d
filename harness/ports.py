"""Ports for nodes: faults from 20000, REST from 30000, gossip from 40000, its RPC from 45000, Raft from 50000, the
node's number added (CONTRACT §2).

If any port of a block is taken, the whole block moves by 100, so that one cluster's numbers stay alike. A chosen port
is *reserved* by a bound socket that never listens: most of them lie in the range from which the kernel takes the source
ports of outgoing connections, and without the reservation a stopped node could find its port gone when it comes back.
The node itself can still listen there, because both sockets set SO_REUSEADDR and only one of them listens (Linux).
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable

from harness.errors import Refused

HOST = "127.0.0.1"
REST_BASE = 30_000
RAFT_BASE = 50_000
FAULT_BASE = 20_000
GOSSIP_BASE = 40_000
GOSSIP_RPC_BASE = 45_000
_BASES = (FAULT_BASE, REST_BASE, GOSSIP_BASE, GOSSIP_RPC_BASE, RAFT_BASE)
OFFSET_STEP = 100
"""Room for nodes n1..n99 in a block."""
OFFSET_MAX = 4_800
"""The last block: up to 44,899 and 49,899, short of the next base."""


def rest_port(number: int, offset: int) -> int:
    """The REST port of node ``number`` (from 1) in the block that begins at ``offset``."""
    return REST_BASE + offset + number


def raft_port(number: int, offset: int) -> int:
    """The Raft port of node ``number`` (from 1) in the block that begins at ``offset``."""
    return RAFT_BASE + offset + number


def fault_port(number: int, offset: int) -> int:
    """The fault port of node ``number`` (from 1) in the block that begins at ``offset``."""
    return FAULT_BASE + offset + number


def gossip_port(number: int, offset: int) -> int:
    """The port of node ``number`` (from 1) for gossip, UDP and TCP, in the block that begins at ``offset``."""
    return GOSSIP_BASE + offset + number


def gossip_rpc_port(number: int, offset: int) -> int:
    """The port of node ``number`` (from 1) for ``serf members -rpc-addr=…``, in the block that begins at ``offset``."""
    return GOSSIP_RPC_BASE + offset + number


def choose_offset(
    numbers: Iterable[int],
    is_free: Callable[[int], bool],
    is_claimed: Callable[[int], bool] = lambda _: False,
    first_offset: int = 0,
) -> int:
    """The first block that nobody claims and where the ports of all ``numbers`` are free: from ``first_offset`` on, and
    then from the beginning (under load every tenth port may be some connection's for a minute)."""
    wanted = list(numbers)
    blocks = range(first_offset % OFFSET_STEP, OFFSET_MAX + 1, OFFSET_STEP)
    for offset in sorted(blocks, key=lambda block: (block < first_offset, block)):
        if not is_claimed(offset) and all(is_free(base + offset + number) for number in wanted for base in _BASES):
            return offset
    raise Refused(f"no block of free ports above {', '.join(map(str, _BASES))}")


def is_free(port: int) -> bool:
    """Whether one could listen on this port of the loopback address now, by TCP and by UDP (gossip needs both)."""
    with socket.socket() as probe, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
            datagrams.bind((HOST, port))
        except OSError:
            return False
    return True


def claim(offset: int) -> socket.socket | None:
    """Keep a block for one cluster while the socket lives; None if another has it.

    Needed because a reserved port looks free as long as its node does not run. The name is an abstract one (unix(7)):
    it vanishes with its holder.
    """
    holder = socket.socket(socket.AF_UNIX)
    try:
        holder.bind(f"\0dkv-harness/ports/{offset}")
    except OSError:
        holder.close()
        return None
    return holder


def is_claimed(offset: int) -> bool:
    """Whether a supervisor that lives has this block."""
    holder = claim(offset)
    if holder is None:
        return True
    holder.close()
    return False


def reserve(address: str) -> socket.socket | None:
    """Keep ``host:port`` from becoming a source port while the socket lives; None if it is in use."""
    host, _, port = address.rpartition(":")
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        holder.bind((host, int(port)))
    except OSError:
        holder.close()
        return None
    return holder
