"""How one member of a Serf cluster is set up: where it listens, whom it asks first, what it shares with the others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dkv.gossip.memberlist.profiles import LAN, Profile
from dkv.gossip.wire.encryption import Keyring
from dkv.gossip.wire.particulars import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """``address``: UDP and TCP, as it is told to others; the host may be a name, and port 0 is any that is free.

    ``join``: any members, tried until one answers, and later again while one is not alive in our view, so that islands
    merge. ``directory``: keeps ``serf.snapshot`` and ``keyring.json``; the latter outweighs ``keyring``. ``rpc``: where
    ``serf ... -rpc-addr`` is served, None: nowhere; ``rpc_token``: what its clients must show, empty: nothing.
    """

    address: Address
    directory: Path
    profile: Profile = LAN
    label: bytes = b""
    keyring: Keyring | None = None
    rpc: Address | None = None
    rpc_token: str = ""
    join: tuple[Address, ...] = ()
