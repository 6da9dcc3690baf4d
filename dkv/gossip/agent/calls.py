"""Calls the contacts, until we are not alone and for as long as one of them is not with us."""

from __future__ import annotations

import asyncio

from dkv.clock import Clock
from dkv.gossip.agent.contacts import Contacts
from dkv.gossip.agent.driver import Driver
from dkv.gossip.agent.journal import Journal
from dkv.gossip.agent.lookup import NotFound, resolve
from dkv.gossip.agent.views import Views
from dkv.gossip.kernel import Kernel
from dkv.gossip.serf.departure import Stage
from dkv.gossip.serf.events import JoinSettled, Level
from dkv.gossip.serf.serf import Leaving
from dkv.gossip.wire.internal_queries import Status
from dkv.gossip.wire.particulars import Address


class Calls:
    """Of the member ``name``, whose operator named the ``seeds``."""

    def __init__(
        self,
        name: str,
        seeds: tuple[Address, ...],
        kernel: Kernel,
        clock: Clock,
        views: Views,
        driver: Driver,
        journal: Journal,
    ) -> None:
        self._name, self._seeds = name, seeds
        self._kernel, self._clock, self._views = kernel, clock, views
        self._driver, self._journal = driver, journal
        self._joins: dict[int, asyncio.Future[JoinSettled]] = {}

    def settled(self, event: JoinSettled) -> None:
        """A join is over, perhaps one of an operator's."""
        waiting = self._joins.pop(event.join, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(event)

    async def keep(self, contacts: Contacts) -> None:
        """Returns when there is nobody left to look for, or we leave."""
        while self._kernel.serf.stage is Stage.STAYING:
            refusals = await self._round(contacts)
            alone = not any(view.status is Status.ALIVE and view.name != self._name for view in self._views.all())
            if alone and (complaint := contacts.complaint(refusals, self._clock.now())):
                self._journal.write(Level.WARN, complaint)
            await asyncio.sleep(contacts.pause_s(alone=alone))
            if contacts.is_early(len(self._views.all())):
                self._kernel.exchange(self._clock.now())
                self._driver.wake()
            elif not self._seeds and not contacts.known:
                return

    async def _round(self, contacts: Contacts) -> dict[str, str]:
        """Place → why it could not be joined."""
        refusals, seeds = dict[str, str](), list[Address]()
        for place in self._seeds:
            try:
                seeds.append(await resolve(place))
            except NotFound as error:
                refusals[_shown(place)] = str(error)
        views = self._views.all()
        alive = {view.address for view in views if view.status is Status.ALIVE}
        called = contacts.choose(seeds, alive, {view.name for view in views}, self._clock.now())
        return refusals | (await self._call(called) if called else {})

    async def _call(self, places: list[Address]) -> dict[str, str]:
        try:
            number = self._kernel.join(places, self._clock.now())
        except Leaving:
            return {}
        settled = self._joins[number] = asyncio.get_running_loop().create_future()
        self._driver.wake()
        outcome = await settled
        if outcome.joined:
            self._journal.write(Level.INFO, f"exchanged states with {outcome.joined} of {len(places)} that we called")
        return {_shown(place): why for place, why in outcome.refusals.items()}


def _shown(place: Address) -> str:
    return f"{place.host}:{place.port}"
