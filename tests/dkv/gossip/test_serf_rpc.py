"""One connection of the `serf` command: its own bytes in, the agent's own bytes out, and the rest by what they mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dkv.gossip.rpc import responses as rpc_responses
from dkv.gossip.rpc import session as rpc
from dkv.gossip.rpc.log_tail import LINES_MAX, LogLine, LogTail
from dkv.gossip.rpc.session import RpcSession
from dkv.gossip.serf.events import Departed, QueryReceived
from dkv.gossip.wire.encryption import Keyring
from dkv.gossip.wire.particulars import Address
from dkv.gossip.wire.unpacking import Value, end_of, fields_of
from tests.dkv.gossip.serf_cluster import Cluster, three
from tests.dkv.gossip.vectors import named

KEY = bytes(range(32))


def request(command: str, sequence: int = 9, **body: bytes) -> bytes:
    """As the `serf` command writes it; the body's values are packed already."""
    header = {"Command": rpc_responses.new_text(command), "Seq": rpc_responses.integer(sequence)}
    pack = rpc_responses.packing.fields
    return pack(header) + (pack(body) if body else b"")


text, binary, integer = rpc_responses.new_text, rpc_responses.new_binary, rpc_responses.integer
mapping, array, boolean = rpc_responses.packing.mapping, rpc_responses.array, rpc_responses.boolean
HANDSHAKE = request("handshake", 1, Version=integer(1))


class Connection:
    """To the member ``at``, with its hands shaken already."""

    def __init__(self, cluster: Cluster, at: str = "a", *, shaken: bool = True, **options: Any) -> None:
        self.cluster, self.log = cluster, LogTail()
        self.session = RpcSession(
            cluster.members[at], log_tail=self.log, stats=lambda: {"runtime": {"version": "3"}}, **options
        )
        cluster.sessions[at].append(self.session)
        if shaken:
            assert self.ask(HANDSHAKE) == rpc_responses.header(1)

    def ask(self, data: bytes, run_s: float = 0.0) -> bytes:
        self.session.receive(data, self.cluster.now)
        self.cluster.run(run_s)
        return self.session.data_to_send()

    def objects(self, data: bytes, run_s: float = 0.0) -> list[dict[str, Any]]:
        return list(unpacked(self.ask(data, run_s)))


def unpacked(data: bytes) -> Iterator[dict[str, Any]]:
    """All objects that came, as far as these tests look at them."""
    offset = 0
    while offset < len(data):
        yield dict(plain(fields_of(data, offset)))
        offset = end_of(data, offset)


def plain(fields: Any) -> Iterator[tuple[str, Any]]:
    numbers = ("Seq", "Num", "LTime", "ID", "NumNodes", "NumErr", "NumResp")
    readers: dict[str, Callable[[Value], Any]] = {
        **dict.fromkeys(numbers, lambda value: value.integer(2**63)),
        **dict.fromkeys(("Error", "Type", "From", "Event", "Log", "Name"), Value.text),
        "Payload": Value.raw,
        "Coalesce": Value.boolean,
        "Members": lambda value: sorted(member.fields()["Name"].text() for member in value.array(99)),
        "Messages": lambda value: {key.text(): each.text() for key, each in value.mapping(99)},
        "Keys": lambda value: None if value.is_nil() else {k.text(): n.integer(99) for k, n in value.mapping(99)},
    }
    for name in fields._index:
        if name.decode() in readers:
            yield name.decode(), readers[name.decode()](fields[name.decode()])


def test_the_commands_own_bytes() -> None:
    """Each vector's request, and the vector's answer where the cluster does not show in it."""
    cluster = three()
    connection = Connection(cluster, shaken=False)
    assert connection.ask(named("rpc-handshake-request").data) == named("rpc-handshake-response").data
    assert (
        connection.ask(named("rpc-handshake-request").data.replace(b"\xa3Seq\x01", b"\xa3Seq\x02"))
        == named("rpc-handshake-response-error-handshake-already-perfor").data
    )
    for command in ("event", "tags", "force-leave"):
        assert connection.ask(named(f"rpc-{command}-request").data) == named(f"rpc-{command}-response").data
    for command in ("members", "members-filtered", "stats"):
        head, body = connection.objects(named(f"rpc-{command}-request").data)
        assert head == {"Error": "", "Seq": 2}
        assert body.get("Members", ["a", "b", "c"]) == ["a", "b", "c"]
    assert connection.ask(named("rpc-stream-request").data) == named("rpc-stream-response").data
    assert connection.ask(named("rpc-stop-request").data) == named("rpc-stop-response").data
    assert connection.ask(named("rpc-monitor-request").data) == named("rpc-monitor-response").data


@pytest.mark.parametrize("step", [1, 5])
def test_a_connection_however_it_is_cut(step: int) -> None:
    connection = Connection(Cluster("a"), shaken=False)
    data = HANDSHAKE + request("members", 2) + request("stop", 3, Stop=integer(1))
    out = b"".join(connection.ask(data[at : at + step]) for at in range(0, len(data), step))
    assert [each["Seq"] for each in unpacked(out) if "Seq" in each] == [1, 2, 3]


@pytest.mark.parametrize(
    ("data", "error", "closed"),
    [
        (named("rpc-members-request").data, "Handshake required", True),
        (request("handshake", 1, Version=integer(2)), "Unsupported IPC version", False),
        (request("frobnicate"), "Handshake required", True),
    ],
)
def test_before_the_handshake(data: bytes, error: str, closed: bool) -> None:
    connection = Connection(Cluster("a"), shaken=False)
    assert [each["Error"] for each in connection.objects(data)] == [error]
    assert connection.session.closed is closed


def test_a_token() -> None:
    connection = Connection(Cluster("a"), token="tok3n")
    assert connection.objects(request("members", 2)) == [{"Error": "Authentication required", "Seq": 2}]
    wrong = named("rpc-auth-request").data.replace(b"tok3n", b"wrong")
    assert connection.ask(wrong) == named("rpc-auth-response-error-invalid-authentication-t").data
    assert connection.ask(named("rpc-auth-request").data) == named("rpc-auth-response").data
    assert len(connection.objects(request("members", 2))) == 2


def test_what_ends_a_connection() -> None:
    unknown = Connection(Cluster("a"))
    assert (
        unknown.ask(named("rpc-frobnicate-request").data)
        == named("rpc-frobnicate-response-error-unsupported-command").data
    )
    nonsense = Connection(Cluster("a"))
    assert nonsense.ask(b"\xc1") == b""
    expression = Connection(Cluster("a"))
    assert expression.ask(request("members-filtered", Tags=mapping([]), Status=text(""), Name=text("("))) == b""
    assert all(each.session.closed for each in (unknown, nonsense, expression))


@pytest.mark.parametrize(
    ("tags", "status", "name", "found"),
    [
        ({}, "", "", ["a", "b", "c"]),
        ({}, "alive", "a|b", ["a", "b"]),
        ({"id": "[bc]"}, "", "", ["b", "c"]),
        ({"role": "d"}, "", "", []),
        ({}, "failed", "", []),
    ],
)
def test_selecting_members(tags: dict[str, str], status: str, name: str, found: list[str]) -> None:
    packed = mapping((text(tag), text(value)) for tag, value in tags.items())
    connection = Connection(three())
    _, body = connection.objects(request("members-filtered", Tags=packed, Status=text(status), Name=text(name)))
    assert body["Members"] == found


def test_a_join() -> None:
    cluster = Cluster("a", "b")
    connection, b = Connection(cluster), cluster.address("b")
    for addresses, failures, joined in (((b,), {}, 1), ((Address("10.9.9.9", 1),), {"nowhere": "unknown host"}, 0)):
        places = array([text("b:7002"), text("nowhere")])
        assert connection.ask(request("join", Existing=places, Replay=boolean(True))) == b""
        (wish,) = connection.session.wishes()
        assert (wish.places, wish.replay) == (("b:7002", "nowhere"), True)
        connection.session.looked_up(wish, addresses, failures, cluster.now)
        head, body = connection.objects(b"", run_s=1)
        assert body == {"Num": joined}
        assert ("2 errors occurred" in head["Error"]) is (joined == 0)
    cluster.members["a"].serf.leave(cluster.now)
    connection.session.looked_up(wish, (b,), {}, cluster.now)
    head, body = connection.objects(b"")
    assert ("after Leave" in head["Error"], body) == (True, {"Num": 0})


def test_leaving() -> None:
    cluster = three()
    connection = Connection(cluster)
    assert connection.ask(named("rpc-leave-request").data) == b""
    cluster.run_until(lambda: bool(cluster.seen("a", Departed)))
    assert connection.ask(b"") == named("rpc-leave-response").data


def test_own_tags_are_not_to_be_changed() -> None:
    cluster = three()
    connection = Connection(cluster, own_tags=frozenset({"id"}))
    for change in ({"id": "z"}, {}):
        packed = mapping((text(tag), text(value)) for tag, value in change.items())
        (answer,) = connection.objects(request("tags", Tags=packed, DeleteTags=array([text("id")])))
        assert "id are the node's own" in answer["Error"]
    packed = mapping([(text("x"), text("y"))])
    assert connection.objects(request("tags", Tags=packed, DeleteTags=array([text("role")])))[0]["Error"] == ""
    cluster.run(5)
    assert cluster.members["b"].serf.members() != []
    (tags,) = [member.tags for member in cluster.members["b"].serf.members() if member.node == "a"]
    assert tags == {"id": "a", "x": "y"}


def test_events_and_their_limits() -> None:
    cluster = three()
    connection = Connection(cluster)
    large = request("event", 10, Name=text("x"), Payload=binary(bytes(600)), Coalesce=boolean(False))
    assert connection.ask(large) == named("rpc-event-response-error-user-event-exceeds-confi").data


def test_streams() -> None:
    cluster = three()
    connection = Connection(cluster)
    assert connection.objects(request("stream", 3, Type=text("user:deploy, member-update")))[0]["Error"] == ""
    assert connection.objects(request("stream", 3, Type=text("*")))[0]["Error"] == "Stream with given sequence exists"
    for wrong in ("nonsense", "member-join:x", "user,"):
        assert connection.objects(request("stream", 4, Type=text(wrong)))[0]["Error"] == "Invalid event filter"
    for name in ("deploy", "other"):
        cluster.members["b"].serf.user_event(name, b"v1", coalesce=True)
    cluster.members["b"].serf.set_tags({"x": "y"})
    records = connection.objects(b"", run_s=5)
    assert [record["Seq"] for record in records[::2]] == [3, 3]
    happened = {record["Event"]: record for record in records[1::2]}
    assert happened["member-update"]["Members"] == ["b"]
    assert (happened["user"]["Name"], happened["user"]["Payload"], happened["user"]["Coalesce"]) == (
        "deploy",
        b"v1",
        True,
    )
    connection.ask(request("stop", 5, Stop=integer(3)))
    cluster.members["b"].serf.user_event("deploy", b"v2", coalesce=True)
    assert connection.ask(b"", run_s=5) == b""


def ask_load(**changes: bytes) -> bytes:
    body = {
        "Name": text("load"),
        "Payload": binary(b"pp"),
        "FilterNodes": rpc_responses.NIL,
        "FilterTags": rpc_responses.NIL,
        "RequestAck": boolean(True),
        "RelayFactor": integer(0),
        "Timeout": integer(4 * 10**9),
    }
    return request("query", 2, **{**body, **changes})


def test_a_query_is_asked_answered_and_done() -> None:
    cluster = three()
    asker, answerer = Connection(cluster, "a"), Connection(cluster, "b")
    answerer.ask(request("stream", 3, Type=text("query:load")))
    assert asker.objects(ask_load(FilterNodes=array([text("b")])))[0] == {"Error": "", "Seq": 2}
    (_, asked) = answerer.objects(b"", run_s=2)
    assert (asked["Event"], asked["ID"], asked["Name"], asked["Payload"]) == ("query", 1, "load", b"pp")
    respond = request("respond", 4, ID=integer(1), Payload=binary(b"0.5"))
    assert answerer.ask(respond) == named("rpc-respond-response").data
    again = request("respond", 5, ID=integer(1), Payload=binary(b"0.5"))
    assert answerer.ask(again) == named("rpc-respond-response-error-failed-to-respond-to-key").data
    unknown = request("respond", 6, ID=integer(99), Payload=binary(b""))
    assert answerer.ask(unknown) == named("rpc-respond-response-error-no-pending-queries-match").data
    records = [record for record in asker.objects(b"", run_s=5) if "Type" in record]
    assert [(record["Type"], record["From"], record["Payload"]) for record in records] == [
        ("ack", "b", b""),
        ("response", "b", b"0.5"),
        ("done", "", b""),
    ]


def test_queries_that_are_refused() -> None:
    connection = Connection(three())
    prefixed = connection.objects(ask_load(Name=text("_serf_conflict")))
    assert prefixed == [{"Error": "Queries cannot contain the '_serf_' prefix", "Seq": 2}]
    assert "prefix" in connection.objects(ask_load(Name=text("_serf_ping")))[0]["Error"], "with a payload"
    assert connection.objects(ask_load(Payload=binary(bytes(2000))))[0]["Error"] == "query exceeds limit of 1024 bytes"


def test_reachability() -> None:
    connection = Connection(three())
    ping = ask_load(Name=text("_serf_ping"), Payload=binary(b""))
    records = [record for record in connection.objects(ping, run_s=5) if "Type" in record]
    assert sorted((record["Type"], record["From"]) for record in records) == [
        ("ack", "a"),
        ("ack", "b"),
        ("ack", "c"),
        ("done", ""),
    ]


def test_keys() -> None:
    cluster = three(keyring=Keyring(KEY))
    connection = Connection(cluster)
    head, body = connection.objects(request("list-keys"), run_s=4)
    (key,) = body["Keys"]
    assert (head["Error"], body["NumNodes"], body["NumResp"], body["Keys"]) == ("", 3, 3, {key: 3})
    head, body = connection.objects(request("remove-key", Key=text(key)), run_s=4)
    assert (head["Error"], body["NumErr"]) == ("3/3 nodes reported failure", 3)
    assert set(body["Messages"].values()) == {"Removing the primary key is not allowed"}
    head, body = connection.objects(request("install-key", Key=text("EBESExQVFhcYGRobHB0eHw==")), run_s=4)
    assert (head["Error"], body["Keys"], body["NumResp"]) == ("", None, 3)
    head, body = connection.objects(request("install-key", Key=text("no key")), run_s=4)
    assert ("base64" in head["Error"], body["NumResp"]) == (True, 0)


def test_keys_where_somebody_does_not_answer() -> None:
    cluster = three()
    cluster.kill("c")
    head, body = Connection(cluster).objects(request("list-keys"), run_s=4)
    assert (head["Error"], body["NumNodes"], body["NumResp"]) == ("2/3 nodes reported failure", 3, 2)


def test_the_monitor() -> None:
    connection = Connection(Cluster("a"))
    for number in range(LINES_MAX + 5):
        connection.log.append(LogLine("DEBUG" if number % 2 else "WARN", f"{number}"))
    assert connection.objects(request("monitor", 3, LogLevel=text("chatty")))[0]["Error"] == "Unknown log level: CHATTY"
    records = connection.objects(request("monitor", 3, LogLevel=text("info")))
    assert [record["Log"] for record in records if "Log" in record] == [f"{n}" for n in range(6, LINES_MAX + 5, 2)]
    assert connection.objects(request("monitor", 4, LogLevel=text("ERR")))[0]["Error"] == "Monitor already exists"
    for level in ("DEBUG", "ERR"):
        connection.session.log(LogLine(level, level))
    assert [record.get("Log") for record in connection.objects(b"")] == [None, "ERR"]
    connection.ask(request("stop", 5, Stop=integer(3)))
    connection.session.log(LogLine("ERR", "x"))
    assert connection.ask(b"") == b""


def test_coordinates_are_refused_with_the_body_that_the_command_waits_for() -> None:
    head, _ = Connection(Cluster("a")).objects(named("rpc-get-coordinate-request").data)
    assert head == {"Error": rpc.NO_COORDINATES, "Seq": 2}


def test_a_client_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "RECORDS_BYTES_MAX", 1000)
    monkeypatch.setattr(rpc, "OUTPUT_BYTES_MAX", 5000)
    connection = Connection(Cluster("a"))
    connection.ask(request("monitor", 3, LogLevel=text("DEBUG")))
    for _ in range(100):
        connection.session.log(LogLine("INFO", "x" * 100))
    assert len(connection.session.data_to_send()) < 1200
    for _ in range(100):
        connection.session.receive(request("members"), 1.0)
    assert connection.session.closed
    assert len(connection.session.data_to_send()) < 6000


def test_other_connections_queries_are_not_theirs() -> None:
    cluster = three()
    mine, other = Connection(cluster), Connection(cluster)
    mine.ask(ask_load(), run_s=6)
    assert cluster.seen("a", QueryReceived)
    assert other.ask(b"") == b""
