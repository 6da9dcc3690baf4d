"""A node finds its place: it founds a cluster, asks to be let in, or comes back.

Gossip tells it whom to ask. Whoever is told to join never founds. Asking again is always safe, so it goes on until the
node is a voter.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec

import dkv
from dkv.addresses import Address
from dkv.clock import Clock
from dkv.errors import DkvError, MembershipRefused, Outcome, StartupError
from dkv.identity import Identity, founding
from dkv.joining import JoinAnswer, JoinRequest, MemberInfo
from dkv.levels import Level
from dkv.membership import Call
from dkv.operations import Organs
from dkv.search import search
from dkv.sightings import Gossip

CALL_S = 5.0
"""For one answer to a join: it is given once the directory row is committed."""

RETRY_S = 0.25
"""Between two rounds of asking: an election takes about a second."""

COMPLAIN_S, COMPLAIN_S_MAX = 5.0, 60.0
"""After so long a node that finds nobody says so, and then ever more seldom."""

REFUSED_MAX = 20
"""Refusals (another change under way, the former self not yet known to be dead) until the operator is told: 5 s."""

LOST_S = 10.0
"""Without a leader for so long, a node asks the others whether it still belongs to them."""

ASK_AGAIN_S = 2.0
"""Without a word of any leader for so long, a joiner asks to be let in again: the one that had promised it may have
lost the leadership before it sent anything, and its successor knows of no promise."""

LOOK_S = 1.0
"""How often a settled node looks whether it has lost the others."""

REMOVED = "this node was removed from the cluster; to come back it needs an empty --data-dir and --join"

log = logging.getLogger(__name__)


class Residence:
    """Before and after the organs exist: the questions that a node asks the members."""

    def __init__(self, me: MemberInfo, targets: Sequence[Address], gossip: Gossip, call: Call, clock: Clock) -> None:
        """``targets``: gossip addresses of members, from ``--join``."""
        self._me, self._targets, self._gossip = me, targets, gossip
        self._call, self._clock = call, clock

    async def found_or_join(self) -> Identity:
        """For an empty data directory: who we are."""
        if not self._targets:
            identity = founding(self._me.name, self._me.identity)
            log.info("founding cluster %s", identity.cluster)
            return identity
        answer = await self._ask_until_let_in()
        log.info("let into cluster %s by %s", answer.cluster, answer.leader)
        return Identity(cluster=answer.cluster, name=self._me.name, identity=self._me.identity, founder=answer.founder)

    async def _ask_until_let_in(self) -> JoinAnswer:
        refused, pause_s = 0, COMPLAIN_S
        complain_at = self._clock.now() + pause_s
        while True:
            found = search(self._gossip.members(), self._me.name, self._targets)
            problem = found.problem
            for target in found.rest:
                try:
                    return await self._ask(target)
                except MembershipRefused as error:
                    refused += 1
                    if refused >= REFUSED_MAX:
                        raise StartupError(f"{target} does not let this node in: {error.message}") from None
                    problem = error.message
                    break  # the leader has spoken; the others would only send us to it again
                except DkvError as error:
                    if not error.retryable and error.outcome is Outcome.NOT_APPLIED:
                        raise StartupError(f"{target} does not let this node in: {error.message}") from None
                    problem = error.message
            if self._clock.now() >= complain_at:
                pause_s = min(2 * pause_s, COMPLAIN_S_MAX)
                complain_at = self._clock.now() + pause_s
                log.warning("not let in yet, trying on: %s", problem)
            await asyncio.sleep(RETRY_S)

    async def _ask(self, target: str) -> JoinAnswer:
        """At ``target``, or at the leader that it names."""
        me = self._me
        request = JoinRequest(me.identity, me.name, me.rest, me.raft, dkv.__version__)
        for _ in range(3):
            try:
                reply = await self._call(target, "POST", "/join", request, self._clock.now() + CALL_S)
                return msgspec.convert(reply, JoinAnswer)
            except DkvError as error:
                if error.leader is None or error.leader.rest == target:
                    raise
                target = error.leader.rest
        raise MembershipRefused("The leader changes too often to be asked.")

    async def reside(self, organs: Organs, settled: asyncio.Event, stop: Callable[[str], None]) -> None:
        """As long as the node runs. ``settled`` is set once it has caught up, is found where it is, and votes."""
        heard = asked = self._clock.now()
        while True:
            if organs.replica.leader is not None:
                heard = asked = self._clock.now()
            elif not settled.is_set() and self._clock.now() - asked > ASK_AGAIN_S:
                await self._ask_again(organs)
                asked = self._clock.now()
            elif self._clock.now() - heard > LOST_S:
                heard = self._clock.now()
                if await self._is_forgotten(organs):
                    stop(REMOVED)
            if not settled.is_set() and organs.replica.leader is not None:
                try:
                    await self._settle(organs, settled, stop)
                except DkvError as error:
                    log.info("not settled yet: %s", error)
            await asyncio.sleep(LOOK_S if settled.is_set() else RETRY_S)

    async def _settle(self, organs: Organs, settled: asyncio.Event, stop: Callable[[str], None]) -> None:
        deadline = self._clock.now() + CALL_S
        await organs.router.read([], Level.LINEARIZABLE, deadline=deadline)
        organs.membership.caught_up()
        row = organs.directory.row(self._me.identity)
        if organs.replica.is_leader:
            await organs.membership.write_me(deadline)
            settled.set()
        elif row is None:
            stop(REMOVED)
        elif row == self._me and self._me.identity in organs.replica.status().voters:
            settled.set()
        elif (leader := organs.directory.hint(organs.replica.leader)) is not None:
            await self._ask(leader.rest)

    async def _ask_again(self, organs: Organs) -> None:
        """Of a node that is no voter as far as it knows; a voter's peers will speak to it by themselves."""
        if self._me.identity in organs.replica.status().voters or await self._is_forgotten(organs):
            return
        for member in organs.directory.members():
            if member.identity == self._me.identity:
                continue
            try:
                await self._ask(member.rest)
                return
            except DkvError as error:
                log.info("%s does not let this node in yet: %s", member.name, error)

    async def _is_forgotten(self, organs: Organs) -> bool:
        """Whether a member that knows a leader does not know us: we were removed while nobody could tell us."""
        for member in organs.directory.members():
            if member.identity == self._me.identity:
                continue
            try:
                view = await self._call(member.rest, "GET", "/nodes", None, self._clock.now() + CALL_S)
                known = msgspec.convert(view, _Nodes)
            except (DkvError, msgspec.ValidationError) as error:
                log.info("%s cannot say whether this node still belongs: %s", member.name, error)
                continue
            has_leader = any(other.leader for other in known.members)
            same = known.cluster == organs.cluster
            if same and has_leader and all(other.identity != self._me.identity for other in known.members):
                return True
        return False


class _Member(msgspec.Struct):
    identity: str
    leader: bool


class _Nodes(msgspec.Struct):
    """What we need of ``GET /nodes``."""

    cluster: str
    members: list[_Member]
