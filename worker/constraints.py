"""What whoever asks knows about a text before it is read: its characters, words that it may hold, what lines look like.

All are plain text in one canonical form, so that equal wishes are equal strings; ids are made of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from worker.charset import FULL_WIDTH, ascii_printable
from worker.pattern import Pattern

if TYPE_CHECKING:
    from worker.types import LineReading

MOST_LITERALS = 64
"""Characters that may be listed one by one."""
MOST_ASKED_CHARACTERS = 320
"""Of a lexicon that travels in a query, commas included: percent-encoded hanzi take nine bytes, and servers limit
the first line of a request to some four thousand."""
SHORTEST_WORD, LONGEST_WORD = 2, 64
MOST_ODDS = 10.0
"""How much less likely than the likeliest a character may be that a lexicon or a pattern asks for."""
DOUBTFUL = MOST_ODDS / (MOST_ODDS + 1)
"""In a line with a score above that, no other character is within :data:`MOST_ODDS`."""

_DIGITS = "0123456789"
_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_HANZI = range(0x3400, 0xA000)
"""The first block of unified ideographs and extension A."""

SETS: dict[str, str] = {
    "amount": _DIGITS + ".,-+()%¥￥$€£",
    "ascii": ascii_printable(),
    "date": _DIGITS + "-/.:年月日时分秒",
    "digits": _DIGITS,
    "financial": "零〇壹贰叁肆伍陆柒捌玖拾佰仟万亿元圆角分厘整正",
    "latin": _UPPER + _UPPER.lower(),
    "lower": _UPPER.lower(),
    "upper": _UPPER,
    "zh": "".join(map(chr, _HANZI)) + FULL_WIDTH,
}
"""The character sets that have a name."""


def parse_charset(text: str) -> str:
    """The canonical form of ``digits``, ``digits,upper:-/`` or ``:0123X``: names, a colon, further characters.

    Names are sorted and so are the characters behind the first colon, each of which stands for itself; both without
    repeats. Raises ``ValueError`` with a sentence about what is wrong.
    """
    named, _, literals = text.partition(":")
    names = {name for name in named.split(",") if name} if named else set()
    if not names <= SETS.keys():
        raise ValueError(f"sets of characters are {', '.join(SETS)}; others are listed behind a colon")
    if named and len(names) != len(named.split(",")):
        raise ValueError("character sets are named once each, with a comma between two")
    characters = set(literals)
    if not all(character.isprintable() for character in characters):
        raise ValueError("characters are printable ones")
    if len(characters) > MOST_LITERALS:
        raise ValueError(f"{MOST_LITERALS} characters may be listed at most")
    if not names and not characters:
        raise ValueError("name a character set, or list characters behind a colon")
    return ",".join(sorted(names)) + (":" + "".join(sorted(characters)) if characters else "")


def parse_lexicon(text: str) -> str:
    """The canonical form of words with commas between them: sorted, without repeats and without space around them.

    Raises ``ValueError`` with a sentence about what is wrong.
    """
    if len(text) > MOST_ASKED_CHARACTERS:
        raise ValueError(f"the words of a request have {MOST_ASKED_CHARACTERS} characters at most, commas included")
    words = {word.strip() for word in text.split(",")} - {""}
    if not words:
        raise ValueError("words with commas between them are wanted")
    for word in words:
        check_word(word)
    return ",".join(sorted(words))


def check_word(word: str) -> None:
    """Raises ``ValueError`` with a sentence about what is wrong with a word of a lexicon."""
    if not SHORTEST_WORD <= len(word) <= LONGEST_WORD or not word.isprintable():
        raise ValueError(f"a word has {SHORTEST_WORD} to {LONGEST_WORD} printable characters")


def parse_pattern(text: str) -> str:
    """``text``, which stands for itself. Raises ``ValueError`` with a sentence about what is wrong with it."""
    compiled(text)
    return text


@lru_cache(8)
def compiled(pattern: str) -> Pattern:
    """The pattern that ``pattern`` says."""
    return Pattern(pattern)


@dataclass(frozen=True)
class Constraints:
    """``charset``: in the form of :func:`parse_charset`; empty for any character. ``lexicon``: words to prefer.
    ``pattern``: a :class:`worker.pattern.Pattern` that lines may follow; empty for none. ``characters``: whether
    readings tell of each character; it constrains nothing.

    Small and picklable. White space is never ruled out: it says nothing, and without it words would run together.
    """

    charset: str = ""
    lexicon: tuple[str, ...] = ()
    pattern: str = ""
    characters: bool = False

    def __bool__(self) -> bool:
        return bool(self.charset or self.lexicon or self.pattern or self.characters)

    @cached_property
    def allowed(self) -> frozenset[str] | None:
        """The characters that a reading may have, ``None`` for all."""
        if not self.charset:
            return None
        named, _, literals = self.charset.partition(":")
        return frozenset("".join(SETS[name] for name in named.split(",") if name) + literals)

    def allows(self, text: str) -> bool:
        """Whether a reading may say ``text``."""
        allowed = self.allowed
        return allowed is None or all(character in allowed or character.isspace() for character in text)

    def may_change(self, reading: LineReading) -> bool:
        """Whether a line's reading might be another under these constraints than without any."""
        preferred = bool(self.lexicon) or not self.follows(reading.text)
        return not self.allows(reading.text) or (preferred and reading.score < DOUBTFUL)

    def follows(self, text: str) -> bool:
        """Whether ``text`` follows the pattern, if there is one."""
        return not self.pattern or compiled(self.pattern).matches(text)

    def with_defaults(self, defaults: Constraints) -> Constraints:
        """These, and what ``defaults`` say where these say nothing; words of both are preferred."""
        if not defaults:
            return self
        words = tuple(sorted({*self.lexicon, *defaults.lexicon}))
        return Constraints(self.charset or defaults.charset, words, self.pattern or defaults.pattern, self.characters)


UNCONSTRAINED = Constraints()


def lexicon_words(lines: Iterable[str]) -> tuple[str, ...]:
    """The words of a lexicon file: one a line, comments begin with ``#``. Raises ``ValueError`` naming the line."""
    words = set()
    for number, line in enumerate(lines, start=1):
        word = line.strip()
        if word and not word.startswith("#"):
            try:
                check_word(word)
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None
            words.add(word)
    return tuple(sorted(words))
