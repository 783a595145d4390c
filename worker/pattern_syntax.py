"""How patterns are written: a small subset of regular expressions, as a tree."""

from __future__ import annotations

import re
from typing import NamedTuple

_REPEAT = re.compile(r"\{([0-9]{1,3})(,)?([0-9]{1,3})?\}")
SPACES = (("\t", "\r"), (" ", " "), ("\xa0", "\xa0"), ("\u2000", "\u200a"), ("\u3000", "\u3000"))
_ESCAPES = {"d": (("0", "9"),), "s": SPACES}


class Class(NamedTuple):
    """Characters within any of ``ranges`` (both ends included), or within none."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool = False

    def holds(self, character: str) -> bool:
        return any(first <= character <= last for first, last in self.ranges) != self.negated


class Repeat(NamedTuple):
    what: Node
    least: int
    most: int | None


class All(NamedTuple):
    """One after the other."""

    parts: tuple[Node, ...]


class Any(NamedTuple):
    """One of them."""

    parts: tuple[Node, ...]


Node = Class | Repeat | All | Any


def parse(text: str) -> Node:
    """The tree of a pattern. Nothing in it is empty, so repeats do not multiply without characters that count.

    Raises ``ValueError`` with a sentence about what is wrong.
    """
    return _Parser(text).parse()


class _Parser:
    """Recursive descent."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def parse(self) -> Node:
        node = self._alternatives()
        if self._at < len(self._text):
            raise ValueError("a `)` closes nothing")
        return node

    def _next(self, count: int = 1) -> str:
        return self._text[self._at : self._at + count]

    def _take(self) -> str:
        character = self._next()
        if not character:
            raise ValueError("the pattern ends too early")
        if not character.isprintable():
            raise ValueError("a pattern is made of printable characters")
        self._at += 1
        return character

    def _alternatives(self) -> Node:
        parts = [self._sequence()]
        while self._next() == "|":
            self._at += 1
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else Any(tuple(parts))

    def _sequence(self) -> Node:
        parts = []
        while self._next() not in ("", "|", ")"):
            parts.append(self._repeated(self._atom()))
        if not parts:
            raise ValueError("a pattern, a group and each alternative hold something")
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _repeated(self, node: Node) -> Node:
        sign = self._next()
        if sign not in ("?", "*", "+", "{") or not sign:
            return node
        if sign == "{":
            counts = _REPEAT.match(self._text, self._at)
            if not counts:
                raise ValueError("a count is `{3}`, `{3,}` or `{3,5}`, and a brace of the text `\\{`")
            self._at = counts.end()
            least = int(counts[1])
            most = int(counts[3]) if counts[3] else None if counts[2] else least
        else:
            self._at += 1
            least, most = {"?": (0, 1), "*": (0, None), "+": (1, None)}[sign]
        if most is not None and not 1 <= max(least, 1) <= most:
            raise ValueError("a count begins at 0 or more and ends at 1 or more, not below its beginning")
        if self._next() and self._next() in "?*+{":
            raise ValueError("only one of `?`, `*`, `+` and `{…}` may follow a character or group")
        return Repeat(node, least, most)

    def _atom(self) -> Node:
        character = self._take()
        if character == "(":
            if self._next() == "?" and self._next(2) != "?:":
                raise ValueError("`(?` is not supported, but for `(?:`")
            self._at += 2 * (self._next(2) == "?:")
            node = self._alternatives()
            if self._next() != ")":
                raise ValueError("a `(` is not closed")
            self._at += 1
            return node
        if character == "[":
            return self._class()
        if character == "\\":
            return Class(self._escaped())
        if character == ".":
            return Class((), negated=True)
        if character in "^$":
            raise ValueError("a whole line is matched: leave out `^` and `$`, or write `\\^` and `\\$`")
        if character in "?*+{}]":
            raise ValueError(f"a `{character}` of the text is written `\\{character}`")
        return Class(((character, character),))

    def _escaped(self) -> tuple[tuple[str, str], ...]:
        character = self._take()
        if character in _ESCAPES:
            return _ESCAPES[character]
        if character.isalnum():
            raise ValueError(f"`\\{character}` is not supported; there are `\\d` and `\\s`")
        return ((character, character),)

    def _class(self) -> Class:
        negated = self._next() == "^"
        self._at += negated
        ranges: list[tuple[str, str]] = []
        while (character := self._take()) != "]":
            if character == "[":
                raise ValueError("a `[` within `[…]` is written `\\[`")
            found = self._escaped() if character == "\\" else ((character, character),)
            if self._next() == "-" and self._next(2) != "-]":
                self._at += 1
                end = self._take()
                last = self._escaped() if end == "\\" else ((end, end),)
                if len(found) + len(last) != 2 or found[0][0] != found[0][1] or not found[0][0] <= last[0][0]:
                    raise ValueError("a range goes from one character to one behind it")
                found = ((found[0][0], last[0][1]),)
            ranges += found
        if not ranges:
            raise ValueError("a `[…]` holds something")
        return Class(tuple(ranges), negated)
