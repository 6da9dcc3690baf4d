"""What users' clients say that they did, in the words of the history."""

from __future__ import annotations

import pytest

from dkv.client import Event as Told
from dkv.client import EventType as Type
from harness.errors import UsageError
from harness.history.events import Event, EventType
from harness.witness import Witness


def witness() -> Witness:
    return Witness(lambda: 0.0, 100.0, lambda address: {"host:1": "n1"}.get(address, address))


@pytest.mark.parametrize(
    ("told", "heard"),
    [
        (Told(0, Type.INVOKE, "get", "k", None, 101.0), ("read", "invoke", None, None)),
        (Told(0, Type.OK, "get", "k", "v", 101.5, revision=7, node="host:1"), ("read", "ok", "v", "n1")),
        (Told(0, Type.OK, "get", "k", None, 101.5, node="host:2"), ("read", "ok", None, "host:2")),
        (Told(0, Type.INVOKE, "set", "k", "v", 101.0), ("write", "invoke", "v", None)),
        (Told(0, Type.INFO, "set", "k", "v", 101.0, error="TIMEOUT"), ("write", "info", "v", None)),
        (Told(0, Type.INVOKE, "set", "k", "v", 101.0, cas=0), ("cas", "invoke", [None, "v"], None)),
        (Told(0, Type.OK, "delete", "k", True, 101.0, node="host:1"), ("delete", "ok", True, "n1")),
        (Told(0, Type.FAIL, "delete", "k", None, 101.0, error="NO_LEADER"), ("delete", "fail", None, None)),
    ],
)
def test_each_deed_has_its_word(told: Told, heard: tuple[object, ...]) -> None:
    here = witness()
    here.hear(told)
    (event,) = here.events
    assert (event.f, event.type, event.value, event.node) == heard
    assert (event.process, event.key, event.error) == (0, "k", told.error)
    assert event.time_s == told.time_s - 100.0


def test_a_cas_on_a_revision_is_one_on_the_value_that_was_seen_there() -> None:
    here = witness()
    here.hear(Told(0, Type.OK, "set", "k", "v1", 101.0, revision=5))
    here.hear(Told(1, Type.OK, "get", "k", "v2", 102.0, revision=6))
    here.hear(Told(2, Type.INVOKE, "set", "k", "v3", 103.0, cas=5))
    here.hear(Told(3, Type.FAIL, "set", "k", "v3", 104.0, cas=6, error="CAS_MISMATCH"))
    assert [event.value for event in here.events[2:]] == [["v1", "v3"], ["v2", "v3"]]
    assert here.events[3] == Event(
        process=3, type=EventType.FAIL, f="cas", key="k", value=["v2", "v3"], time_s=4.0, error="CAS_MISMATCH"
    )
    with pytest.raises(UsageError, match="revision 9, which no recorded client has seen"):
        here.hear(Told(2, Type.INVOKE, "set", "k", "v3", 103.0, cas=9))


@pytest.mark.parametrize(
    "told",
    [Told(0, Type.INVOKE, "batch", None, [], 1.0), Told(0, Type.INVOKE, "delete", "k", None, 1.0, cas=4)],
)
def test_what_no_model_judges_is_refused(told: Told) -> None:
    with pytest.raises(UsageError, match="cannot be judged"):
        witness().hear(told)


def test_after_an_unknown_outcome_a_client_is_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    here = witness()
    first, second = here.client(["127.0.0.1:1"], 0.2), here.client(["127.0.0.1:1"], 0.2)
    assert (first.process, second.process) == (0, 1)
    tell = first._session._history  # as the client itself would
    assert tell is not None
    tell(Told(0, Type.INFO, "set", "k", "v", 101.0))
    assert first.process == 2
    first.close()
    second.close()
