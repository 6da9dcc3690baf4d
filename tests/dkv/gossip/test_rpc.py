"""The agent's RPC: what the real `serf` command asked is understood, what the real agent answered is written alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dkv.gossip.rpc import responses as rpc_responses
from dkv.gossip.rpc.requests import (
    Ask,
    Auth,
    ChangeKeys,
    Command,
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
from dkv.gossip.wire.internal_queries import VERSION_FIELDS, Member, Status
from dkv.gossip.wire.limits import STRUCT_BYTES_MAX, BadPacket
from dkv.gossip.wire.particulars import Address, Versions
from tests.dkv.gossip.vectors import Vector, vectors

RPC = vectors("rpc")
REQUESTS = [each for each in RPC if each.name.endswith("-request")]
RESPONSES = [each for each in RPC if not each.name.endswith("-request") and "coordinate" not in each.name]
"""But for the coordinates of a member that keeps some."""


def by_name(vector: Vector) -> str:
    return vector.name


def plain(value: Any) -> bytes:
    return bytes.fromhex(value["hex"]) if value else b""


EXPECTED: dict[str, Callable[[dict[str, Any]], Command]] = {
    "handshake": lambda body: Handshake(body["Version"]),
    "auth": lambda body: Auth(body["AuthKey"]),
    "join": lambda body: Join(tuple(body["Existing"]), body["Replay"]),
    "members": lambda body: Members({}),
    "members-filtered": lambda body: Members(body["Tags"], body["Status"], body["Name"]),
    "event": lambda body: Event(body["Name"], plain(body["Payload"]), body["Coalesce"]),
    "query": lambda body: Ask(
        name=body["Name"],
        payload=plain(body["Payload"]),
        nodes=tuple(body["FilterNodes"] or ()),
        tags=body["FilterTags"] or {},
        wants_acks=body["RequestAck"],
        relay_factor=body["RelayFactor"],
        timeout_ns=body["Timeout"],
    ),
    "stats": lambda body: Stats(),
    "tags": lambda body: Tags(body["Tags"], tuple(body["DeleteTags"])),
    "get-coordinate": lambda body: GetCoordinate(body["Node"]),
    "force-leave": lambda body: ForceLeave(body["Node"], body["Prune"]),
    "leave": lambda body: Leave(),
    "list-keys": lambda body: ListKeys(),
    "install-key": lambda body: ChangeKeys("install", plain(body["Key"]).decode()),
    "use-key": lambda body: ChangeKeys("use", plain(body["Key"]).decode()),
    "remove-key": lambda body: ChangeKeys("remove", plain(body["Key"]).decode()),
    "stream": lambda body: Stream(body["Type"]),
    "monitor": lambda body: Monitor(body["LogLevel"]),
    "stop": lambda body: Stop(body["Stop"]),
    "respond": lambda body: Respond(body["ID"], plain(body["Payload"])),
    "frobnicate": lambda body: Unsupported("frobnicate"),
}


def expected(vector: Vector) -> Request:
    head, *body = vector.decoded
    return Request(head["Seq"], EXPECTED[head["Command"]](body[0] if body else {}))


@pytest.mark.parametrize("vector", REQUESTS, ids=by_name)
def test_requests_of_the_serf_command(vector: Vector) -> None:
    assert RequestReader().feed(vector.data) == [expected(vector)]


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_connection_of_all_requests_however_it_is_cut(step: int) -> None:
    data = b"".join(vector.data for vector in REQUESTS)
    reader = RequestReader()
    requests = [request for at in range(0, len(data), step) for request in reader.feed(data[at : at + step])]
    assert requests == [expected(vector) for vector in REQUESTS]


def member(told: dict[str, Any]) -> Member:
    return Member(
        node=told["Name"],
        address=Address(told["Addr"], told["Port"]),
        tags=told["Tags"],
        status=Status[told["Status"].upper()],
        versions=Versions(*(told[name] for name in VERSION_FIELDS)),
    )


def written(body: dict[str, Any]) -> bytes:
    """The body of a response or a record, told by the vector, as we write it."""
    match body:
        case {"Event": "user"}:
            return rpc_responses.user_record(
                body["LTime"], body["Name"], plain(body["Payload"]), coalesce=body["Coalesce"]
            )
        case {"Event": "query"}:
            return rpc_responses.query_record(body["ID"], body["LTime"], body["Name"], plain(body["Payload"]))
        case {"Event": event, "Members": members}:
            return rpc_responses.member_record(event, [member(each) for each in members])
        case {"Members": members}:
            return rpc_responses.members_body([member(each) for each in members])
        case {"Num": count}:
            return rpc_responses.joined_body(count)
        case {"Type": kind}:
            payload = body["Payload"] and plain(body["Payload"])
            return rpc_responses.answer_record(kind, body["From"], payload)
        case {"Log": line}:
            return rpc_responses.log_record(line)
        case {"agent": _}:
            return rpc_responses.stats_body(body)
    return rpc_responses.keys_body(
        rpc_responses.KeyReport(
            nodes=body["NumNodes"],
            responses=body["NumResp"],
            errors=body["NumErr"],
            messages=body["Messages"],
            keys=body["Keys"],
        )
    )


@pytest.mark.parametrize("vector", RESPONSES, ids=by_name)
def test_responses_as_the_agent_writes_them(vector: Vector) -> None:
    head, *body = vector.decoded
    data = rpc_responses.header(head["Seq"], head["Error"]) + b"".join(map(written, body))
    assert data.hex() == vector.data.hex()


@pytest.mark.parametrize("vector", REQUESTS, ids=by_name)
def test_requests_cut_and_flipped(vector: Vector) -> None:
    assert [request for size in range(len(vector.data)) for request in RequestReader().feed(vector.data[:size])] == []
    for bit in range(8 * len(vector.data)):
        data = bytearray(vector.data)
        data[bit // 8] ^= 1 << bit % 8
        try:
            requests = RequestReader().feed(bytes(data))
        except BadPacket:
            continue
        assert all(isinstance(request, Request) for request in requests)


def test_a_request_that_never_ends() -> None:
    reader = RequestReader()
    assert reader.feed(b"\x81\xa7Command\xdb\xff\xff\xff\xff") == []
    with pytest.raises(BadPacket, match="more than"):
        reader.feed(bytes(STRUCT_BYTES_MAX))
