"""Go's regular expressions: as Python's where both agree, and never slow."""

from __future__ import annotations

import random
import re

import pytest

from dkv.gossip.serf.expressions import STATES_MAX, Expression
from dkv.gossip.serf.syntax import BadExpression

ATOMS = ["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", "c", "1", r"\b", "^", "$", "[a-c1]", r"\S", r"[\Wa]", r"\."]
REPETITIONS = ["*", "+", "?", "{2}", "{1,3}", "{0,}", "*?", "+?"]


def grown(rng: random.Random, depth: int = 0) -> str:
    kind = rng.randrange(12)
    if depth > 3 or kind < 4:
        return rng.choice(ATOMS)
    if kind < 7:
        return grown(rng, depth + 1) + grown(rng, depth + 1)
    if kind == 7:
        return f"({grown(rng, depth + 1)}|{grown(rng, depth + 1)})"
    if kind < 10:
        return f"(?:{grown(rng, depth + 1)})" + rng.choice(REPETITIONS)
    return f"(?i:{grown(rng, depth + 1)})"


def test_as_pythons() -> None:
    rng = random.Random(1)
    found = 0
    for _ in range(3000):
        pattern, text = grown(rng), "".join(rng.choice("abc1A_. ") for _ in range(rng.randrange(8)))
        expected = re.search(pattern.replace("$", r"\Z"), text, re.ASCII) is not None
        assert Expression(pattern).found_in(text) is expected, (pattern, text)
        found += expected
    assert 500 < found < 2500


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("web", "a web server", True),
        ("^web", "a web server", False),
        ("", "", True),
        ("^(|x)$", "", True),
        ("(?P<a>x)(?<b>y)", "xy", True),
        ("(?i)WEB", "web", True),
        ("a(?i)B|c", "ab", True),
        ("a$", "a\n", False),
        ("(?m)a$", "a\nb", True),
        ("a.b", "a\nb", False),
        ("(?s)a.b", "a\nb", True),
        (r"\x41\x{1F600}", "A\U0001f600", True),
        ("[]a]+", "]a", True),
        ("[a-]", "-", True),
        ("[[:alpha:]_]+[[:digit:]]", "x_1", True),
        ("a{,2}", "a{,2}", True),
        (r"\Aa\z", "a", True),
        (r"n1|n2", "n2", True),
    ],
)
def test_as_gos(pattern: str, text: str, found: bool) -> None:
    assert Expression(pattern).found_in(text) is found


@pytest.mark.parametrize(
    "pattern",
    ["(", ")", "a**", "*a", "[b-a]", "[a", r"\q", r"\pL", r"(?=a)", "a{2,1}", "a{1001}", r"\x{110000}", "\\", "(?P<a"],
)
def test_refused(pattern: str) -> None:
    with pytest.raises(BadExpression):
        Expression(pattern)


@pytest.mark.parametrize(
    "pattern", ["((a{10}){10}){10}", "((){1000}){1000}", "a{1000}", "(" * 40 + ")" * 40, "a" * 2000]
)
def test_too_large(pattern: str) -> None:
    with pytest.raises(BadExpression):
        Expression(pattern)


@pytest.mark.parametrize("pattern", ["(a*)*b", "(a|aa)+$", "(a|a?)+b", "(.*.*.*){5}x"])
def test_what_python_never_ends(pattern: str) -> None:
    expression = Expression(pattern)
    assert expression.states <= STATES_MAX
    assert expression.found_in("a" * 300) is pattern.endswith("$")


def test_arbitrary_text_is_an_expression_or_refused() -> None:
    rng = random.Random(2)
    for _ in range(3000):
        pattern = "".join(rng.choice(r"ab01()[]{}|*+?.^$\-,:?<>PimsUxdw") for _ in range(rng.randrange(12)))
        try:
            Expression(pattern).found_in("ab01")
        except BadExpression:
            continue
