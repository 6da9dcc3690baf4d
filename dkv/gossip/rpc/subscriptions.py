"""What one RPC connection listens to: streams of events by their kinds, and the log."""

from __future__ import annotations

from typing import Final

import msgspec

from dkv.gossip.rpc import responses as rpc_responses
from dkv.gossip.rpc.log_tail import LEVELS, LogLine, is_at_least
from dkv.gossip.serf.events import MemberChange, MemberEvent, QueryKey, QueryReceived, UserEventReceived
from dkv.gossip.serf.queries import PENDING_MAX

STREAMS_MAX: Final = 64
"""Of one connection; the `serf` command has one."""

KINDS_MAX: Final = 64
"""In the request for one stream."""

_USER, _QUERY, _ALL = "user", "query", "*"
_NAMED: Final = (_USER, _QUERY)
_KINDS: Final = frozenset({*MemberChange, *_NAMED, _ALL})

StreamedEvent = MemberEvent | UserEventReceived | QueryReceived


class Refused(Exception):
    """A wish that is not granted, in the agent's words."""


class _Filter(msgspec.Struct, frozen=True):
    """``name``: only the user events or queries of this name; empty: all."""

    kind: str
    name: str = ""

    def passes(self, kind: str, name: str) -> bool:
        return self.kind == _ALL or (self.kind == kind and self.name in ("", name))


def _read_filters(kinds: str) -> tuple[_Filter, ...]:
    """``member-join,user:deploy``. Raises ``Refused``."""
    filters = []
    for each in kinds.split(",", KINDS_MAX):
        kind, _, name = each.strip().partition(":")
        if kind not in _KINDS or (name and kind not in _NAMED):
            raise Refused("Invalid event filter")
        filters.append(_Filter(kind, name))
    return tuple(filters)


class Subscriptions:
    """By the sequence of the request that began each. Its records are given back as bytes, to be sent."""

    def __init__(self) -> None:
        self._streams: dict[int, tuple[_Filter, ...]] = {}
        self._monitor: tuple[int, str] | None = None
        self._queries: dict[int, QueryKey] = {}
        self._ids = 0

    def open_stream(self, sequence: int, kinds: str) -> None:
        """Raises ``Refused``."""
        if sequence in self._streams:
            raise Refused("Stream with given sequence exists")
        if len(self._streams) >= STREAMS_MAX:
            raise Refused(f"{STREAMS_MAX} streams are open already")
        self._streams[sequence] = _read_filters(kinds)

    def open_monitor(self, sequence: int, level: str) -> str:
        """The level as it is called. Raises ``Refused``."""
        if self._monitor is not None:
            raise Refused("Monitor already exists")
        if level.upper() not in LEVELS:
            raise Refused(f"Unknown log level: {level.upper()}")
        self._monitor = sequence, level.upper()
        return level.upper()

    def stop(self, sequence: int) -> None:
        """There need not be one."""
        self._streams.pop(sequence, None)
        if self._monitor is not None and self._monitor[0] == sequence:
            self._monitor = None

    def query(self, id: int) -> QueryKey | None:
        """Which query a client means by ``id``."""
        return self._queries.get(id)

    def records(self, event: StreamedEvent) -> list[bytes]:
        """One for each stream that it belongs to."""
        kind, name = _kind(event)
        listening = [
            sequence for sequence, filters in self._streams.items() if any(each.passes(kind, name) for each in filters)
        ]
        return [rpc_responses.header(sequence) + self._record(event) for sequence in listening]

    def log_records(self, *lines: LogLine) -> list[bytes]:
        """For the monitor, if there is one, of what is important enough for it."""
        if self._monitor is None:
            return []
        sequence, level = self._monitor
        shown = [line for line in lines if is_at_least(line, level)]
        return [rpc_responses.header(sequence) + rpc_responses.log_record(line.text) for line in shown]

    def _record(self, event: StreamedEvent) -> bytes:
        match event:
            case MemberEvent():
                return rpc_responses.member_record(event.change, [event.member])
            case UserEventReceived():
                return rpc_responses.user_record(event.ltime, event.name, event.payload, coalesce=event.coalesce)
            case QueryReceived():
                return rpc_responses.query_record(self._number(event.key), event.key.ltime, event.name, event.payload)

    def _number(self, key: QueryKey) -> int:
        """The connection's own id for a query; the oldest are forgotten."""
        self._ids += 1
        self._queries[self._ids] = key
        self._queries.pop(self._ids - PENDING_MAX, None)
        return self._ids


def _kind(event: StreamedEvent) -> tuple[str, str]:
    """The kind by its name in filters, and the name of the event itself."""
    match event:
        case MemberEvent():
            return event.change, ""
        case UserEventReceived():
            return _USER, event.name
        case QueryReceived():
            return _QUERY, event.name
