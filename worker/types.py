"""What a reading is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

FIRST_READER = "crnn"
"""The name of this package's own recogniser in a reading."""
SECOND_READER = "ppocr"
"""The name of the recogniser that reads doubtful lines again."""


class Character(NamedTuple):
    """One character of a line. ``start`` and ``end``: where it stands, as shares (0..1) of the line's length from the
    side where the text begins. ``alternatives``: what else it may be, likeliest first, each with its probability."""

    text: str
    score: float
    start: float
    end: float
    alternatives: tuple[tuple[str, float], ...] = ()


def characters_from(plain: Iterable[Sequence[Any]]) -> tuple[Character, ...]:
    """Characters as JSON has them: each a list of what :class:`Character` has. Raises ``TypeError`` for others."""
    return tuple(
        Character(text, score, start, end, tuple((other, chance) for other, chance in alternatives))
        for text, score, start, end, alternatives in plain
    )


@dataclass(frozen=True, slots=True)
class LineReading:
    """The text of one line crop.

    ``score`` is in 0..1: the minimum over the characters' probabilities, so it falls when any character is doubtful.
    An empty text has the score 0.0. ``reader`` names the recogniser whose reading this is. ``characters``: those of
    ``text``, where they are asked for.
    """

    text: str
    score: float
    reader: str = FIRST_READER
    characters: tuple[Character, ...] = ()


Box = tuple[tuple[float, float], ...]
"""Four corners ``(x, y)`` in page pixels, clockwise from the top-left of the text."""

Found = Callable[[list[Box]], None]
"""Is told where a page's lines are, in reading order, before they are read. What is read may be fewer of them, and one
may begin at another of its corners."""


@dataclass(frozen=True, slots=True)
class Line:
    """One text line of a page: its reading and where it stands."""

    text: str
    score: float
    box: Box
    reader: str = FIRST_READER
    characters: tuple[Character, ...] = ()
