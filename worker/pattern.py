"""Patterns that a line may follow: a small subset of regular expressions, matched in linear time.

Glushkov's automaton (https://en.wikipedia.org/wiki/Glushkov%27s_construction_algorithm): every character of the pattern
is a position, and a state is the set of positions that the text may have come to, the bits of one integer. There are as
many states as a text visits, never more, so no pattern can blow up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from worker.charset import Charset
from worker.pattern_syntax import SPACES, All, Any, Class, Node, Repeat, parse

MOST_CHARACTERS = 128
"""Of a pattern as it is written."""
MOST_POSITIONS = 128
"""Characters of a pattern, each as often as a count such as ``{4}`` repeats it."""


class _Part(NamedTuple):
    """Of a part of the pattern: whether it may be empty, and the positions that it begins and ends with, as bits."""

    empty: bool
    first: int
    last: int


class Pattern:
    """What a whole line looks like; white space at its ends does not count.

    Characters stand for themselves; ``\\d`` is a digit 0 to 9, ``\\s`` white space, ``.`` any character; ``[a-z]``,
    ``[^…]``, ``(…)``, ``|``, ``?``, ``*``, ``+``, ``{m}``, ``{m,}`` and ``{m,n}`` are as everywhere. Raises
    ``ValueError`` with a sentence about what is wrong.
    """

    start = 1
    """The state of an empty text; 0 is that of one that no text goes on from to a match."""

    def __init__(self, text: str) -> None:
        if len(text) > MOST_CHARACTERS:
            raise ValueError(f"a pattern has {MOST_CHARACTERS} characters at most")
        self._classes: list[Class] = [Class(())]  # the start holds no character
        self._following = [0]
        self._positions: dict[str, int] = {}
        spaces = Repeat(Class(SPACES), 0, None)
        whole = self._built(All((spaces, parse(text), spaces)))
        self._following[0] = whole.first
        self._ends = whole.last | (self.start if whole.empty else 0)

    def follow(self, state: int, character: str) -> int:
        """The state of a text that goes on with ``character``."""
        if character not in self._positions:
            self._positions[character] = sum(
                1 << position for position, each in enumerate(self._classes) if each.holds(character)
            )
        following = 0
        for position in _bits(state):
            following |= self._following[position]
        return following & self._positions[character]

    def ends(self, state: int) -> bool:
        """Whether a text in this state matches."""
        return bool(state & self._ends)

    def matches(self, text: str) -> bool:
        """Whether all of ``text`` does."""
        state = self.start
        for character in text:
            state = self.follow(state, character)
        return self.ends(state)

    def _built(self, node: Node) -> _Part:
        if isinstance(node, Class):
            if len(self._classes) > MOST_POSITIONS + 2:  # the white space at the ends is no part of what was asked for
                raise ValueError(f"a pattern has {MOST_POSITIONS} characters at most, counted as often as repeated")
            position = 1 << len(self._classes)
            self._classes.append(node)
            self._following.append(0)
            return _Part(False, position, position)
        if isinstance(node, Any):
            parts = [self._built(part) for part in node.parts]
            return _Part(any(p.empty for p in parts), sum(p.first for p in parts), sum(p.last for p in parts))
        if isinstance(node, All):
            return self._joined(self._built(part) for part in node.parts)
        once = max(node.least, 1) if node.most is None else node.most
        parts = [self._built(node.what) for _ in range(once)]
        if node.most is None:
            self._go_on(parts[-1].last, parts[-1].first)
        return self._joined(part._replace(empty=part.empty or i >= node.least) for i, part in enumerate(parts))

    def _joined(self, parts: Iterable[_Part]) -> _Part:
        whole = _Part(True, 0, 0)
        for part in parts:
            self._go_on(whole.last, part.first)
            whole = _Part(
                whole.empty and part.empty,
                whole.first | (part.first if whole.empty else 0),
                part.last | (whole.last if part.empty else 0),
            )
        return whole

    def _go_on(self, positions: int, first: int) -> None:
        for position in _bits(positions):
            self._following[position] |= first


def _bits(number: int) -> Iterable[int]:
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest


class Matching:
    """Leaves a beam search only texts that match ``pattern``. A :class:`worker.ctc.Bias`."""

    start = Pattern.start

    def __init__(self, pattern: Pattern, charset: Charset) -> None:
        self._pattern = pattern
        self._characters = charset.characters

    def follow(self, state: int, index: int) -> int:
        """The state of a text that goes on with the class ``index``."""
        return self._pattern.follow(state, self._characters[index - 1])

    def hope(self, state: int) -> float:
        """Nothing for a text that may become a match, else minus infinity."""
        return 0.0 if state else -math.inf

    def worth(self, state: int) -> float:
        """Nothing for a match, else minus infinity."""
        return 0.0 if self._pattern.ends(state) else -math.inf
