"""A member of a Serf cluster that runs: the kernel, its sockets, its clock, its files, and the RPC for operators.

``Kernel`` decides what is said, ``Driver`` moves it, ``Memory`` keeps what a restart needs, ``Contacts`` says whom to
call, ``Journal`` tells people. Law: nothing that comes from outside, however hostile, ends any of this.
"""

from __future__ import annotations

import asyncio
import os
import platform
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from dkv.clock import Clock
from dkv.errors import StartupError
from dkv.faults.links import LinkFaults
from dkv.files import OS_FILES, Files
from dkv.gossip.agent.calls import Calls
from dkv.gossip.agent.contacts import Contacts
from dkv.gossip.agent.driver import Driver
from dkv.gossip.agent.faulty_links import FaultyLinks
from dkv.gossip.agent.figures import GossipFigures
from dkv.gossip.agent.journal import Journal
from dkv.gossip.agent.memory import Memory
from dkv.gossip.agent.options import Options
from dkv.gossip.agent.rpc_port import RpcPort
from dkv.gossip.agent.sockets import Sockets, bind
from dkv.gossip.agent.tally import Tally, figures_of
from dkv.gossip.agent.tasks import Tasks
from dkv.gossip.agent.views import MemberView, Views
from dkv.gossip.kernel import Kernel, KernelEvent
from dkv.gossip.rpc.log_tail import LogLine
from dkv.gossip.serf.departure import Stage
from dkv.gossip.serf.events import (
    Departed,
    JoinSettled,
    Level,
    MemberEvent,
    NameConflictSettled,
    Note,
    QueryReceived,
    Rekey,
    UserEventReceived,
)
from dkv.gossip.serf.serf import Leaving
from dkv.gossip.serf.snapshot_file import Clocks
from dkv.gossip.wire.encryption import NONCE_BYTES, Keyring
from dkv.gossip.wire.limits import TooLarge
from dkv.gossip.wire.particulars import Address

if TYPE_CHECKING:
    import random

__all__ = ["Agent", "MemberView"]


class Agent:
    """One member. ``start``, then ``leave`` (or not), then ``stop``."""

    def __init__(
        self,
        name: str,
        options: Options,
        *,
        tags: Mapping[str, str],
        clock: Clock,
        wall_s: Callable[[], float],
        rng: random.Random,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        on_change: Callable[[], None],
        on_departed: Callable[[], None],
        on_name_lost: Callable[[], None] = lambda: None,
        faults: LinkFaults | None = None,
        files: Files = OS_FILES,
        version: str = "",
        new_nonce: Callable[[], bytes] = lambda: os.urandom(NONCE_BYTES),
    ) -> None:
        """``wall_s``: seconds since the epoch, for lines of log. ``spawn`` starts a task of the node's.

        ``on_change``: any member, status or tag has changed. ``on_departed``: an operator let us leave (``serf leave``)
        and everybody has heard of it; not after ``leave``. ``on_name_lost``: another member has our name, and the
        others know it under that name, not us; this one is silent from now on, as Serf's agents end then.
        ``version``: for ``serf info``. ``new_nonce``: 12 bytes that never come twice under one key.
        """
        self._name, self._options, self._tags, self._own_tags = name, options, dict(tags), set(tags)
        self._clock, self._rng, self._new_nonce, self._version = clock, rng, new_nonce, version
        self._on_change, self._on_departed, self._on_name_lost = on_change, on_departed, on_name_lost
        self._tasks, self._tally, self._views = Tasks(spawn), Tally(), Views()
        self._journal = Journal(time.monotonic, wall_s, self._show)  # a log that a lying clock stops is no witness
        self._links = None if faults is None else FaultyLinks(faults, rng)
        self._memory = Memory(options.directory, files, self._clocks, self._complain)
        self._roster_version = -1
        self._leaving, self._departed = False, asyncio.Event()
        self._calls: Calls
        self._kernel: Kernel | None = None
        self._driver: Driver | None = None
        self._rpc: RpcPort | None = None
        self._address = options.address

    # --- for the node -------------------------------------------------------------------------------------------------

    @property
    def address(self) -> Address:
        """Where others reach us; with the real port after ``start``."""
        return self._address

    @property
    def rpc_address(self) -> Address | None:
        """Where the RPC is served, with the real port; after ``start``."""
        return None if self._rpc is None else self._rpc.address

    async def start(self, sockets: Sockets | None = None) -> None:
        """Listen and begin; ``sockets``: taken already, with ``sockets.bind``. Raises ``StartupError``."""
        sockets = sockets or bind(self._options.address)
        try:
            await self._begin(sockets)
        except BaseException:
            await self.stop()
            sockets.close()
            raise

    def members(self) -> list[MemberView]:
        """By name, ourselves among them; none before ``start``."""
        return self._views.all()

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Instead of those that were given before; tags that operators added stay as long as there is room."""
        self._tags = dict(tags)
        self._own_tags |= tags.keys()
        if self._kernel is None:
            return
        ourselves = self._kernel.serf.ourselves
        now_told = ourselves.tags if ourselves else {}
        operators = {tag: text for tag, text in now_told.items() if tag not in self._own_tags}
        try:
            try:
                self._kernel.serf.set_tags({**operators, **tags})
            except TooLarge:
                self._journal.write(Level.WARN, f"no room for the tags {', '.join(sorted(operators))} beside our own")
                self._kernel.serf.set_tags(tags)
        except Leaving:
            return  # it is of no interest any more
        self._running.wake()

    def force_leave(self, name: str) -> None:
        """``name``, which failed, is gone for good; nothing if it is alive and objects."""
        if self._kernel is not None:
            self._kernel.serf.force_leave(name, self._clock.now())
            self._running.wake()

    async def leave(self, timeout_s: float) -> None:
        """Go, so that everybody sees ``left`` and nobody ``failed``; returns when that is told, or out of time."""
        if self._kernel is None:
            return
        self._leaving = True
        self._kernel.serf.leave(self._clock.now())
        self._running.wake()
        try:
            async with asyncio.timeout(timeout_s):
                await self._departed.wait()
        except TimeoutError:
            self._journal.write(Level.WARN, f"not everybody heard within {timeout_s:g} s that we leave")

    async def stop(self) -> None:
        """Close everything, without a word to the others."""
        if self._rpc is not None:
            await self._rpc.close()
        if self._driver is not None:
            self._driver.close()
        await self._tasks.end()
        await self._memory.close()

    def figures(self) -> GossipFigures:
        """The numbers of now."""
        if self._kernel is None:
            return GossipFigures()
        return figures_of(self._kernel, self._tally, 0 if self._rpc is None else len(self._rpc))

    # --- start --------------------------------------------------------------------------------------------------------

    async def _begin(self, sockets: Sockets) -> None:
        options, self._address = self._options, sockets.address
        snapshot, keyring = await self._memory.recall()
        self._kernel = self._new_kernel(keyring or options.keyring, snapshot.clocks)
        if keyring is not None and keyring != options.keyring:
            self._journal.write(Level.INFO, f"keys are those of {options.directory / 'keyring.json'}")
        known = {name: address for name, address in snapshot.alive.items() if name != self._name}
        if self._links is not None:
            self._links.know(known)
        self._driver = driver = self._new_driver(self._kernel, sockets)
        self._calls = Calls(self._name, options.join, self._kernel, self._clock, self._views, driver, self._journal)
        if options.rpc is not None:
            self._rpc = self._new_rpc(self._kernel, self._driver)
            await self._rpc.open(options.rpc)
        await self._driver.open()
        self._tasks.start(self._memory.keep())
        self._tasks.start(self._calls.keep(Contacts(known, self._rng, self._clock.now())))

    def _new_kernel(self, keyring: Keyring | None, recovered: Clocks) -> Kernel:
        options = self._options
        try:
            return Kernel(
                self._name,
                self._address,
                rng=self._rng,
                now=self._clock.now(),
                tags=self._tags,
                new_nonce=self._new_nonce,
                profile=options.profile,
                label=options.label,
                keyring=keyring,
                recovered=recovered,
            )
        except TooLarge as error:
            raise StartupError(f"this node's tags do not fit into gossip: {error}") from None

    def _new_driver(self, kernel: Kernel, sockets: Sockets) -> Driver:
        return Driver(
            kernel,
            sockets,
            self._options.profile,
            clock=self._clock,
            tally=self._tally,
            new_nonce=self._new_nonce,
            spawn=self._tasks.start,
            deliver=self._deliver,
            settle=self._settle,
            refused=self._refuse,
            links=self._links,
        )

    def _new_rpc(self, kernel: Kernel, driver: Driver) -> RpcPort:
        return RpcPort(
            kernel,
            clock=self._clock,
            tally=self._tally,
            log_tail=self._journal.tail,
            stats=self._stats,
            token=self._options.rpc_token,
            own_tags=lambda: frozenset(self._own_tags),
            spawn=self._tasks.start,
            wake=driver.wake,
        )

    # --- what happens -------------------------------------------------------------------------------------------------

    def _deliver(self, event: KernelEvent, now: float) -> None:
        match event:
            case MemberEvent():
                self._memory.note(event)
                self._journal.member(event)
            case UserEventReceived() | QueryReceived():
                self._memory.note_time()
            case Rekey():
                self._memory.note_keyring(event.keyring)
            case Note():
                self._journal.write(event.level, event.text)
            case JoinSettled():
                self._calls.settled(event)
        if self._rpc is not None:
            self._rpc.deliver(event, now)
        if isinstance(event, Departed):
            self._depart()
        elif isinstance(event, NameConflictSettled):
            self._settle_name(event)

    def _settle(self, now: float) -> None:
        serf = self._serving.serf
        if serf.stage is not Stage.STAYING:
            self._memory.note_leave()
        if serf.roster_version == self._roster_version:
            return
        self._roster_version = serf.roster_version
        self._views.update(serf.members(), now)
        if self._links is not None:
            self._links.know({view.name: view.address for view in self._views.all()})
        self._on_change()

    def _depart(self) -> None:
        self._departed.set()
        if not self._leaving:
            self._journal.write(Level.INFO, "left: an operator asked for it")
            self._on_departed()

    def _settle_name(self, settled: NameConflictSettled) -> None:
        counted = f"{settled.matching} of {settled.responses} members know us by it"
        if not settled.lost:
            self._journal.write(Level.WARN, f"another member uses our name {self._name}, but {counted}: we stay")
            return
        self._journal.write(Level.ERR, f"our name {self._name} belongs to another member ({counted}): we are silent")
        self._running.close()
        self._departed.set()  # there is nobody to say farewell to
        self._on_name_lost()

    def _refuse(self, kind: str, source: Address, why: str) -> None:
        self._tally.refused[kind] += 1
        self._journal.refused(kind, source, why)

    def _show(self, line: LogLine) -> None:
        if self._rpc is not None:
            self._rpc.log(line)

    def _complain(self, text: str) -> None:
        self._journal.write(Level.ERR, text)

    # --- inside -------------------------------------------------------------------------------------------------------

    @property
    def _serving(self) -> Kernel:
        assert self._kernel is not None, "not started"
        return self._kernel

    @property
    def _running(self) -> Driver:
        assert self._driver is not None, "not started, or stopped"
        return self._driver

    def _clocks(self) -> Clocks:
        return self._kernel.serf.clocks() if self._kernel is not None else Clocks()

    def _stats(self) -> dict[str, dict[str, str]]:
        runtime = {
            "os": platform.system().lower(),
            "arch": platform.machine(),
            "version": f"dkv {self._version}".strip(),
            "python": platform.python_version(),
        }
        return {"agent": {"name": self._name}, "runtime": runtime}
