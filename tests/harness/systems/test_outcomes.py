"""What each error of a client means: it certainly did not happen, it was refused by what was seen, or nobody knows."""

from __future__ import annotations

import pytest

from dkv.client import CasMismatch, DkvError, NoLeader, Timeout, UnknownOutcome, Unreachable
from harness.systems import etcd_gateway as gateway
from harness.systems.base import Mismatch, NotApplied, Unknown, Version
from harness.systems.dkv import as_outcome


def after(cause: DkvError) -> DkvError:
    """As the client raises it when a mutation may have been applied."""
    error = UnknownOutcome("It may have taken effect.")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (CasMismatch("no"), Mismatch, "CAS_MISMATCH"),
        (NoLeader("no"), NotApplied, "NO_LEADER"),
        (Unreachable("no"), NotApplied, "UNREACHABLE"),
        (UnknownOutcome("?"), Unknown, "UNKNOWN_OUTCOME"),
        (after(Timeout("?")), Unknown, "TIMEOUT"),
    ],
)
def test_dkv(error: DkvError, kind: type[Exception], code: str) -> None:
    outcome = as_outcome(error, "n2")
    assert type(outcome) is kind
    assert (outcome.code, outcome.node) == (code, "n2")


@pytest.mark.parametrize(
    ("text", "definite"),
    [
        ("etcdserver: too many requests", True),
        ("etcdserver: request is too large", True),
        ("etcdserver: no leader", True),
        ("raft proposal dropped", True),
        ("rpc error: code = Unknown desc = raft proposal dropped", True),
        ("etcdserver: request timed out", False),
        ("etcdserver: request timed out, possibly due to previous leader failure", False),
        ("etcdserver: leader changed", False),
        ("etcdserver: server stopped", False),
        ("raft: stopped", False),
        ("context deadline exceeded", False),
        ("connection error: desc = transport is closing", False),
        ("", False),
    ],
)
def test_etcd(text: str, definite: bool) -> None:
    assert gateway.is_definite({"error": text, "code": 14, "message": text}) == definite


def test_etcds_documents() -> None:
    assert gateway.range_of("a") == {"key": "YQ=="}
    assert gateway.put("a", "é") == {"key": "YQ==", "value": "w6k="}
    assert gateway.put_if("a", 7, "b") == {
        "compare": [{"key": "YQ==", "target": "MOD", "result": "EQUAL", "mod_revision": "7"}],
        "success": [{"requestPut": {"key": "YQ==", "value": "Yg=="}}],
    }


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ({"header": {}}, Version(None, 0)),
        ({"kvs": [{"key": "YQ==", "mod_revision": "7", "value": "Yg=="}], "count": "1"}, Version("b", 7)),
        ({"kvs": [{"key": "YQ==", "mod_revision": "7"}]}, Version("", 7)),
    ],
)
def test_etcds_versions(reply: dict[str, object], expected: Version) -> None:
    assert gateway.version_of(reply) == expected
