"""The members that an operator selects by regular expressions on their tags, status and name (each on all of it)."""

from __future__ import annotations

from collections.abc import Iterable

from dkv.gossip.rpc.requests import Members
from dkv.gossip.serf.expressions import Expression
from dkv.gossip.wire.internal_queries import Member


def select(members: Iterable[Member], wanted: Members) -> list[Member]:
    """In their order. Raises ``BadExpression``."""
    tags = {tag: _whole(pattern) for tag, pattern in wanted.tags.items()}
    status, name = _whole(wanted.status), _whole(wanted.name)
    return [
        member
        for member in members
        if (not wanted.status or status.found_in(member.status.name.lower()))
        and (not wanted.name or name.found_in(member.node))
        and all(expression.found_in(member.tags.get(tag, "")) for tag, expression in tags.items())
    ]


def _whole(pattern: str) -> Expression:
    """As the agent does it: of ``a|b`` the ends belong to one branch each."""
    return Expression(f"^{pattern}$")
