"""Blocks of ports, and that a reserved port stays usable for its node and for nobody else."""

from __future__ import annotations

import socket

import pytest

from harness import ports, roster
from harness.errors import Refused


@pytest.mark.parametrize(
    ("taken", "first_offset", "expected"),
    [
        (set(), 0, 0),
        ({30001}, 0, 100),
        ({50003}, 0, 100),
        ({20001}, 0, 100),
        ({40001}, 0, 100),
        ({45003}, 0, 100),
        ({30002, 50101}, 0, 200),
        ({30004}, 0, 0),
        (set(), 300, 300),
        (set(), 4803, 3),
        (set(range(30101, 31000)) | {40901}, 100, 1000),
        (set(range(30301, 35000)), 300, 0),
    ],
)
def test_the_first_block_that_is_free_as_a_whole(taken: set[int], first_offset: int, expected: int) -> None:
    assert ports.choose_offset([1, 2, 3], lambda port: port not in taken, first_offset=first_offset) == expected


def test_a_claimed_block_is_passed_over() -> None:
    assert ports.choose_offset([1], lambda _: True, lambda offset: offset < 200) == 200


def test_a_claim_ends_with_its_holder() -> None:
    offset = 3  # no block begins there, so no cluster on this machine has it
    claim = ports.claim(offset)
    assert claim is not None
    assert ports.is_claimed(offset)
    claim.close()
    assert not ports.is_claimed(offset)


def test_no_block_is_free() -> None:
    with pytest.raises(Refused, match="no block of free ports"):
        ports.choose_offset([1], lambda _: False)


def test_a_port_in_use_is_not_free() -> None:
    with socket.socket() as listener:
        listener.bind((ports.HOST, 0))
        listener.listen(1)
        assert not ports.is_free(listener.getsockname()[1])


def test_a_port_where_datagrams_go_is_not_free_either() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as listener:
        listener.bind((ports.HOST, 0))
        assert not ports.is_free(listener.getsockname()[1])


def test_blocks_do_not_reach_into_one_another() -> None:
    last = [
        port(roster.NODES_MAX, ports.OFFSET_MAX)
        for port in (ports.fault_port, ports.rest_port, ports.gossip_port, ports.gossip_rpc_port, ports.raft_port)
    ]
    bases = (ports.REST_BASE, ports.GOSSIP_BASE, ports.GOSSIP_RPC_BASE, ports.RAFT_BASE, 65536)
    assert all(port < base for port, base in zip(last, bases, strict=True))


def test_one_can_listen_on_a_reserved_port_and_it_is_no_source_port() -> None:
    with socket.socket() as probe:
        probe.bind((ports.HOST, 0))
        port = probe.getsockname()[1]
    reserved = ports.reserve(f"{ports.HOST}:{port}")
    assert reserved is not None
    with reserved, socket.socket() as dialler, socket.socket() as node:
        with pytest.raises(OSError, match="in use"):
            dialler.bind((ports.HOST, port))
        node.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        node.bind((ports.HOST, port))
        node.listen(1)
        assert ports.reserve(f"{ports.HOST}:{port}") is None
