"""The EDN reader: what it understands, and what it refuses."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.history.edn import EdnError, Keyword, Map, Symbol, Tagged, read_all

READ = {
    "nil true false": [None, True, False],
    "1 -7 +3 12345678901234567890N": [1, -7, 3, 12345678901234567890],
    "1.5 -2e3 3.0M 1/4": [1.5, -2000.0, 3.0, 0.25],
    "##Inf ##-Inf": [math.inf, -math.inf],
    ":ok :jepsen.db/x :a.b/c*": [Keyword("ok"), Keyword("jepsen.db/x"), Keyword("a.b/c*")],
    "foo -> .5x": [Symbol("foo"), Symbol("->"), Symbol(".5x")],
    r'"a\n\"\\\u0041" ""': ['a\n"\\A', ""],
    r"\a \newline \u0042 \space": ["a", "\n", "B", " "],
    "[1 [2 ()] #{3}]": [(1, (2, ()), frozenset({3}))],
    "{:a 1, :b [nil]}": [{"a": 1, "b": (None,)}],
    "; all of this\n1 ;and this": [1],
    "#_ 1 2 #_#_ 3 4 5 [#_6 7] {:a #_8 9}": [2, 5, (7,), {"a": 9}],
    '#inst "2020" #a.b{:x 1} #t #u 1': [Tagged("inst", "2020"), Tagged("a.b", {"x": 1}), Tagged("t", Tagged("u", 1))],
    "^{:line 1} [1] ^:private x 'y": [(1,), Symbol("x"), Symbol("y")],
    "{[1 2] 3}": [{(1, 2): 3}],
    "": [],
    "[1,2,,3]": [(1, 2, 3)],
}
REFUSED = {
    "[1": "no end",
    "1]": "closes nothing",
    "[1)": "closes nothing",
    "{:a}": "no value",
    '"abc': "cannot read",
    "[1\n\n": "line 1",
    "1\n2\n}": "line 3",
    "#tag": "no end",
    r'"\q"': "unknown escape",
    "1/0": "divides",
}


@pytest.mark.parametrize(("text", "values"), READ.items())
def test_values(text: str, values: list[Any]) -> None:
    found = list(read_all(text))
    assert found == values
    assert [type(value) for value in found] == [Map if type(value) is dict else type(value) for value in values]


@pytest.mark.parametrize(("text", "reason"), REFUSED.items())
def test_what_is_wrong_is_refused_with_its_line(text: str, reason: str) -> None:
    with pytest.raises(EdnError, match=reason):
        list(read_all(text))


def test_depth_exhausts_nothing() -> None:
    deep = 50_000
    (value,) = read_all("[" * deep + "]" * deep)
    depth = 0
    while value:
        (value,) = value
        depth += 1
    assert depth == deep - 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text().filter(lambda text: "\x00" not in text),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
    max_leaves=12,
)


def written(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "nil", True: "true", False: "false"}[value]
    if isinstance(value, tuple):
        return "[" + " ".join(map(written, value)) + "]"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' if isinstance(value, str) else str(value)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.lists(VALUES, max_size=5))
def test_what_is_written_is_read(values: list[Any]) -> None:
    assert list(read_all(" ".join(map(written, values)))) == values


@settings(derandomize=True, max_examples=500, deadline=None)
@given(st.text(alphabet="[](){}#_:^\"\\;'a1 /.\n-N", max_size=30))
def test_no_text_does_anything_but_read_or_be_refused(text: str) -> None:
    refusals = []
    try:
        list(read_all(text))
    except EdnError as error:
        refusals.append(str(error))
    assert all(refusal.startswith("line ") for refusal in refusals)
