"""The syntax of Go's regular expressions, as far as ``expressions`` understands it: text in, a tree out."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple, NoReturn

EXPRESSION_CHARACTERS_MAX: Final = 1024
"""A query, with all its filters, has no more bytes."""

DEPTH_MAX: Final = 32
"""Of groups in one another; it bounds the parser's own recursion."""

COUNT_MAX: Final = 1000
"""Of ``{n}``, as in Go."""


class BadExpression(ValueError):
    """Go would refuse it too, or it is beyond what we understand. The text is the reason."""


class CharacterSet(NamedTuple):
    """Characters from one of ``ranges`` (both ends belong to them), or from none of them."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool = False
    any_case: bool = False

    def holds(self, character: str) -> bool:
        forms = (character, character.lower(), character.upper()) if self.any_case else (character,)
        return any(low <= form <= high for low, high in self.ranges for form in forms) is not self.negated


class Anchor(Enum):
    """A condition on a place between two characters."""

    TEXT_BEGIN = r"\A"
    TEXT_END = r"\z"
    LINE_BEGIN = "(?m:^)"
    LINE_END = "(?m:$)"
    BOUNDARY = r"\b"
    NO_BOUNDARY = r"\B"

    def holds(self, text: str, at: int) -> bool:
        match self:
            case Anchor.TEXT_BEGIN:
                return at == 0
            case Anchor.TEXT_END:
                return at == len(text)
            case Anchor.LINE_BEGIN:
                return at == 0 or text[at - 1] == "\n"
            case Anchor.LINE_END:
                return at == len(text) or text[at] == "\n"
        boundary = (at > 0 and _WORD.holds(text[at - 1])) != (at < len(text) and _WORD.holds(text[at]))
        return boundary is (self is Anchor.BOUNDARY)


class Series(NamedTuple):
    """One after another."""

    nodes: tuple[Node, ...]


class Branch(NamedTuple):
    """One of them."""

    nodes: tuple[Node, ...]


class Repeat(NamedTuple):
    """``most`` None: without an end."""

    node: Node
    least: int
    most: int | None


Node = CharacterSet | Anchor | Series | Branch | Repeat


class _Flags(NamedTuple):
    any_case: bool = False
    lines: bool = False
    dot_is_all: bool = False


def parse(pattern: str) -> Node:
    """Raises ``BadExpression``."""
    if len(pattern) > EXPRESSION_CHARACTERS_MAX:
        raise BadExpression("it is too long")
    parser = _Parser(pattern)
    node, _ = parser.branch(_Flags(), 0)
    if parser.at < len(pattern):
        raise BadExpression("unexpected )")
    return node


class _Parser:
    def __init__(self, pattern: str) -> None:
        self._pattern, self.at = pattern, 0

    def branch(self, flags: _Flags, depth: int) -> tuple[Node, _Flags]:
        """Up to a closing parenthesis, or the end. Flags set inside hold for the rest of the group."""
        if depth > DEPTH_MAX:
            self._fail("groups nested too deeply")
        ways: list[Node] = []
        while True:
            way, flags = self._series(flags, depth)
            ways.append(way)
            if not self._skip("|"):
                return (ways[0] if len(ways) == 1 else Branch(tuple(ways))), flags

    def _series(self, flags: _Flags, depth: int) -> tuple[Node, _Flags]:
        nodes: list[Node] = []
        while self.at < len(self._pattern) and self._peek() not in "|)":
            if self._skip("("):
                node, flags = self._group(flags, depth)
            else:
                node = self._atom(flags)
            nodes.append(self._repeated(node) if node is not None else Series(()))
        return Series(tuple(nodes)), flags

    def _group(self, flags: _Flags, depth: int) -> tuple[Node | None, _Flags]:
        """After the opening parenthesis; None: it only sets flags."""
        inside = flags
        if self._skip("?"):
            if self._skip("P<") or self._skip("<"):
                self._until(">")
            else:
                inside, is_group = self._flags(flags)
                if not is_group:
                    return None, inside
        node, _ = self.branch(inside, depth + 1)
        if not self._skip(")"):
            self._fail("missing closing )")
        return node, flags

    def _flags(self, flags: _Flags) -> tuple[_Flags, bool]:
        """``i-s:`` or ``i-s)``: the flags, and whether a group follows."""
        value = True
        while True:
            match self._take():
                case ":":
                    return flags, True
                case ")":
                    return flags, False
                case "-":
                    value = False
                case "i":
                    flags = flags._replace(any_case=value)
                case "m":
                    flags = flags._replace(lines=value)
                case "s":
                    flags = flags._replace(dot_is_all=value)
                case "U":
                    pass  # lazy or greedy: it matches or it does not
                case _:
                    self._fail("invalid or unsupported Perl syntax")

    def _repeated(self, node: Node) -> Node:
        """``node`` with the repetition that follows it, if one does."""
        bounds = self._bounds()
        if bounds is None:
            return node
        self._skip("?")
        if self._bounds() is not None:
            self._fail("invalid nested repetition operator")
        return Repeat(node, *bounds)

    def _bounds(self) -> tuple[int, int | None] | None:
        for sign, bounds in _SIGNS.items():
            if self._skip(sign):
                return bounds
        begin = self.at
        if not self._skip("{"):
            return None
        least, comma, most = self._until_or_stay("}").partition(",")
        if not _is_number(least) or not (_is_number(most) or most == ""):
            self.at = begin  # Go takes it literally
            return None
        low = int(least)
        high = int(most) if most else None if comma else low
        if low > COUNT_MAX or (high is not None and not low <= high <= COUNT_MAX):
            self._fail("invalid repeat count")
        return low, high

    def _atom(self, flags: _Flags) -> Node:
        character = self._take()
        match character:
            case ".":
                return CharacterSet(() if flags.dot_is_all else (("\n", "\n"),), negated=True)
            case "[":
                return self._class(flags)
            case "^":
                return Anchor.LINE_BEGIN if flags.lines else Anchor.TEXT_BEGIN
            case "$":
                return Anchor.LINE_END if flags.lines else Anchor.TEXT_END
            case "*" | "+" | "?":
                self._fail("missing argument to repetition operator")
            case "\\":
                escaped = self._take()
                if escaped in _ANCHORS:
                    return _ANCHORS[escaped]
                if escaped in _CLASSES:
                    return _CLASSES[escaped]
                character = self._escaped(escaped)
        return CharacterSet(((character, character),), any_case=flags.any_case)

    def _class(self, flags: _Flags) -> CharacterSet:
        """After the opening bracket."""
        negated = self._skip("^")
        ranges: list[tuple[str, str]] = []
        while not ranges or not self._skip("]"):
            if self._skip("[:"):
                ranges += self._named_class()
                continue
            low = self._class_end()
            if isinstance(low, CharacterSet):
                ranges += low.ranges
                continue
            high: CharacterSet | str = low
            if self._pattern[self.at : self.at + 1] == "-" and self._pattern[self.at + 1 : self.at + 2] != "]":
                self.at += 1
                high = self._class_end()
            if isinstance(high, CharacterSet) or high < low:
                self._fail("invalid character class range")
            ranges.append((low, high))
        return CharacterSet(tuple(ranges), negated, flags.any_case)

    def _class_end(self) -> CharacterSet | str:
        character = self._take()
        if character != "\\":
            return character
        escaped = self._take()
        if escaped in _CLASSES:
            if _CLASSES[escaped].negated:
                return CharacterSet(_others(_CLASSES[escaped].ranges))
            return _CLASSES[escaped]
        return self._escaped(escaped)

    def _named_class(self) -> tuple[tuple[str, str], ...]:
        name = self._until(":]")
        if name not in _NAMED:
            self._fail("invalid character class range")
        return _NAMED[name]

    def _escaped(self, character: str) -> str:
        if character in _CONTROLS:
            return _CONTROLS[character]
        if character == "x":
            digits = self._until("}") if self._skip("{") else self._take() + self._take()
            if not digits or len(digits) > 6 or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
                self._fail("invalid escape sequence")
            if int(digits, 16) > 0x10FFFF:
                self._fail("invalid escape sequence")
            return chr(int(digits, 16))
        if character.isascii() and character.isalnum():
            self._fail("invalid escape sequence")
        return character

    def _peek(self) -> str:
        return self._pattern[self.at]

    def _take(self) -> str:
        if self.at >= len(self._pattern):
            self._fail("it ends too early")
        self.at += 1
        return self._pattern[self.at - 1]

    def _skip(self, text: str) -> bool:
        found = self._pattern.startswith(text, self.at)
        self.at += len(text) if found else 0
        return found

    def _until(self, end: str) -> str:
        at = self._pattern.find(end, self.at)
        if at < 0:
            self._fail(f"missing {end}")
        text, self.at = self._pattern[self.at : at], at + len(end)
        return text

    def _until_or_stay(self, end: str) -> str:
        return self._until(end) if end in self._pattern[self.at :] else ""

    def _fail(self, reason: str) -> NoReturn:
        raise BadExpression(f"{reason} (character {self.at})")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 4


def _others(ranges: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """The ranges between ``ranges``."""
    found, low = [], 0
    for first, last in sorted(ranges):
        if low < ord(first):
            found.append((chr(low), chr(ord(first) - 1)))
        low = ord(last) + 1
    return (*found, (chr(low), chr(0x10FFFF)))


_SIGNS: Final[dict[str, tuple[int, int | None]]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_DIGIT, _LOWER, _UPPER = ("0", "9"), ("a", "z"), ("A", "Z")
_WORD: Final = CharacterSet((_DIGIT, _UPPER, ("_", "_"), _LOWER))
_SPACE: Final = (("\t", "\n"), ("\f", "\r"), (" ", " "))
_CLASSES: Final = {
    "d": CharacterSet((_DIGIT,)),
    "w": _WORD,
    "s": CharacterSet(_SPACE),
    "D": CharacterSet((_DIGIT,), negated=True),
    "W": _WORD._replace(negated=True),
    "S": CharacterSet(_SPACE, negated=True),
}
_ANCHORS: Final = {
    "A": Anchor.TEXT_BEGIN,
    "z": Anchor.TEXT_END,
    "b": Anchor.BOUNDARY,
    "B": Anchor.NO_BOUNDARY,
}
_CONTROLS: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_NAMED: Final = {
    "alnum": (_DIGIT, _UPPER, _LOWER),
    "alpha": (_UPPER, _LOWER),
    "digit": (_DIGIT,),
    "lower": (_LOWER,),
    "upper": (_UPPER,),
    "space": (("\t", "\r"), (" ", " ")),
    "word": _WORD.ranges,
    "xdigit": (_DIGIT, ("A", "F"), ("a", "f")),
    "punct": (("!", "/"), (":", "@"), ("[", "`"), ("{", "~")),
}
