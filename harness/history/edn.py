"""EDN, the notation of Jepsen's and Knossos' histories, read into Python values.

One regular expression cuts the text into tokens, a stack puts them together: no recursion, so that no file can exhaust
it. Our own, because what PyPI has is either built on a parser generator and two orders of magnitude slower
(edn-format), or unfinished. Law: what is not understood raises ``EdnError`` with its line; nothing is guessed.

Keywords become ``Keyword``, symbols ``Symbol``, lists and vectors tuples, sets frozensets, maps dicts (frozen when they
are keys or members), tagged literals ``Tagged``; integers of any size, ratios as float, characters as str.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

TOKEN = re.compile(
    r"""[\s,]+|;[^\n]*                          # white space, comment
    |(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<open>\#\{|[\[({])|(?P<close>[\])}])
    |(?P<discard>\#_)
    |(?P<symbolic>\#\#-?[A-Za-z]+)
    |(?P<tag>\#[A-Za-z][^\s,"\[\](){};]*)
    |(?P<meta>\^)
    |(?P<quote>')
    |(?P<character>\\(?:u[0-9a-fA-F]{4}|[a-z]{2,}|.))
    |(?P<atom>[^\s,"\[\](){};\#^'\\][^\s,"\[\](){};\\]*)""",
    re.VERBOSE | re.DOTALL,
)
INTEGER = re.compile(r"[+-]?\d+N?\Z")
FLOAT = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?M?\Z")
RATIO = re.compile(r"[+-]?\d+/\d+\Z")
STRING_ESCAPES = {"t": "\t", "r": "\r", "n": "\n", "\\": "\\", '"': '"', "b": "\b", "f": "\f"}
CHARACTERS = {"newline": "\n", "space": " ", "tab": "\t", "return": "\r", "backspace": "\b", "formfeed": "\f"}
CONSTANTS = {"nil": None, "true": True, "false": False}
SYMBOLIC = {"##Inf": float("inf"), "##NaN": float("nan")}
CLOSERS = {"[": "]", "(": ")", "{": "}", "#{": "}"}


class EdnError(ValueError):
    """What is wrong, and in which line."""


class Keyword(str):
    """``:ok`` is ``Keyword("ok")``: equal to the plain string, so that tables of names serve both."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f":{self}"


class Symbol(str):
    """A bare word."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Tagged:
    """``#tag value``, uninterpreted."""

    tag: str
    value: Any


class Map(dict[Any, Any]):
    """A map that knows the ``line`` it begins in, for messages."""

    __slots__ = ("line",)
    line: int


@dataclass(slots=True)
class _Frame:
    """What is being read: a collection, or a prefix that takes the next value: ``#tag``, ``#_``, ``^``."""

    opener: str
    line: int
    items: list[Any]


def read_all(text: str) -> Iterator[Any]:
    """The top-level values of ``text``, one after another. Raises EdnError."""
    stack: list[_Frame] = []
    for kind, token, line in _tokens(text):
        if kind in ("open", "tag", "discard", "meta"):
            stack.append(_Frame(token, line, []))
            continue
        if kind == "quote":
            continue
        value = _closed(stack, token, line) if kind == "close" else _scalar(kind, token, line)
        yield from _placed(stack, value)
    if stack:
        raise EdnError(f"line {stack[-1].line}: {stack[-1].opener!r} has no end")


def _placed(stack: list[_Frame], value: Any) -> Iterator[Any]:
    """Give ``value`` to whatever waits for it; a prefix passes it on, changed."""
    while stack:
        frame = stack[-1]
        if frame.opener in CLOSERS:
            frame.items.append(value)
            return
        if frame.opener == "^" and not frame.items:  # the metadata; what it belongs to comes next
            frame.items.append(value)
            return
        stack.pop()
        if frame.opener == "#_":
            return
        if frame.opener != "^":
            value = Tagged(frame.opener[1:], value)
    yield value


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    line, position, end = 1, 0, len(text)
    match = TOKEN.match
    while position < end:
        found = match(text, position)
        if found is None:
            raise EdnError(f"line {line}: cannot read {text[position : position + 20]!r}")
        token = found.group()
        if found.lastgroup is not None:
            yield found.lastgroup, token, line
        line += token.count("\n")
        position = found.end()


def _closed(stack: list[_Frame], token: str, line: int) -> Any:
    frame = stack.pop() if stack else None
    if frame is None or CLOSERS.get(frame.opener) != token:
        raise EdnError(f"line {line}: {token!r} closes nothing")
    items = frame.items
    if frame.opener == "#{":
        return frozenset(map(freeze, items))
    if frame.opener != "{":
        return tuple(items)
    if len(items) % 2:
        raise EdnError(f"line {line}: a map with a key that has no value")
    found = Map((freeze(key), value) for key, value in zip(items[::2], items[1::2], strict=True))
    found.line = frame.line
    return found


def _scalar(kind: str, token: str, line: int) -> Any:
    if kind == "string":
        return _string(token, line) if "\\" in token else token[1:-1]
    if kind == "symbolic":
        return SYMBOLIC.get(token, float("-inf"))
    if kind == "character":
        name = token[1:]
        return chr(int(name[1:], 16)) if len(name) == 5 and name[0] == "u" else CHARACTERS.get(name, name)
    if token[0] == ":":
        return Keyword(token[1:])
    if token in CONSTANTS:
        return CONSTANTS[token]
    if INTEGER.match(token):
        return int(token.rstrip("N"))
    if FLOAT.match(token):
        return float(token.rstrip("M"))
    if RATIO.match(token):
        above, below = map(int, token.split("/"))
        if below == 0:
            raise EdnError(f"line {line}: {token} divides by nothing")
        return above / below
    return Symbol(token)


def _string(token: str, line: int) -> str:
    def escaped(found: re.Match[str]) -> str:
        code = found.group(1)
        if len(code) > 1:
            return chr(int(code[1:], 16))
        if code not in STRING_ESCAPES:
            raise EdnError(f"line {line}: a string with the unknown escape \\{code}")
        return STRING_ESCAPES[code]

    return re.sub(r"\\(u[0-9a-fA-F]{4}|.)", escaped, token[1:-1], flags=re.DOTALL)


def freeze(value: Any) -> Any:
    """The same value, hashable: lists as tuples, maps as frozensets of pairs."""
    if isinstance(value, list | tuple):
        return tuple(map(freeze, value))
    if isinstance(value, dict):
        return frozenset((freeze(key), freeze(item)) for key, item in value.items())
    if isinstance(value, set | frozenset):
        return frozenset(map(freeze, value))
    return value
