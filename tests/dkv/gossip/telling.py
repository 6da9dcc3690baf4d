"""Our messages, retold as the golden vectors tell them: Go's field names, addresses as text, bytes as hex."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dkv.gossip.wire import internal_queries, messages, serf_messages
from dkv.gossip.wire.filters import NodeFilter, TagFilter
from dkv.gossip.wire.limits import BadPacket
from dkv.gossip.wire.push_pull import NodeState, PushPull
from dkv.gossip.wire.serf_state import SerfState, decode_state
from dkv.gossip.wire.tags import decode_tags


def told(message: Any) -> dict[str, Any]:
    """A message of any layer → the vector's ``decoded`` for it."""
    return TELLERS[type(message)](message)


def hexed(data: bytes | None) -> dict[str, str] | None:
    return None if data is None else {"hex": data.hex()}


def meta(data: bytes) -> dict[str, Any]:
    return {"hex": data.hex(), "tags": decode_tags(data)}


def source(message: messages.Ping | messages.IndirectPing) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if message.source:
        values = {"SourceAddr": message.source.host, "SourcePort": message.source.port}
    return values | ({"SourceNode": message.source_node} if message.source_node else {})


def ping(m: messages.Ping) -> dict[str, Any]:
    return {"type": "ping", "body": {"SeqNo": m.sequence, "Node": m.node, **source(m)}}


def indirect_ping(m: messages.IndirectPing) -> dict[str, Any]:
    body = {"SeqNo": m.sequence, "Node": m.node, "Target": m.target.host, "Port": m.target.port, "Nack": m.nack}
    return {"type": "indirect-ping", "body": {**body, **source(m)}}


def ack(m: messages.Ack) -> dict[str, Any]:
    return {"type": "ack", "body": {"SeqNo": m.sequence, "Payload": hexed(m.payload or None)}}


def accusation(kind: str) -> Callable[[Any], dict[str, Any]]:
    def tell(m: messages.Suspect | messages.Dead) -> dict[str, Any]:
        return {"type": kind, "body": {"Incarnation": m.incarnation, "Node": m.node, "From": m.from_node}}

    return tell


def alive(m: messages.Alive) -> dict[str, Any]:
    body = {"Incarnation": m.incarnation, "Node": m.node, "Addr": m.address.host, "Port": m.address.port}
    return {"type": "alive", "body": {**body, "Meta": meta(m.meta), "Vsn": list(m.versions or ())}}


def node_state(m: NodeState) -> dict[str, Any]:
    body = {"Incarnation": m.incarnation, "Name": m.node, "Addr": m.address.host, "Port": m.address.port}
    return {**body, "State": m.state, "Meta": meta(m.meta), "Vsn": list(m.versions or ())}


def push_pull(m: PushPull) -> dict[str, Any]:
    header = {"Join": m.join, "Nodes": len(m.nodes) + m.left_out, "UserStateLen": len(m.user_state)}
    user_state = told(decode_state(m.user_state)) if m.user_state else None
    nodes = [node_state(node) for node in m.nodes]
    return {"type": "push-pull", "header": header, "nodes": nodes, "user_state": user_state}


def state(m: SerfState) -> dict[str, Any]:
    events = [
        {"LTime": past.ltime, "Events": [{"Name": e.name, "Payload": hexed(e.payload)} for e in past.events]}
        for past in m.events
    ]
    body = {
        "LTime": m.ltime,
        "StatusLTimes": m.status_ltimes,
        "LeftMembers": list(m.left_members),
        "EventLTime": m.event_ltime,
        "Events": events,
        "QueryLTime": m.query_ltime,
    }
    return {"serf": "push-pull", "body": body}


def user(m: messages.User) -> dict[str, Any]:
    return {"type": "user", **told(serf_messages.decode(m.payload))}


def leave(m: serf_messages.LeaveIntent) -> dict[str, Any]:
    return {"serf": "leave", "body": {"LTime": m.ltime, "Node": m.node, "Prune": m.prune}}


def join(m: serf_messages.JoinIntent) -> dict[str, Any]:
    return {"serf": "join", "body": {"LTime": m.ltime, "Node": m.node}}


def event(m: serf_messages.UserEvent) -> dict[str, Any]:
    body = {"LTime": m.ltime, "Name": m.name, "Payload": hexed(m.payload), "CC": m.coalesce}
    return {"serf": "user-event", "body": body}


def query(m: serf_messages.Query) -> dict[str, Any]:
    body = {
        "LTime": m.ltime,
        "ID": m.id,
        "Addr": m.address.host,
        "Port": m.address.port,
        "SourceNode": m.source_node,
        "Filters": [_filter(each) for each in m.filters] or None,
        "Flags": m.flags,
        "RelayFactor": m.relay_factor,
        "Timeout": m.timeout_ns,
        "Name": m.name,
        "Payload": hexed(m.payload or None),
    }
    if m.name == internal_queries.InternalQuery.CONFLICT:
        body["payload_decoded"] = m.payload.decode()
    elif m.name.endswith(("-key", "-keys")):
        request = internal_queries.decode_key_request(m.payload)
        body["payload_decoded"] = {"serf": "key-request", "body": {"Key": hexed(request.key)}}
    return {"serf": "query", "body": body}


def _filter(each: Any) -> dict[str, Any]:
    match each:
        case NodeFilter(names):
            return {"filter": "node", "value": list(names)}
        case TagFilter(tag, expression):
            return {"filter": "tag", "value": {"Tag": tag, "Expr": expression}}
    raise AssertionError(f"no filter of the vectors: {each}")


def response(m: serf_messages.QueryResponse) -> dict[str, Any]:
    body: dict[str, Any] = {"LTime": m.ltime, "ID": m.id, "From": m.from_node, "Flags": m.flags}
    body["Payload"] = hexed(m.payload)
    if m.payload and m.payload[0] in (6, 8):
        body["payload_decoded"] = _answer(m.payload)
    return {"serf": "query-response", "body": body}


def _answer(payload: bytes) -> dict[str, Any]:
    try:
        keys = internal_queries.decode_key_response(payload)
    except BadPacket:
        return _conflict(internal_queries.decode_member(payload))
    listed = list(keys.keys) or None
    body = {"Keys": listed, "Message": keys.message, "PrimaryKey": keys.primary_key, "Result": keys.result}
    return {"serf": "key-response", "body": body}


def _conflict(m: internal_queries.Member | None) -> dict[str, Any]:
    assert m is not None
    names = ("ProtocolMin", "ProtocolMax", "ProtocolCur", "DelegateMin", "DelegateMax", "DelegateCur")
    body = {"Name": m.node, "Addr": m.address.host, "Port": m.address.port, "Status": m.status, "Tags": m.tags}
    return {"serf": "conflict-response", "body": {**body, **dict(zip(names, m.versions, strict=True))}}


def relay(m: serf_messages.Relay) -> dict[str, Any]:
    address = {"IP": m.address.host, "Port": m.address.port, "Zone": m.zone}
    header = {"DestAddr": address, "DestName": m.node}
    return {"serf": "relay", "header": header, "inner": told(serf_messages.decode(m.message))}


def error(m: messages.ErrorReply) -> dict[str, Any]:
    return {"type": "err", "body": {"Error": m.error}}


TELLERS: dict[type, Callable[[Any], dict[str, Any]]] = {
    messages.Ping: ping,
    messages.IndirectPing: indirect_ping,
    messages.Ack: ack,
    messages.Nack: lambda m: {"type": "nack", "body": {"SeqNo": m.sequence}},
    messages.Suspect: accusation("suspect"),
    messages.Dead: accusation("dead"),
    messages.Alive: alive,
    messages.User: user,
    messages.ErrorReply: error,
    PushPull: push_pull,
    SerfState: state,
    serf_messages.LeaveIntent: leave,
    serf_messages.JoinIntent: join,
    serf_messages.UserEvent: event,
    serf_messages.Query: query,
    serf_messages.QueryResponse: response,
    serf_messages.Relay: relay,
}
