"""A second opinion: what the first recogniser reads with doubt, a stronger and slower one reads again.

Which reading counts is decided by the scores alone, so a line's reading depends on its own pixels only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Protocol
from unicodedata import normalize

import numpy as np

from worker.constraints import UNCONSTRAINED, Constraints
from worker.types import SECOND_READER, Character, LineReading

MARGIN = 2.0
"""How much likelier the first reading has to be to count: of the lines that the first doubts, the second reads more
right even where it is the less sure one. docs/recogniser.md has what other margins do."""


class Recognizer(Protocol):
    """Reads line crops (uint8 RGB), one reading each, in the order given."""

    def recognise(
        self, crops: Sequence[np.ndarray], constraints: Constraints = UNCONSTRAINED
    ) -> list[LineReading]: ...


class SecondOpinion:
    """``second`` reads again what was read with a score under ``below`` (0..1), and the better reading counts."""

    def __init__(self, second: Recognizer, below: float) -> None:
        if not 0 <= below <= 1:
            raise ValueError("a score is between 0 and 1")
        self._second = second
        self._below = below

    def review(
        self,
        crops: Sequence[np.ndarray],
        readings: Sequence[LineReading],
        constraints: Constraints = UNCONSTRAINED,
    ) -> list[LineReading]:
        """``readings`` of uint8 crops, one line each, in their order; each names the recogniser whose it is.

        ``constraints`` are those that ``readings`` were made under; they hold for the second reader as well. A line in
        which the first finds no character that is allowed holds other text, and is not read again.
        """
        reviewed = list(readings)
        doubtful = [
            number
            for number, reading in enumerate(reviewed)
            if reading.score < self._below and (reading.text or not constraints.charset)
        ]
        if doubtful:
            again = self._second.recognise([crops[number] for number in doubtful], constraints)
            for number, second in zip(doubtful, again, strict=True):
                reviewed[number] = better(reviewed[number], second)
        return reviewed


def better(first: LineReading, second: LineReading, margin: float = MARGIN) -> LineReading:
    """The reading that is likelier to be right, of a line that the first recogniser doubts."""
    if not second.text or second.score * margin < first.score:
        return first
    text = in_the_source_forms(first.text, second.text)
    characters = tuple(_in_form(each, form) for each, form in zip(second.characters, text, strict=False))
    return replace(second, text=text, reader=SECOND_READER, characters=characters)


def _in_form(character: Character, form: str) -> Character:
    others = tuple(other for other in character.alternatives if other[0] != form)
    return character._replace(text=form, alternatives=others)


def in_the_source_forms(first: str, second: str) -> str:
    """``second`` with the forms of ``first`` where the two differ in nothing else.

    The second recogniser sometimes writes 錫 where the line says 锡, and is careless about （ and (. A Simplified or
    Traditional form of ``first`` is taken when all of ``first`` is in one script (a reading that mixes both proves
    nothing), a full or half width when ``second`` has hanzi, among which both occur.
    """
    one_script = len({script(character) for character in first} - {0}) == 1
    has_hanzi = any(is_hanzi(character) for character in second)
    result = list(second)
    for kind, start, end, begin, stop in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        if kind == "replace" and end - start == stop - begin:
            for place, own in zip(range(begin, stop), first[start:end], strict=True):
                other = second[place]
                if (one_script and script(own) * script(other) == -1) or (has_hanzi and same_but_for_width(own, other)):
                    result[place] = own
    return "".join(result)


def same_but_for_width(one: str, other: str) -> bool:
    """Whether two characters are the full-width and the half-width form of one, such as ： and :."""
    return normalize("NFKC", one) == normalize("NFKC", other)


def is_hanzi(character: str) -> bool:
    """Whether it is in Unicode's first block of unified ideographs."""
    return "\u4e00" <= character <= "\u9fff"


@lru_cache(maxsize=32768)
def script(character: str) -> int:
    """1 for a hanzi that is only Simplified (in GB 2312, not in Big5), -1 for one that is only Traditional, else 0."""
    if not is_hanzi(character):
        return 0
    return _encodable(character, "gb2312") - _encodable(character, "big5")


def _encodable(character: str, codec: str) -> bool:
    try:
        character.encode(codec)
    except UnicodeEncodeError:
        return False
    return True
