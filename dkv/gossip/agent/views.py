"""The members as the node sees them: by name, each with the time since when it has had its status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dkv.gossip.wire.internal_queries import Member, Status
from dkv.gossip.wire.particulars import Address


@dataclass(frozen=True, slots=True)
class MemberView:
    """One member. ``since``: the clock's time at which ``status`` was seen to change."""

    name: str
    address: Address
    tags: Mapping[str, str]
    status: Status
    since: float


class Views:
    """Remembers when each status began."""

    def __init__(self) -> None:
        self._views: dict[str, MemberView] = {}

    def update(self, members: Iterable[Member], now: float) -> None:
        """All that there are now; the others are forgotten."""
        before = self._views
        self._views = {
            each.node: MemberView(
                each.node, each.address, each.tags, each.status, _since(before.get(each.node), each, now)
            )
            for each in sorted(members, key=lambda member: member.node)
        }

    def all(self) -> list[MemberView]:
        """By name."""
        return list(self._views.values())


def _since(before: MemberView | None, member: Member, now: float) -> float:
    return before.since if before is not None and before.status is member.status else now
