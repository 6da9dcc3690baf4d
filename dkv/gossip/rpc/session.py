"""One connection to the agent's RPC (``serf members`` and its like), without input and output.

Bytes in (``receive``), what happened in (``deliver``, ``log``), bytes out (``data_to_send``). What it cannot do itself
it wishes from the shell: names have to be looked up before a join. The law is the agent's own behaviour, its words for
errors included, since operators and their scripts read them.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from dkv.gossip.kernel import Kernel, KernelEvent
from dkv.gossip.rpc import responses as rpc_responses
from dkv.gossip.rpc.inquiries import RpcInquiries
from dkv.gossip.rpc.log_tail import LogLine, LogTail
from dkv.gossip.rpc.requests import (
    Ask,
    Auth,
    ChangeKeys,
    Event,
    ForceLeave,
    GetCoordinate,
    Handshake,
    Join,
    Leave,
    ListKeys,
    Members,
    Monitor,
    Request,
    RequestReader,
    Respond,
    Stats,
    Stop,
    Stream,
    Tags,
    Unsupported,
)
from dkv.gossip.rpc.selection import select
from dkv.gossip.rpc.subscriptions import Refused, Subscriptions
from dkv.gossip.serf.asking import TooManyQueries
from dkv.gossip.serf.events import (
    Departed,
    JoinSettled,
    MemberEvent,
    QueryAcked,
    QueryAnswered,
    QueryFinished,
    QueryReceived,
    UserEventReceived,
)
from dkv.gossip.serf.queries import ResponseRefused
from dkv.gossip.serf.serf import Leaving
from dkv.gossip.serf.syntax import BadExpression
from dkv.gossip.wire.limits import BadPacket, TooLarge
from dkv.gossip.wire.particulars import Address

VERSION: Final = 1

RECORDS_BYTES_MAX: Final = 1024 * 1024
"""Unsent bytes beyond which records are dropped, as agents drop them: a watcher that does not read must not cost us
our memory."""

OUTPUT_BYTES_MAX: Final = 32 * 1024 * 1024
"""Unsent bytes at which the connection ends: several answers about the largest cluster."""

NO_COORDINATES: Final = "this member keeps no network coordinates"


class JoinWish(msgspec.Struct, frozen=True):
    """Look up ``places`` (``HOST:PORT``, ``HOST`` or an address) and report with ``RpcSession.looked_up``."""

    sequence: int
    places: tuple[str, ...]
    replay: bool


class RpcSession:
    """One connection. ``closed``: send what there is, then close."""

    def __init__(
        self,
        kernel: Kernel,
        *,
        log_tail: LogTail,
        stats: Callable[[], Mapping[str, Mapping[str, str]]],
        token: str = "",
        own_tags: frozenset[str] = frozenset(),
    ) -> None:
        """``stats``: sections for ``serf info`` (agent, runtime, serf) beside Serf's own values and the tags.

        ``token``: what clients must show, empty: nothing. ``own_tags``: those that operators may not change.
        """
        self.closed = False
        self._kernel, self._serf, self._log_tail, self._stats = kernel, kernel.serf, log_tail, stats
        self._token, self._own_tags = token, own_tags
        self._reader, self._subscriptions = RequestReader(), Subscriptions()
        self._shook_hands, self._authenticated = False, not token
        self._output = bytearray()
        self._wishes: list[JoinWish] = []
        self._joins: dict[int, tuple[int, Mapping[str, str]]] = {}
        self._inquiries = RpcInquiries(self._serf, self._answer, self._record)
        self._leaves: list[int] = []

    # --- for the shell ------------------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> None:
        """Bytes as they come."""
        try:
            requests = self._reader.feed(data)
        except BadPacket:
            self.closed = True
            return
        for request in requests:
            if self.closed:
                return
            self._serve(request, now)

    def data_to_send(self) -> bytes:
        """All that is to be sent now."""
        data = bytes(self._output)
        self._output.clear()
        return data

    def wishes(self) -> list[JoinWish]:
        """Joins to prepare; each is given once."""
        wishes, self._wishes = self._wishes, []
        return wishes

    def looked_up(self, wish: JoinWish, addresses: Sequence[Address], failures: Mapping[str, str], now: float) -> None:
        """Where the places of a wish are, and why some have no address."""
        try:
            number = self._kernel.join(addresses, now, replay=wish.replay)
        except Leaving as error:
            self._answer(wish.sequence, str(error), rpc_responses.joined_body(0))
            return
        self._joins[number] = wish.sequence, failures

    def deliver(self, event: KernelEvent, now: float) -> None:
        """Something happened; every session hears of everything."""
        match event:
            case MemberEvent() | UserEventReceived() | QueryReceived():
                for record in self._subscriptions.records(event):
                    self._record(record)
            case QueryAcked() | QueryAnswered() | QueryFinished():
                self._inquiries.deliver(event)
            case JoinSettled() if event.join in self._joins:
                self._answer_join(event)
            case Departed():
                for sequence in self._leaves:
                    self._answer(sequence)
                self._leaves.clear()

    def log(self, line: LogLine) -> None:
        """A new line of the log."""
        for record in self._subscriptions.log_records(line):
            self._record(record)

    # --- requests -----------------------------------------------------------------------------------------------------

    def _serve(self, request: Request, now: float) -> None:
        sequence, command = request.sequence, request.command
        refusal = self._refusal(request)
        if refusal:
            self._answer(sequence, refusal)
            return
        try:
            self._perform(request, now)
        except (Refused, Leaving, ResponseRefused, TooLarge, TooManyQueries) as error:
            self._answer(sequence, str(error))
        except BadExpression:
            self.closed = True  # the agent says nothing either
        if isinstance(command, Unsupported):
            self.closed = True

    def _refusal(self, request: Request) -> str:
        """Why a command is not even looked at; empty if it is."""
        command = request.command
        if isinstance(command, Handshake):
            if self._shook_hands:
                return "Handshake already performed"
            return "" if command.version == VERSION else "Unsupported IPC version"
        if not self._shook_hands:
            self.closed = True
            return "Handshake required"
        if not self._authenticated and not isinstance(command, Auth | Unsupported):
            return "Authentication required"
        return ""

    def _perform(self, request: Request, now: float) -> None:
        sequence, command = request.sequence, request.command
        match command:
            case Handshake():
                self._shook_hands = True
            case Auth():
                self._authenticate(command)
            case Event():
                self._serf.user_event(command.name, command.payload, coalesce=command.coalesce)
            case ForceLeave():
                self._serf.force_leave(command.node, now, prune=command.prune)
            case Tags():
                self._change_tags(command)
            case Stream():
                self._subscriptions.open_stream(sequence, command.kinds)
            case Stop():
                self._subscriptions.stop(command.sequence)
            case Respond():
                self._respond(command, now)
            case Unsupported():
                raise Refused("Unsupported command")
            case _:
                self._perform_at_length(request, now)
                return
        self._answer(sequence)

    def _perform_at_length(self, request: Request, now: float) -> None:
        """Commands whose answers have a body, come later, or go on."""
        sequence, command = request.sequence, request.command
        match command:
            case Members():
                self._answer(sequence, "", rpc_responses.members_body(select(self._serf.members(), command)))
            case Stats():
                self._answer(sequence, "", rpc_responses.stats_body(self._all_stats()))
            case Monitor():
                level = self._subscriptions.open_monitor(sequence, command.level)
                self._answer(sequence)
                for record in self._subscriptions.log_records(*self._log_tail.since(level)):
                    self._record(record)
            case GetCoordinate():
                self._answer(sequence, NO_COORDINATES, rpc_responses.no_coordinate_body())
            case Join():
                self._wishes.append(JoinWish(sequence, command.existing, command.replay))
            case Leave():
                self._leaves.append(sequence)
                self._serf.leave(now)
            case Ask():
                self._inquiries.ask(sequence, command, now)
            case ListKeys() | ChangeKeys():
                self._inquiries.ask_about_keys(sequence, command, now)

    def _authenticate(self, command: Auth) -> None:
        if not hmac.compare_digest(command.token.encode(), self._token.encode()):
            raise Refused("Invalid authentication token")
        self._authenticated = True

    def _change_tags(self, command: Tags) -> None:
        protected = sorted(self._own_tags & {*command.tags, *command.delete})
        if protected:
            raise Refused(f"the tags {', '.join(protected)} are the node's own and cannot be changed")
        ourselves = self._serf.ourselves
        tags = {tag: value for tag, value in (ourselves.tags if ourselves else {}).items() if tag not in command.delete}
        self._serf.set_tags({**tags, **command.tags})

    def _respond(self, command: Respond, now: float) -> None:
        key = self._subscriptions.query(command.id)
        if key is None:
            raise Refused("No pending queries matching ID")
        self._serf.respond(key, command.payload, now)

    def _all_stats(self) -> dict[str, dict[str, str]]:
        told = {section: dict(values) for section, values in self._stats().items()}
        ourselves = self._serf.ourselves
        told.setdefault("agent", {}).setdefault("name", self._serf.name)
        told.setdefault("runtime", {})
        counted = {name: str(value) for name, value in self._serf.stats().items()}
        encrypted = str(self._serf.keyring is not None).lower()
        health = str(self._kernel.swim.awareness.score)
        told["serf"] = {**counted, "encrypted": encrypted, "health_score": health, **told.get("serf", {})}
        told["tags"] = dict(ourselves.tags) if ourselves else {}
        told.setdefault("event_handlers", {})
        return told

    # --- answers ------------------------------------------------------------------------------------------------------

    def _answer_join(self, settled: JoinSettled) -> None:
        sequence, failures = self._joins.pop(settled.join)
        told = dict(failures) | {f"{host}:{port}": reason for (host, port), reason in settled.refusals.items()}
        error = "" if settled.joined else _joined_errors(told)
        self._answer(sequence, error, rpc_responses.joined_body(settled.joined))

    def _answer(self, sequence: int, error: str = "", body: bytes = b"") -> None:
        self._output += rpc_responses.header(sequence, error) + body
        self.closed = self.closed or len(self._output) > OUTPUT_BYTES_MAX

    def _record(self, record: bytes) -> None:
        if len(self._output) < RECORDS_BYTES_MAX:
            self._output += record


def _joined_errors(refusals: Mapping[str, str]) -> str:
    """As the agent lists them."""
    count = f"{len(refusals)} error{'' if len(refusals) == 1 else 's'} occurred"
    return f"{count}:\n" + "".join(f"\t* Failed to join {place}: {why}\n" for place, why in refusals.items()) + "\n"
