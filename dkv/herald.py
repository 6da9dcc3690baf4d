"""The node in gossip: its agent's life. It says who we are and hears who the others are.

Law: a node goes on without gossip. If the others know somebody else under its name (its own former self at another
port, until they have given that up), it is silent for a while and then tries anew.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import dkv
from dkv.addresses import Address
from dkv.clock import Clock
from dkv.config import Config
from dkv.errors import StartupError
from dkv.faults.state import Faults, files_of
from dkv.gossip.agent.agent import Agent
from dkv.gossip.agent.figures import GossipFigures
from dkv.gossip.agent.options import Options
from dkv.gossip.agent.sockets import Sockets, bind
from dkv.gossip.agent.views import MemberView
from dkv.gossip.memberlist.profiles import PROFILES
from dkv.gossip.wire.particulars import Address as GossipAddress
from dkv.joining import MemberInfo
from dkv.sightings import tags_of

if TYPE_CHECKING:
    import random


RECLAIM_S: Final = 5.0
"""memberlist's DeadNodeReclaimTime: the name of a dead member may have another address so soon after its death. Who a
node is, its incarnation tells, not where it is; without this a node that moved waits for half a minute."""

SILENCE_S: Final = 5.0
"""After our name was found to be somebody else's."""

LEAVE_S: Final = 5.0
"""For the others to hear that we leave; Serf takes about two seconds."""

log = logging.getLogger(__name__)


class Herald:
    """``start`` first. It is a ``dkv.sightings.Gossip`` to the node's other organs."""

    def __init__(
        self,
        config: Config,
        me: MemberInfo,
        cluster: str,
        address: GossipAddress,
        *,
        clock: Clock,
        rng: random.Random,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        on_change: Callable[[], None],
        on_departed: Callable[[], None],
        faults: Faults | None = None,
    ) -> None:
        """``cluster``: where we belong, empty for a newcomer. ``address``: as bound. The call-backs are ``Agent``'s."""
        self._me, self._cluster = me, cluster
        self._options = _options(config, address)
        self._clock, self._rng = clock, rng
        self._spawn, self._on_change, self._on_departed = spawn, on_change, on_departed
        self._faults = faults
        self._ended = False
        self._agent = self._new_agent()

    @property
    def address(self) -> str:
        """Where others reach us, ``host:port``."""
        return str(Address(*self._options.address))

    @property
    def rpc_address(self) -> str | None:
        """Where `serf ... -rpc-addr` finds us; None: nowhere."""
        address = self._agent.rpc_address
        return None if address is None else str(Address(*address))

    async def start(self, sockets: Sockets) -> None:
        """On ``sockets``, which are those of our address. Raises ``StartupError``."""
        await self._agent.start(sockets)

    def belong(self, cluster: str) -> None:
        """We were let in."""
        self._cluster = cluster
        self._agent.set_tags(self._tags())

    def members(self) -> list[MemberView]:
        """By name, ourselves among them."""
        return self._agent.members()

    def figures(self) -> GossipFigures:
        return self._agent.figures()

    def force_leave(self, name: str) -> None:
        """``name``, which failed, is gone for good."""
        self._agent.force_leave(name)

    async def leave(self) -> None:
        """So that the others see that we left, and do not miss us."""
        self._ended = True
        await self._agent.leave(LEAVE_S)

    async def stop(self) -> None:
        """Without a word."""
        self._ended = True
        await self._agent.stop()

    def _tags(self) -> Mapping[str, str]:
        return tags_of(self._me, dkv.__version__, self._cluster)

    def _wall_s(self) -> float:
        return time.time() if self._faults is None else self._faults.clock.wall_ms() / 1000

    def _new_agent(self) -> Agent:
        return Agent(
            self._me.name,
            self._options,
            tags=self._tags(),
            clock=self._clock,
            wall_s=self._wall_s,
            rng=self._rng,
            spawn=self._spawn,
            on_change=self._on_change,
            on_departed=self._on_departed,
            on_name_lost=self._lose_name,
            faults=None if self._faults is None else self._faults.links,
            files=files_of(self._faults),
            version=dkv.__version__,
        )

    def _lose_name(self) -> None:
        self._spawn(self._try_anew())

    async def _try_anew(self) -> None:
        log.warning("the others know another member named %s: silent in gossip for a while", self._me.name)
        await self._agent.stop()
        while True:
            self._agent = self._new_agent()  # which knows nobody yet
            self._on_change()
            await asyncio.sleep(SILENCE_S)
            if self._ended:
                return
            with suppress(StartupError):  # somebody has our port for the moment
                await self._agent.start(bind(self._options.address))
                return


def _options(config: Config, address: GossipAddress) -> Options:
    return Options(
        address=address,
        directory=config.data_dir,
        profile=replace(PROFILES[config.gossip_profile], dead_node_reclaim_s=RECLAIM_S),
        label=config.gossip_label.encode(),
        keyring=config.gossip_keyring,
        rpc=None if config.gossip_rpc is None else GossipAddress(*config.gossip_rpc),
        rpc_token=config.gossip_rpc_token,
        join=tuple(GossipAddress(*target) for target in config.join),
    )
