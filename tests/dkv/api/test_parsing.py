"""The pure half of the edge: whatever comes in becomes a valid command or a refusal, never a surprise."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkv.api import parameters, requests
from dkv.errors import BadRequest, TooLarge
from dkv.kv.commands import Command, validate

repeatable = settings(derandomize=True, deadline=None, max_examples=200)

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
FIELDS = st.sampled_from(["cmd", "key", "val", "level", "cas", "ttl", "id", "other"])
OBJECTS = st.dictionaries(FIELDS, SCALARS | st.sampled_from(["set", "get", "del", "a"]))


@repeatable
@given(st.binary(max_size=64) | (OBJECTS | st.lists(OBJECTS | SCALARS)).map(lambda body: json.dumps(body).encode()))
def test_any_body_becomes_valid_commands_or_a_refusal(body: bytes) -> None:
    try:
        parsed = requests.parse_commands(body)
        commands = [requests.to_command(each, "id") for each in (parsed if isinstance(parsed, list) else [parsed])]
    except (BadRequest, TooLarge):
        return
    for command in commands:
        validate(command)


@repeatable
@given(st.binary(max_size=64) | SCALARS.map(lambda body: json.dumps(body).encode()))
def test_any_put_body_becomes_a_value_or_a_refusal(body: bytes) -> None:
    try:
        put = requests.parse_put(body)
    except BadRequest:
        return
    assert isinstance(put.val, str)


@repeatable
@given(st.text(alphabet=st.characters(max_codepoint=127), max_size=40))
def test_any_query_is_parsed_or_refused(raw: str) -> None:
    try:
        found = parameters.parse_query(raw, frozenset({"a", "b"}))
        parameters.parse_key(raw)
    except BadRequest:
        return
    assert found.keys() <= {"a", "b"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2", 2.0), ("0.5", 0.5), ("500ms", 0.5), ("2s", 2.0), ("1m", 60.0), ("1h", 3600.0), ("10us", 1e-5), ("0", 0.0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parameters.parse_duration("x", text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "-1", "1e3", "1 s", "1d", "inf", "nan", "1.", ".5", "١", "1s ", "9" * 13])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(BadRequest):
        parameters.parse_duration("x", text)


@pytest.mark.parametrize(("text", "ok"), [("0", True), ("9223372036854775807", True), ("9223372036854775808", False)])
def test_integers_fit_into_the_log(text: str, ok: bool) -> None:
    if ok:
        assert parameters.parse_integer("x", text) == int(text)
    else:
        with pytest.raises(BadRequest):
            parameters.parse_integer("x", text)


def test_a_doubled_name_is_found_wherever_it_is_and_a_value_that_looks_like_one_is_not() -> None:
    look_alike: Any = {"cmd": "set", "key": 'x"val', "val": '"val" "val" \\"key\\"'}
    parsed = requests.parse_commands(json.dumps(look_alike).encode())
    assert isinstance(parsed, requests.CommandBody)
    assert requests.to_command(parsed) == Command(0, look_alike["key"], look_alike["val"])  # type: ignore[arg-type]
    with pytest.raises(BadRequest, match="twice"):
        requests.parse_commands(b'[{"cmd":"get","key":"a"},{"cmd":"set","key":"a","val":"1","val":"1"}]')
    with pytest.raises(BadRequest, match="twice"):
        requests.parse_put(b'{"val":"1","val":"1"}')
