"""The autopilot's hands: as long as this node leads, it looks, carries out what was decided, and writes it down.

Law: no look while a change is under way, be it its own or somebody else's.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from dkv.autopilot import Autopilot, Decision, Kind
from dkv.clock import Clock
from dkv.directory import name_in
from dkv.errors import DkvError
from dkv.membership import Membership

if TYPE_CHECKING:
    from dkv.kv.state_machine import KeyValue
    from dkv.raft.replica import Replica

LOOK_S: Final = 0.1
"""Between two looks; a third of the shortest stabilization."""

PROMOTE_S: Final = 600.0
"""For a member to catch up; a large snapshot takes minutes. One that stands still is given up before (raft.changes)."""

REMOVE_S: Final = 10.0
"""For a removal: two entries of the log."""

DECISIONS_MAX: Final = 32
"""Kept for ``GET /nodes``; the log has all of them."""

log = logging.getLogger(__name__)


class Pilot:
    """``run`` it on every node; only the leader's does anything."""

    def __init__(
        self,
        membership: Membership,
        replica: Replica[KeyValue],
        new_autopilot: Callable[[], Autopilot],
        *,
        clock: Clock,
        wall_ms: Callable[[], int],
    ) -> None:
        """``new_autopilot``: one for each term of office."""
        self._membership, self._replica, self._new_autopilot = membership, replica, new_autopilot
        self._clock, self._wall_ms = clock, wall_ms
        self._autopilot: Autopilot | None = None
        self._written: deque[dict[str, str]] = deque(maxlen=DECISIONS_MAX)

    def decisions(self) -> list[dict[str, str]]:
        """The last ones of this node: ``at``, ``member``, ``decision``, ``reason``."""
        return list(self._written)

    async def run(self) -> None:
        while True:
            if not self._replica.is_leader:
                self._autopilot = None
            elif not self._membership.is_changing:
                self._autopilot = self._autopilot or self._new_autopilot()
                await self._look(self._autopilot)
            await asyncio.sleep(LOOK_S)

    async def _look(self, autopilot: Autopilot) -> None:
        look = autopilot.look(self._membership.picture(), self._clock.now())
        for decision in look.news:
            self._write(decision)
        if look.change is None:
            return
        try:
            await self._carry_out(look.change)
        except DkvError as error:
            autopilot.failed(look.change)
            log.info("%s of %s in vain: %s", look.change.kind, look.change.member, error)

    async def _carry_out(self, change: Decision) -> None:
        if change.kind is Kind.PROMOTE:
            await self._membership.promote(change.member, self._clock.now() + PROMOTE_S)
            log.info("%s is a voter", change.member)
        else:
            await self._membership.expel(change.member, self._clock.now() + REMOVE_S)

    def _write(self, decision: Decision) -> None:
        at = datetime.fromtimestamp(self._wall_ms() / 1000, UTC).isoformat(timespec="milliseconds")
        name = name_in(decision.member)
        self._written.append({"at": at, "member": name, "decision": decision.kind, "reason": decision.reason})
        log.log(
            logging.WARNING if decision.kind is Kind.KEEP else logging.INFO,
            "autopilot: %s %s, because %s",
            decision.kind,
            decision.member,
            decision.reason,
        )
