"""What is told about a member wherever it is named: its name, address, versions and meta, and how each travels."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import Final, NamedTuple

from dkv.gossip.wire import packing
from dkv.gossip.wire.limits import META_ACCEPTED_BYTES_MAX, NAME_BYTES_MAX, BadPacket
from dkv.gossip.wire.unpacking import Value

U8_MAX, U16_MAX, U32_MAX, U64_MAX = (2**bits - 1 for bits in (8, 16, 32, 64))
I64_MAX = 2**63 - 1


class Address(NamedTuple):
    """Where a member listens, UDP and TCP: an IP address as text, and a port. Ready for ``sendto``."""

    host: str
    port: int


class Versions(NamedTuple):
    """What a member can speak (minimum, maximum) and speaks (current): memberlist's protocol, and Serf's."""

    protocol_min: int
    protocol_max: int
    protocol: int
    delegate_min: int
    delegate_max: int
    delegate: int


OUR_VERSIONS: Final = Versions(1, 5, 2, 2, 5, 5)
"""What agents announce. Anything else makes push/pull fail for the whole cluster sooner or later."""


def read_name(value: Value) -> str:
    """A member's name. It can stand in a log and on a terminal as it is."""
    name = read_name_or_nothing(value)
    if not name:
        raise BadPacket("a member without a name")
    return name


def read_name_or_nothing(value: Value) -> str:
    """A member's name where there need not be one."""
    name = value.text(NAME_BYTES_MAX)
    if not name.isprintable():
        raise BadPacket("a name that cannot be printed")
    return name


def read_address(host: Value, port: Value) -> Address:
    """4 bytes, or 16; a port of 0 means the receiver's own (agents read it so)."""
    data = host.raw()
    if len(data) == 4:
        return Address(".".join(map(str, data)), port.integer(U16_MAX))
    if len(data) == 16:
        return Address(str(IPv6Address(data)), port.integer(U16_MAX))
    raise BadPacket(f"an IP address of {len(data)} bytes")


def pack_host(address: Address) -> bytes:
    """The address's 4 or 16 bytes, packed."""
    return packing.raw(ip_address(address.host).packed)


def read_meta(value: Value) -> bytes:
    """A member's tags, still encoded."""
    meta = value.raw()
    if len(meta) > META_ACCEPTED_BYTES_MAX:
        raise BadPacket(f"Meta of {len(meta)} bytes, the limit is {META_ACCEPTED_BYTES_MAX}")
    return meta


def read_versions(value: Value) -> Versions | None:
    """Six bytes, or a list of six numbers; nothing at all is allowed. A few of them kill old agents: refused."""
    data = bytes(octet.integer(U8_MAX) for octet in value.array(6)) if value.is_array() else value.raw()
    if data and len(data) != 6:
        raise BadPacket(f"versions of {len(data)} bytes instead of 6")
    return Versions(*data) if data else None


def pack_versions(versions: Versions | None) -> bytes:
    """Six bytes, packed."""
    return packing.raw_or_nil(bytes(versions) if versions else None)
