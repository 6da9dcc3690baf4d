"""What the `serf` command asks an agent over its RPC port: msgpack structs one after another, no framing.

A request is a header (Command, Seq) and, if the command has one, a body. Unlike gossip this dialect knows text from
bytes when it writes; what is read may be of either kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from dkv.gossip.wire.limits import FILTERS_MAX, NAME_BYTES_MAX, STRUCT_BYTES_MAX, TAGS_MAX, BadPacket
from dkv.gossip.wire.particulars import I64_MAX, U8_MAX, U64_MAX
from dkv.gossip.wire.unpacking import Fields, Value, fields_of, skim


class Handshake(msgspec.Struct, frozen=True):
    """The first command of every connection; the only version is 1."""

    version: int


class Auth(msgspec.Struct, frozen=True):
    """The second one, where a token is required."""

    token: str


class Event(msgspec.Struct, frozen=True):
    """Send a user event."""

    name: str
    payload: bytes
    coalesce: bool


class ForceLeave(msgspec.Struct, frozen=True):
    """Take a failed member as left; ``prune``: forget it."""

    node: str
    prune: bool


class Join(msgspec.Struct, frozen=True):
    """Join through ``existing`` (``host:port``); ``replay``: deliver old events."""

    existing: tuple[str, ...]
    replay: bool


class Members(msgspec.Struct, frozen=True):
    """Those whose tags, status and name match regular expressions; "" and no tags: all."""

    tags: Mapping[str, str]
    status: str = ""
    name: str = ""


class Tags(msgspec.Struct, frozen=True):
    """Change our own tags."""

    tags: Mapping[str, str]
    delete: tuple[str, ...]


class Stream(msgspec.Struct, frozen=True):
    """Send records of what happens: ``*``, or kinds of events with commas between."""

    kinds: str


class Monitor(msgspec.Struct, frozen=True):
    """Send records of the log."""

    level: str


class Stop(msgspec.Struct, frozen=True):
    """End the stream or monitor of that request."""

    sequence: int


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the members a query. ``timeout_ns`` 0: the default."""

    name: str
    payload: bytes
    nodes: tuple[str, ...]
    tags: Mapping[str, str]
    wants_acks: bool
    relay_factor: int
    timeout_ns: int


class Respond(msgspec.Struct, frozen=True):
    """Answer the query of that record."""

    id: int
    payload: bytes


class GetCoordinate(msgspec.Struct, frozen=True):
    """Of a member."""

    node: str


class Leave(msgspec.Struct, frozen=True):
    """Leave the cluster, then end."""


class Stats(msgspec.Struct, frozen=True):
    """For `serf info`."""


class ListKeys(msgspec.Struct, frozen=True):
    """Of all members."""


class ChangeKeys(msgspec.Struct, frozen=True):
    """Install, use or remove (the ``verb``) a key, in base64, on all members."""

    verb: str
    key: str


class Unsupported(msgspec.Struct, frozen=True):
    """Nobody knows where its body ends, if it has one: answer and close."""

    command: str


Command = (
    Handshake
    | Auth
    | Event
    | ForceLeave
    | Join
    | Members
    | Tags
    | Stream
    | Monitor
    | Stop
    | Ask
    | Respond
    | GetCoordinate
    | Leave
    | Stats
    | ListKeys
    | ChangeKeys
    | Unsupported
)


class Request(msgspec.Struct, frozen=True):
    """``sequence`` is the client's; it comes back in the response."""

    sequence: int
    command: Command


class RequestReader:
    """The requests of one connection. Feed it bytes as they come."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._offset, self._pending = 0, 1
        self._header: tuple[int, str] | None = None

    def feed(self, data: bytes) -> list[Request]:
        """Bytes → the requests that are now complete. Raises ``BadPacket``: close the connection."""
        self._data += data
        requests = []
        while True:
            self._offset, self._pending = skim(self._data, self._offset, self._pending)
            if self._pending:
                break
            fields = fields_of(bytes(self._data[: self._offset]))
            del self._data[: self._offset]
            self._offset, self._pending = 0, 1
            if (request := self._take(fields)) is not None:
                requests.append(request)
        if len(self._data) > STRUCT_BYTES_MAX:
            raise BadPacket(f"a request of more than {STRUCT_BYTES_MAX} bytes")
        return requests

    def _take(self, fields: Fields) -> Request | None:
        """A header, or the body of the header before."""
        if self._header is None:
            sequence, command = fields["Seq"].integer(U64_MAX), fields["Command"].text(NAME_BYTES_MAX)
            if command in _WITHOUT_BODY:
                return Request(sequence, _WITHOUT_BODY[command])
            if command not in _BODIES:
                return Request(sequence, Unsupported(command))
            self._header = sequence, command
            return None
        (sequence, command), self._header = self._header, None
        return Request(sequence, _BODIES[command](fields))


def _read_ask(fields: Fields) -> Ask:
    return Ask(
        name=fields["Name"].text(),
        payload=fields["Payload"].raw(),
        nodes=_read_texts(fields["FilterNodes"]),
        tags=_read_tags(fields["FilterTags"]),
        wants_acks=fields["RequestAck"].boolean(),
        relay_factor=fields["RelayFactor"].integer(U8_MAX),
        timeout_ns=fields["Timeout"].integer(I64_MAX),
    )


def _read_tags(value: Value) -> dict[str, str]:
    return {name.text(): tag.text() for name, tag in value.mapping(TAGS_MAX)}


def _read_texts(value: Value) -> tuple[str, ...]:
    return tuple(each.text(NAME_BYTES_MAX) for each in value.array(FILTERS_MAX))


def _change_keys(verb: str) -> Callable[[Fields], ChangeKeys]:
    return lambda fields: ChangeKeys(verb, fields["Key"].raw().decode(errors="replace"))


_WITHOUT_BODY: Final[Mapping[str, Command]] = {
    "members": Members({}),
    "leave": Leave(),
    "stats": Stats(),
    "list-keys": ListKeys(),
}

_BODIES: Final[Mapping[str, Callable[[Fields], Command]]] = {
    "handshake": lambda fields: Handshake(fields["Version"].integer(I64_MAX)),
    "auth": lambda fields: Auth(fields["AuthKey"].text()),
    "event": lambda fields: Event(fields["Name"].text(), fields["Payload"].raw(), fields["Coalesce"].boolean()),
    "force-leave": lambda fields: ForceLeave(fields["Node"].text(), fields["Prune"].boolean()),
    "join": lambda fields: Join(_read_texts(fields["Existing"]), fields["Replay"].boolean()),
    "members-filtered": lambda fields: Members(
        _read_tags(fields["Tags"]), fields["Status"].text(), fields["Name"].text()
    ),
    "tags": lambda fields: Tags(_read_tags(fields["Tags"]), _read_texts(fields["DeleteTags"])),
    "stream": lambda fields: Stream(fields["Type"].text()),
    "monitor": lambda fields: Monitor(fields["LogLevel"].text()),
    "stop": lambda fields: Stop(fields["Stop"].integer(U64_MAX)),
    "query": _read_ask,
    "respond": lambda fields: Respond(fields["ID"].integer(U64_MAX), fields["Payload"].raw()),
    "get-coordinate": lambda fields: GetCoordinate(fields["Node"].text()),
    "install-key": _change_keys("install"),
    "use-key": _change_keys("use"),
    "remove-key": _change_keys("remove"),
}
